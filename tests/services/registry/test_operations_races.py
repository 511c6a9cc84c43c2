# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock under those who fight for it, links that break, a database that hangs, and holders who sleep."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import operations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import Lease
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import OperationRef
from tests.services.registry.conftest import Run, open_database
from tests.services.registry.routers import ReportingRouter
from tests.services.registry.test_faults import proxy
from tests.support.model_server import wait_until
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]

MODEL, ENVIRONMENT = "org/Model-7B", "staging"
PROCESSES = 8


@pytest.fixture
def ready(schema: Run) -> None:
    """Have a registry."""
    schema()


def start(
    dsn: str, name: str = "alice@bastion", ttl_s: float = 60.0, pid: int | None = None
) -> operations.Started:
    """Start an operation; raises ``locked``."""
    wanted = operations.Wanted(MODEL, ENVIRONMENT, "deploy", Holder.here(name, pid), ttl_s)
    with open_database(dsn) as database:
        return operations.start(database, wanted, 0.0, lambda line: None)


def end(dsn: str, ref: OperationRef) -> None:
    """Finish an operation well."""
    with open_database(dsn) as database:
        database.transaction(
            lambda session: operations.finish(
                session,
                MODEL,
                ENVIRONMENT,
                ref,
                outcome="succeeded",
                error_class=None,
                reason=None,
                by="test",
            )
        )


def _watch(lease: Lease, seconds: float) -> None:
    """Look at the lease for so long; raises when it is lost."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lease.watch()
        time.sleep(0.02)


def _fight(dsn: str, rounds: int, number: int) -> None:
    """Get the lock again and again, and have a database's own constraint judge that nobody else has it."""
    witness = psycopg2.connect(dsn)
    witness.autocommit = True
    with witness.cursor() as cursor:
        for _ in range(rounds):
            while True:
                try:
                    started = start(dsn, f"fighter-{number}")
                    break
                except PlatformError as error:
                    if error.error_class is not ErrorClass.LOCKED:
                        raise
                    time.sleep(0.002 * (number + 1))
            cursor.execute("INSERT INTO inside VALUES (true, %s)", (number,))
            cursor.execute("INSERT INTO fences (fence) VALUES (%s)", (started.ref.fence,))
            cursor.execute("DELETE FROM inside")
            end(dsn, started.ref)


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("rounds", [6, pytest.param(200, marks=pytest.mark.full)])
def test_never_two_holders_and_fences_only_grow(dsn: str, query: Query, rounds: int) -> None:
    query("CREATE TABLE inside (singleton boolean PRIMARY KEY, number int)")
    query("CREATE TABLE fences (place bigint GENERATED ALWAYS AS IDENTITY, fence bigint)")
    method = multiprocessing.get_context("fork")
    fighters = [method.Process(target=_fight, args=(dsn, rounds, number)) for number in range(PROCESSES)]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join(600)
    assert [fighter.exitcode for fighter in fighters] == [0] * PROCESSES
    fences = [fence for (fence,) in query("SELECT fence FROM fences ORDER BY place")]
    assert fences == list(range(1, PROCESSES * rounds + 1))
    assert query("SELECT outcome, count(*) FROM operations GROUP BY 1") == [("succeeded", PROCESSES * rounds)]


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("committed", [True, False])
def test_answer_to_the_start_is_lost(dsn: str, server: Server, query: Query, committed: bool) -> None:
    with proxy(server.port, committed) as link:
        where = settings({"dsn": dsn, "login_port": link.port, "ssl_mode": "disable"})
        wanted = operations.Wanted(MODEL, ENVIRONMENT, "deploy", Holder("alice@bastion"), 60.0)
        with Database(where, Deadline(20)) as database:
            started = operations.start(database, wanted, 0.0, lambda line: None)
    assert link.committing.is_set()
    # One operation with one fence, whichever of the two happened, and its lock can be kept and given back.
    assert query("SELECT operation_id::text, fence FROM operation_locks") == [
        (started.ref.id, started.ref.fence)
    ]
    assert query("SELECT id::text, fence, outcome FROM operations") == [(started.ref.id, 1, "running")]
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        lease.check()
    end(dsn, started.ref)
    assert start(dsn).ref.fence == 2


@pytest.mark.usefixtures("ready")
def test_a_lease_asks_over_one_connection(dsn: str, query: Query) -> None:
    """PostgreSQL starts a process for each: ten models made 140 of them."""
    started = start(dsn)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        with lease.step("helm upgrade"):
            pass
        backends = "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE datname = current_database()"
        mine = (
            "SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'llmops.platform'"
        )
        (before,) = query(mine)[0]
        assert before is not None
        for name in ("rollout", "verify"):
            with lease.step(name):
                pass
        assert query(mine) == [(before,)]
        assert query(backends)[0][0] <= 2
        # One that broke is replaced.
        query("SELECT pg_terminate_backend(%s)", (before,))
        with lease.step("register"):
            pass
        assert query(mine)[0][0] not in (None, before)
    # A server ends the process of a closed connection in its own time.
    wait_until(lambda: query(mine) == [(None,)])
    end(dsn, started.ref)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that does nothing; it is killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.usefixtures("ready")
def test_paused_holder_keeps_its_lock_until_it_ends(dsn: str, sleeper: subprocess.Popen[bytes]) -> None:
    start(dsn, ttl_s=1.5, pid=sleeper.pid)
    os.kill(sleeper.pid, signal.SIGSTOP)
    with pytest.raises(PlatformError, match="is locked"):
        start(dsn)
    time.sleep(1.6)
    assert start(dsn).ref.fence == 2


@pytest.mark.usefixtures("ready")
def test_lost_lock_stops_the_next_write(dsn: str, entry: Run, query: Query) -> None:
    started = start(dsn, ttl_s=4.0)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
        other = start(dsn, "bob@bastion")
        with pytest.raises(PlatformError, match=r"bob@bastion.* took over with fence 2") as caught:
            _watch(lease, 10)
        assert caught.value.error_class is ErrorClass.FENCED
        assert caught.value.details["locked_by"]["operation_id"] == other.ref.id
        with pytest.raises(PlatformError, match="bob@bastion"):
            lease.check()
        with pytest.raises(PlatformError, match="bob@bastion"), lease.step("helm upgrade"):
            pytest.fail("the step was taken without the lock")
    with pytest.raises(PlatformError, match="bob@bastion") as caught:
        entry(status="pending", lock=started.ref.as_json())
    assert caught.value.error_class is ErrorClass.FENCED
    assert query("SELECT count(*) FROM model_registry_entries") == [(0,)]
    assert query("SELECT count(*) FROM operation_steps") == [(0,)]


def _work(dsn: str, ref: OperationRef, told: Connection) -> None:
    """Hold a lease and say when it is held, and at the next write what came of it."""
    with Lease(settings({"dsn": dsn}), ref, lambda line: None) as lease:
        told.send("held")
        told.recv()
        try:
            lease.check()
        except PlatformError as error:
            told.send(error.error_class.value)
            return
        told.send("written")


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(("asleep_s", "came_of_it"), [(0.2, "written"), (2.5, "fenced")])
def test_holder_who_slept_past_the_end_of_his_lock_writes_nothing_though_nobody_took_it(
    dsn: str, query: Query, asleep_s: float, came_of_it: str
) -> None:
    started = start(dsn, ttl_s=2.0)
    method = multiprocessing.get_context("fork")
    ours, theirs = method.Pipe()
    holder = method.Process(target=_work, args=(dsn, started.ref, theirs))
    holder.start()
    assert ours.recv() == "held"
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(asleep_s)
    before = query("SELECT expires_at FROM operation_locks")
    ours.send("go on")
    os.kill(holder.pid, signal.SIGCONT)
    assert ours.recv() == came_of_it
    holder.join(10)
    if came_of_it == "fenced":
        assert query("SELECT expires_at FROM operation_locks") == before
    # Whoever starts now may have it again: nobody was at work meanwhile.
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        lease.check()


def _remove(entry: Run, ref: OperationRef, told: Connection) -> None:
    """Remove the entry and say what came of it."""
    try:
        entry(state="absent", lock=ref.as_json())
    except PlatformError as error:
        told.send((error.error_class.value, str(error)))
        return
    told.send(("removed", ""))


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(("asleep_s", "came_of_it"), [(0.2, "removed"), (2.5, "fenced")])
def test_removal_that_slept_past_the_end_of_its_lock_writes_nothing_though_nobody_took_it(
    dsn: str, entry: Run, query: Query, asleep_s: float, came_of_it: str
) -> None:
    entry(status="ready", endpoint="http://model:8000")
    router = ReportingRouter(dsn, "router-a")
    router.take_over({MODEL: 1})
    started = start(dsn, ttl_s=2.0)
    method = multiprocessing.get_context("fork")
    ours, theirs = method.Pipe()
    remover = method.Process(target=_remove, args=(entry, started.ref, theirs))
    remover.start()
    wait_until(lambda: query("SELECT deployment_status FROM model_registry_entries") == [("draining",)])
    # It waits for the request that is in flight.
    router.take_over({MODEL: 1})
    assert remover.pid is not None
    os.kill(remover.pid, signal.SIGSTOP)
    time.sleep(asleep_s)
    router.take_over()
    os.kill(remover.pid, signal.SIGCONT)
    outcome, message = ours.recv()
    remover.join(10)
    router.close()
    assert outcome == came_of_it, message
    left = [("draining",)] if came_of_it == "fenced" else []
    assert query("SELECT deployment_status FROM model_registry_entries") == left
    if came_of_it == "fenced":
        assert "it ran out at" in message


@pytest.mark.usefixtures("ready")
def test_lease_does_not_renew_a_lock_that_ran_out(dsn: str, query: Query) -> None:
    started = start(dsn)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
        before = query("SELECT expires_at FROM operation_locks")
        time.sleep(1.1)
        with pytest.raises(PlatformError, match="it ran out at") as caught:
            lease.check()
        assert caught.value.error_class is ErrorClass.FENCED
        assert caught.value.details["locked_by"] is None
    assert query("SELECT expires_at FROM operation_locks") == before


@pytest.mark.usefixtures("ready")
def test_lease_asks_the_database_before_a_write(dsn: str, query: Query) -> None:
    started = start(dsn)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        time.sleep(1.1)
        query("UPDATE operation_locks SET operation_id = NULL")
        # The thread looks again in 15 s only.
        lease.watch()
        with pytest.raises(PlatformError) as caught:
            lease.check()
        assert caught.value.error_class is ErrorClass.FENCED


@pytest.mark.usefixtures("ready")
def test_database_that_hangs_ends_the_permission_before_the_lock(
    dsn: str, server: Server, query: Query
) -> None:
    assert server.process is not None
    started = start(dsn, ttl_s=3.0)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        begin = time.monotonic()
        # The server, and the process of the connection that the lease has.
        mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'llmops.platform'"
        hanging = [server.process.pid, *(pid for (pid,) in query(mine))]
        assert len(hanging) == 2
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(PlatformError, match="was not renewed") as caught:
                _watch(lease, 10)
            lost_after = time.monotonic() - begin
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)
        assert caught.value.error_class is ErrorClass.FENCED
        # Renewed at the latest just before; two thirds of the three seconds.
        assert 1.0 < lost_after < 3.0
    # Nobody took it meanwhile, so the next module of the run may go on with it.
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        lease.check()


@pytest.mark.usefixtures("ready")
def test_entry_is_changed_by_the_holder_only(dsn: str, entry: Run, query: Query) -> None:
    entry(status="pending")
    started = start(dsn, "alice@bastion")
    with pytest.raises(PlatformError, match="alice@bastion") as caught:
        entry(status="failed")
    assert caught.value.error_class is ErrorClass.LOCKED
    entry(status="deploying", lock=started.ref.as_json())
    assert query("SELECT operation_id::text FROM model_registry_history ORDER BY seq") == [
        (None,),
        (started.ref.id,),
    ]
    # What a person wants is done at once, whoever is at work.
    entry(desired_state="disabled")
    end(dsn, started.ref)
    with pytest.raises(PlatformError) as caught:
        entry(namespace="elsewhere", lock=started.ref.as_json())
    assert caught.value.error_class is ErrorClass.FENCED
    assert "it is succeeded" in str(caught.value)
    entry(namespace="elsewhere")


@pytest.mark.usefixtures("ready")
def test_entry_may_be_changed_with_a_lock_that_ran_out_and_nobody_took(
    dsn: str, entry: Run, query: Query
) -> None:
    started = start(dsn)
    query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
    assert entry(status="pending", lock=started.ref.as_json()).changed


@pytest.mark.usefixtures("ready")
def test_entry_of_a_run_that_died_here_is_free(
    dsn: str, entry: Run, query: Query, sleeper: subprocess.Popen[bytes]
) -> None:
    start(dsn, pid=sleeper.pid)
    with pytest.raises(PlatformError, match="is locked"):
        entry(status="pending")
    sleeper.kill()
    sleeper.wait()
    entry(status="pending", actor="carol@bastion")
    assert query("SELECT outcome FROM operations") == [("interrupted",)]
    assert query("SELECT actor FROM audit_log WHERE action = 'lock.forced'") == [("carol@bastion",)]
    assert query("SELECT operation_id FROM operation_locks") == [(None,)]
