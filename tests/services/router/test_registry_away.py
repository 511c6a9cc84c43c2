# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry restarts, vanishes without a word, or was never there: what is known goes on being served."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter, prepare_template
from tests.services.router.test_routing import chat, error
from tests.support.listeners import closed_port
from tests.support.model_server import wait_until
from tests.support.pgbouncer import pooler
from tests.support.postgres import Server, private_server
from tests.support.router_process import RouterProcess
from tests.support.tcp_proxy import TcpProxy


def ready(router: RouterProcess) -> dict[str, object]:
    """Return what a router says of itself."""
    found: dict[str, object] = router.get("/readyz").json
    return found


def is_listening(router: RouterProcess) -> bool:
    """Say whether changes are announced to a router."""
    listening: bool = router.get("/readyz").json["listening"]["ok"]
    return listening


def lives(router: RouterProcess) -> bool:
    """Say whether a router's process answers."""
    try:
        return router.get("/healthz").status == 200
    except OSError:
        return False


def through(registry: RegistryRows, proxy: TcpProxy) -> str:
    """Return the registry's DSN by way of a proxy."""
    return registry.server.dsn(registry.database, port=str(proxy.port))


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """Return a server that a test may stop."""
    with private_server() as running:
        prepare_template(running)
        yield running


def test_a_restarted_registry_is_found_again(
    own_postgres: Server, start_router: StartRouter, start_engine: StartEngine
) -> None:
    rows = RegistryRows(own_postgres, "template_registry")
    engine = start_engine()
    rows.put("org/chat", engine.url)
    router = start_router(dsn=rows.dsn)
    wait_until(lambda: is_listening(router))
    own_postgres.stop()
    wait_until(lambda: ready(router)["status"] == "degraded", 5)
    assert router.get("/readyz").status == 200
    assert "llmops_router_registry_up 0.0" in router.get("/metrics").text
    assert chat(router).status == 200

    def seconds_of_a_refusal() -> float:
        started = time.monotonic()
        unknown = chat(router, "org/none")
        assert (unknown.status, error(unknown)["code"]) == (503, "registry_unavailable")
        assert "retry-after" in unknown.headers
        return time.monotonic() - started

    # The best of three: others may be at work on this machine.
    assert min(seconds_of_a_refusal() for _time in range(3)) < 0.5
    own_postgres.start()
    rows.close()
    rows = RegistryRows(own_postgres, "template_registry")
    rows.put("org/second", engine.url)
    rows.put("org/chat", engine.url, "disabled", "disabled")
    wait_until(lambda: ready(router)["status"] == "ready", 5)
    wait_until(lambda: chat(router).status == 404, 5)
    assert chat(router, "org/none").status == 404
    wait_until(lambda: is_listening(router), 5)
    rows.close()


def test_a_lost_connection_costs_no_poll_interval(registry: RegistryRows, start_router: StartRouter) -> None:
    """As when a firewall forgets it or a pooler restarts: the registry itself is there."""
    router = start_router(poll_interval_s="60")
    wait_until(lambda: is_listening(router))
    # All but the one that listens, which would be heard of at once.
    terminated = registry.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query NOT LIKE 'LISTEN%'"
    )
    assert terminated == [(True,)]
    registry.put("org/chat", None, "disabled", "disabled")
    wait_until(lambda: registry.query("SELECT epoch FROM router_instances") == [(registry.epoch(),)])


def test_a_frozen_registry_holds_up_no_request(
    own_postgres: Server, start_router: StartRouter, start_engine: StartEngine
) -> None:
    rows = RegistryRows(own_postgres, "template_registry")
    rows.put("org/chat", start_engine().url)
    router = start_router(dsn=rows.dsn, registry_timeout_s="2")
    rows.close()
    assert own_postgres.process is not None
    backends = _pids(own_postgres)
    _signal(backends, signal.SIGSTOP)
    own_postgres.process.send_signal(signal.SIGSTOP)
    try:
        for _number in range(30):
            started = time.monotonic()
            assert chat(router).status == 200
            assert time.monotonic() - started < 1
            time.sleep(0.05)
        wait_until(lambda: ready(router)["status"] == "degraded", 10)
        assert error(chat(router, "org/none"))["code"] == "registry_unavailable"
    finally:
        own_postgres.process.send_signal(signal.SIGCONT)
        _signal(backends, signal.SIGCONT)
    wait_until(lambda: ready(router)["status"] == "ready", 10)


def _pids(server: Server) -> list[int]:
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'llmops-router%'")
        found = cursor.fetchall()
    connection.close()
    return [int(pid) for (pid,) in found]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def test_never_loaded_is_not_ready(registry: RegistryRows, start_router: StartRouter) -> None:
    registry.put("org/chat", f"http://127.0.0.1:{closed_port()}")
    with TcpProxy(registry.server.port) as proxy:
        proxy.reset(refuse=True)
        router = start_router(wait=False, dsn=through(registry, proxy))
        wait_until(lambda: lives(router), 10)
        found = router.get("/readyz")
        assert (found.status, found.json["status"]) == (503, "loading")
        for reply in (chat(router), router.get("/v1/models")):
            assert (reply.status, error(reply)["code"]) == (503, "registry_unavailable")
        proxy.heal()
        router.wait_ready(10)


def test_where_the_registry_is_and_who_asks_it_is_for_the_log_only(
    registry: RegistryRows, start_router: StartRouter
) -> None:
    """Clients may read the page, and need no key for it."""
    router = start_router(wait=False, dsn="host=127.0.0.1 port=1 user=secret-user dbname=secret-base")
    wait_until(lambda: lives(router), 10)
    wait_until(lambda: ready(router)["registry"] == {"state": "unavailable"})
    wait_until(lambda: ready(router)["listening"] == {"ok": False, "problem": "unavailable"})
    assert "127.0.0.1" not in router.get("/readyz").text
    assert "port 1 failed" in router.log.read_text()
    refused = start_router("b", wait=False, dsn=registry.server.dsn(registry.database, user="secret-user"))
    wait_until(lambda: lives(refused), 10)
    wait_until(lambda: ready(refused)["registry"]["state"] != "pending")  # type: ignore[index]
    wait_until(lambda: ready(refused)["listening"]["problem"] != "pending")  # type: ignore[index]
    assert "secret-user" not in refused.get("/readyz").text
    assert "secret-user" in refused.log.read_text()


def test_a_lost_listen_connection_costs_a_second_and_comes_back(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    registry.put("org/chat", engine.url)
    router = start_router()
    wait_until(lambda: is_listening(router))
    registry.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'llmops-router-listen' AND datname = %s",
        registry.database,
    )
    registry.put("org/chat", engine.url, "disabled", "disabled")
    wait_until(lambda: chat(router).status == 404, 2)
    wait_until(lambda: is_listening(router), 5)


def test_a_listen_connection_that_swallows_is_noticed(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    """Both ends of the LISTEN connection believe in it, and nothing comes through any more."""
    engine = start_engine()
    registry.put("org/chat", engine.url)
    with TcpProxy(registry.server.port) as proxy:
        router = start_router(listen_dsn=through(registry, proxy))
        wait_until(lambda: is_listening(router))
        assert proxy.swallow(b"LISTEN") == 1
        registry.put("org/chat", engine.url, "disabled", "disabled")
        wait_until(lambda: chat(router).status == 404, 2)
        wait_until(lambda: "was not announced" in router.log.read_text(), 5)
        wait_until(lambda: is_listening(router), 5)


def test_the_main_connection_that_swallows_is_noticed(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    registry.put("org/chat", engine.url)
    with TcpProxy(registry.server.port) as proxy:
        router = start_router(dsn=through(registry, proxy), listen_dsn=registry.dsn, registry_timeout_s="0.5")
        wait_until(lambda: is_listening(router))
        proxy.swallow()
        wait_until(lambda: ready(router)["status"] == "degraded", 5)
        registry.put("org/chat", engine.url, "disabled", "disabled")
        assert chat(router).status == 200
        proxy.heal()
        wait_until(lambda: chat(router).status == 404, 5)


def test_another_registry_is_read_whatever_its_epoch(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    for model in ("org/chat", "org/second"):
        registry.put(model, engine.url)
    router = start_router()
    assert len(router.get("/v1/models").json["data"]) == 2
    registry.remove("org/second")
    registry.query("UPDATE registry_epoch SET registry_id = gen_random_uuid(), epoch = 1")
    wait_until(lambda: ready(router)["epoch"] == 1, 3)
    assert [model["id"] for model in router.get("/v1/models").json["data"]] == ["org/chat"]


def test_a_standby_that_lags_is_not_believed(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    """An older picture could bring a disabled model back. A standby takes no reports."""
    registry.put("org/chat", start_engine().url, "disabled", "disabled")
    epoch = registry.epoch()
    router = start_router()
    # One transaction: nobody ever sees the row with a newer epoch.
    registry.query(
        "DROP FUNCTION router_heartbeat;"
        " UPDATE model_registry_entries SET desired_state = 'enabled', deployment_status = 'ready';"
        " UPDATE registry_epoch SET epoch = %s",
        epoch - 1,
    )
    wait_until(lambda: ready(router)["status"] == "degraded", 3)
    time.sleep(1.5)
    assert ready(router)["epoch"] == epoch
    assert error(chat(router))["code"] == "model_disabled"


def test_a_primary_that_went_back_is_followed(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    """It learns from a router that it has lost changes, and goes on from an epoch that nobody has."""
    registry.put("org/chat", start_engine().url)
    router = start_router()
    assert chat(router).status == 200
    had = registry.epoch()
    registry.query(
        "UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled';"
        " UPDATE registry_epoch SET epoch = epoch - 3"
    )
    wait_until(lambda: chat(router).status == 404, 8)
    wait_until(lambda: ready(router)["status"] == "ready")
    wait_until(lambda: ready(router)["epoch"] == registry.epoch() > had)


def test_changes_that_a_failover_lost_are_not_taken_for_others(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    """The new primary never saw the last change; another one has its epoch now."""
    registry.put("org/chat", start_engine().url)
    epoch = registry.epoch()
    router = start_router()
    wait_until(lambda: is_listening(router))
    assert chat(router).status == 200
    registry.query(
        "UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled';"
        " UPDATE registry_epoch SET epoch = %s;"
        " SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'llmops-router%%' AND datname = current_database()",
        epoch,
    )
    wait_until(lambda: chat(router).status == 404, 5)
    assert ready(router)["epoch"] == epoch


def test_a_failed_read_is_no_empty_registry(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine().url)
    router = start_router()
    registry.query("ALTER VIEW model_states RENAME TO model_states_away")
    registry.query("UPDATE registry_epoch SET epoch = epoch + 1")
    wait_until(lambda: ready(router)["status"] == "degraded", 3)
    assert ready(router)["registry"] == {"state": "refused"}
    assert "playbook registry" in router.log.read_text()
    assert chat(router).status == 200
    registry.query("ALTER VIEW model_states_away RENAME TO model_states")
    wait_until(lambda: ready(router)["status"] == "ready", 3)


def test_a_registry_that_takes_no_reports_is_still_followed(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    registry.put("org/chat", engine.url)
    registry.query("DROP FUNCTION router_heartbeat")
    router = start_router()
    assert chat(router).status == 200
    registry.put("org/chat", engine.url, "disabled", "disabled")
    wait_until(lambda: chat(router).status == 404, 3)
    assert ready(router)["registry"] == {"state": "refused"}
    assert "takes no reports" in router.log.read_text()


def test_the_rights_of_its_database_role_suffice(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    registry.put("org/chat", engine.url)
    name = f"router_{registry.database}"
    registry.query(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE llmops_router")
    try:
        router = start_router(dsn=registry.server.dsn(registry.database, user=name, password="x"))
        wait_until(lambda: is_listening(router))
        assert chat(router).status == 200
        assert ready(router)["status"] == "ready"
        # It reports after it listens, in a task of its own.
        wait_until(lambda: registry.query("SELECT instance FROM router_instances") == [("a",)])
        router.send(signal.SIGTERM)
        assert router.process is not None
        assert router.process.wait(10) == 0
        assert registry.query("SELECT instance FROM router_instances") == []
    finally:
        registry.query(f"DROP ROLE {name}")


def test_a_pooler_that_delivers_nothing_is_told(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    """In transaction mode, LISTEN succeeds and hears nothing; all else works, at the pace of the poll."""
    engine = start_engine()
    registry.put("org/chat", engine.url)
    with pooler(registry.server, registry.database) as dsn:
        pooled = start_router("a", dsn=dsn)
        direct = start_router("b", dsn=dsn, listen_dsn=registry.dsn)
        wait_until(lambda: pooled.get("/readyz").json["listening"] == {"ok": False, "problem": "deaf"}, 8)
        assert "LLMOPS_ROUTER_LISTEN_DSN" in pooled.log.read_text()
        assert ready(pooled)["status"] == "ready"
        assert "llmops_router_listening 0.0" in pooled.get("/metrics").text
        wait_until(lambda: is_listening(direct))
        registry.put("org/chat", engine.url, "disabled", "disabled")
        wait_until(lambda: chat(direct).status == chat(pooled).status == 404, 2)
