# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two replicas: one checks. Whoever is dead, frozen or cut off is replaced, and writes nothing afterwards."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from llmops_health.answers import Result, Verdict
from llmops_health.lease import LeaseLostError
from llmops_health.metrics import Metrics
from llmops_health.registry import Record, Registry
from llmops_health.settings import from_environment

from tests.services.health_check.checker_process import CheckerProcess
from tests.services.health_check.conftest import RegistryDatabase, StartEngine
from tests.services.health_check.test_checks import requests, set_fault
from tests.support.model_server import MODEL, wait_until
from tests.support.tcp_proxy import TcpProxy

Start = Callable[..., CheckerProcess]

LEASE_TTL_S = 2.0
#: How often a standby looks, and some time for a busy machine.
NOTICED_S = 2.5


def leaders(replicas: Iterable[CheckerProcess]) -> list[CheckerProcess]:
    """Return the replicas that say that they lead."""
    return [replica for replica in replicas if replica.leads]


def test_two_replicas_never_check_twice(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    models = [f"org/model-{number}" for number in range(10)]
    server = engine(*models)
    for model in models:
        registry.register(model, server.url)
    replicas = [checker("one"), checker("two")]
    wait_until(lambda: len(leaders(replicas)) == 1 and registry.checks_recorded() == len(models))
    (leader,) = leaders(replicas)
    (standby,) = (replica for replica in replicas if replica is not leader)

    began, before = time.monotonic(), requests(server, "/health")
    time.sleep(2)
    asked, seconds = requests(server, "/health") - before, time.monotonic() - began
    # At most one in each interval of 0.3 s less its jitter; a part of the checks are completions.
    assert 0.3 * len(models) * seconds / 0.3 < asked <= len(models) * (seconds / 0.27 + 1)
    assert standby.metric("checks_total") == 0
    assert leader.metric("records_total", outcome="refused") == 0


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_a_standby_takes_over(
    registry: RegistryDatabase, engine: StartEngine, checker: Start, end: str
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    # A leader that stops gives the lease back: nobody waits for its end.
    ttl_s = LEASE_TTL_S if end == "killed" else 60.0
    first = checker("one", lease_ttl_s=str(ttl_s)).wait_leading()
    second = checker("two", lease_ttl_s=str(ttl_s))
    wait_until(lambda: second.metric("registry_up") == 1)
    assert not second.leads

    if end == "killed":
        first.send(signal.SIGKILL)
    else:
        first.stop()
    second.wait_leading((LEASE_TTL_S if end == "killed" else 0) + NOTICED_S)
    set_fault(server, "engine-dead")
    wait_until(lambda: registry.status() == "degraded")


def test_a_frozen_leader_writes_nothing_when_it_wakes(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    # Slow enough for answers to arrive while the leader is frozen: they wait for it in its sockets.
    models = [f"org/model-{number}" for number in range(20)]
    server = engine(*models, MODEL_SERVER_TTFT_MS="100")
    for model in models:
        registry.register(model, server.url)
    witness(registry)
    first = checker("one", completion_interval_s="0.3").wait_leading()
    second = checker("two", completion_interval_s="0.3")
    wait_until(lambda: len(writers(registry)) == 1 and registry.checks_recorded() == len(models))
    (frozen,) = writers(registry)

    first.send(signal.SIGSTOP)
    second.wait_leading(LEASE_TTL_S + NOTICED_S)
    set_fault(server, "http-500")
    wait_until(lambda: all(registry.status(model) == "degraded" for model in models))
    registry.query("DELETE FROM witness")
    first.send(signal.SIGCONT)
    wait_until(lambda: any("no longer the leader" in line["message"] for line in first.messages()))
    wait_until(lambda: len(writers(registry)) == 1)
    time.sleep(1)
    assert second.leads
    assert not first.leads
    assert frozen not in writers(registry)
    assert {registry.status(model) for model in models} == {"degraded"}


def witness(registry: RegistryDatabase) -> None:
    """Let the database write down which connection records checks."""
    registry.query(
        "CREATE TABLE witness (port int);"
        "CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "'BEGIN INSERT INTO witness VALUES (inet_client_port()); RETURN NULL; END';"
        "CREATE TRIGGER witness AFTER INSERT OR UPDATE ON health_checks EXECUTE FUNCTION witness()"
    )


def writers(registry: RegistryDatabase) -> set[int]:
    """Return the connections that recorded checks."""
    return {row["port"] for row in registry.query("SELECT DISTINCT port FROM witness")}


def registry_of(dsn: str, name: str, **others: str) -> Registry:
    """Return the registry as a checker of this name has it."""
    settings = from_environment(
        {"LLMOPS_HEALTH_DSN": dsn, "LLMOPS_HEALTH_ENVIRONMENT": "staging", "LLMOPS_HEALTH_INSTANCE": name}
        | {f"LLMOPS_HEALTH_{key.upper()}": value for key, value in others.items()}
    )
    return Registry(settings, Metrics())


def test_a_write_under_a_lease_that_another_has_is_refused_by_the_database(
    registry: RegistryDatabase,
) -> None:
    registry.register(MODEL, "http://127.0.0.1:1")

    async def play() -> None:
        old, new = registry_of(registry.dsn, "old"), registry_of(registry.dsn, "new")
        try:
            lease = await old.acquire()
            assert lease is not None
            assert await new.acquire() is None
            (entry,) = await old.entries()
            record = Record(entry, Verdict(Result.OK), 0.1)
            assert await old.record(lease, record) == "ready"
            checked_at = registry.health()["last_checked_at"]

            # By its own clock the old one still holds the lease.
            registry.query("UPDATE service_leases SET expires_at = now()")
            assert await new.acquire() is not None
            assert lease.remaining_s > 10
            with pytest.raises(LeaseLostError, match="another process"):
                await old.record(lease, record)
            assert registry.health()["last_checked_at"] == checked_at

            # It comes back to its name, and is still not who it was.
            registry.query("UPDATE service_leases SET expires_at = now()")
            with pytest.raises(LeaseLostError, match="expired"):
                await old.record(lease, record)
            assert registry.health()["last_checked_at"] == checked_at
        finally:
            await old.close()
            await new.close()

    asyncio.run(play())


def test_the_registry_goes_away_and_comes_back(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    registry.register(MODEL, engine().url)
    running = checker().wait_leading()
    wait_until(registry.health)
    registry.server.stop()
    try:
        wait_until(lambda: running.metric("registry_up") == 0 and not running.leads)
        assert running.get("/healthz")[0] == 200
        assert running.get("/readyz")[0] == 200
    finally:
        registry.server.start()
    running.wait_leading()
    since = registry.query("SELECT clock_timestamp() AS now")[0]["now"]
    wait_until(lambda: registry.health()["last_ok_at"] > since)
    assert registry.status() == "ready"


def test_a_link_to_the_registry_that_swallows_is_replaced(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    registry.register(MODEL, engine().url)
    with TcpProxy(registry.server.port) as proxy:
        running = checker(dsn=through(proxy, registry), lease_ttl_s="10").wait_leading()
        wait_until(registry.health)
        proxy.swallow()
        wait_until(lambda: running.metric("registry_up") == 0)
        proxy.heal()
        since = registry.query("SELECT clock_timestamp() AS now")[0]["now"]
        wait_until(lambda: registry.health()["last_ok_at"] > since)
        assert running.leads
        assert not any("no longer the leader" in line["message"] for line in running.messages())


def through(proxy: TcpProxy, registry: RegistryDatabase) -> str:
    """Return the DSN by way of the proxy."""
    return registry.dsn.replace(f"port={registry.server.port}", f"port={proxy.port}")


def test_without_a_registry_it_waits_and_is_not_ready(registry: RegistryDatabase, checker: Start) -> None:
    with TcpProxy(registry.server.port) as proxy:
        proxy.reset(refuse=True)
        running = checker(dsn=through(proxy, registry))
        wait_until(lambda: bool(running.samples()))
        assert running.get("/readyz")[0] == 503
        assert running.get("/healthz")[0] == 200
        proxy.heal()
        running.wait_leading()
        assert running.get("/readyz")[0] == 200


def test_it_has_no_more_rights_than_it_needs(registry: RegistryDatabase) -> None:
    async def refused(statement: str) -> Any:
        import psycopg

        async with await psycopg.AsyncConnection.connect(registry.dsn, autocommit=True) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)

    for statement in (
        "UPDATE model_registry_entries SET desired_state = 'disabled'",
        "DELETE FROM health_checks",
        "UPDATE service_leases SET holder = 'me'",
        "INSERT INTO audit_log DEFAULT VALUES",
    ):
        asyncio.run(refused(statement))
