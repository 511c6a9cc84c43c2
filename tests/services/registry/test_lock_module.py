# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module lock on a real database: one runs, the others are told who; a dead one is followed at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import settings
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import Lease
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import OperationRef
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import lock
from tests.services.registry.conftest import Run
from tests.support.playbooks import ROOT
from tests.support.postgres import Server

TARGET = {"model": "org/Model-7B", "environment": "staging"}


@pytest.fixture
def operate(dsn: str, schema: Run) -> Run:
    """Return a function that runs the operation of module lock on a fresh registry."""
    schema()

    def run(check: bool = False, run_pid: int | None = None, **arguments: Any) -> Outcome:
        given = {"dsn": dsn, **TARGET, **arguments}
        defaults = {name: option.get("default") for name, option in lock.ARGUMENT_SPEC.items()}
        assert set(given) <= set(defaults)
        return lock.run({**defaults, **given}, Context(check_mode=check, run_pid=run_pid))

    return run


def lease_of(dsn: str, started: Outcome) -> Lease:
    """Return the lease of an operation."""
    return Lease(settings({"dsn": dsn}), OperationRef(**started.result["lock"]), lambda line: None)


def dead_process() -> subprocess.Popen[bytes]:
    """Return a process that lives until it is killed."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_second_is_told_who_holds_the_lock_and_gets_it_afterwards(operate: Run) -> None:
    first = operate(actor="alice@bastion", kind="deploy").result
    with pytest.raises(PlatformError) as caught:
        operate(actor="bob@bastion")
    assert caught.value.error_class is ErrorClass.LOCKED
    told = caught.value.details["locked_by"]
    assert told["holder"] == "alice@bastion"
    assert told["operation_id"] == first["lock"]["id"]
    assert told["kind"] == "deploy"
    assert told["since"] < told["expires_at"]
    assert "alice@bastion" in str(caught.value)
    assert first["lock"]["id"] in str(caught.value)
    assert told["expires_at"] in str(caught.value)
    assert caught.value.resolution

    done = operate(state="released", lock=first["lock"]).result
    assert (done["outcome"], done["resumes"]) == ("succeeded", None)
    second = operate(actor="bob@bastion").result
    assert second["lock"]["fence"] == first["lock"]["fence"] + 1
    assert second["resumes"] is None


def test_a_change_that_was_undone_is_a_failure_of_its_own(
    operate: Run, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    started = operate().result
    done = operate(
        state="released",
        lock=started["lock"],
        outcome="rolled_back",
        error_class="workload",
        reason="OOMKilled",
    )
    assert (done.changed, done.result["outcome"], done.warnings) == (True, "rolled_back", [])
    assert query("SELECT outcome, error_class, reason, finished_at IS NOT NULL FROM operations") == [
        ("rolled_back", "workload", "OOMKilled", True)
    ]
    ((action, detail),) = query("SELECT action, detail FROM audit_log WHERE action <> 'operation.started'")
    assert action == "operation.rolled_back"
    assert (detail["error_class"], detail["reason"]) == ("workload", "OOMKilled")
    # It came to its end: nothing is to be gone on with, and who repeats the end is told of the same.
    assert (
        operate(state="released", lock=started["lock"], outcome="failed").result["outcome"] == "rolled_back"
    )
    assert operate().result["resumes"] is None


def test_other_targets_have_other_locks(operate: Run) -> None:
    operate()
    operate(environment="production")
    operate(model="org/Other-7B")


def test_wait_ends_when_the_lock_is_given_back(operate: Run) -> None:
    first = operate(lock_ttl=1.0).result
    waited = operate(lock_timeout=10.0).result
    assert 0.5 < waited["waited_s"] < 6
    assert waited["resumes"] == first["lock"]["id"]


def test_wait_that_is_too_short_says_how_long_it_was(operate: Run) -> None:
    operate(actor="alice@bastion")
    before = time.monotonic()
    with pytest.raises(PlatformError, match=r"alice@bastion.*Waited [1-9] s") as caught:
        operate(lock_timeout=1.2)
    assert caught.value.error_class is ErrorClass.LOCKED
    assert 1.2 <= time.monotonic() - before < 3


def test_lock_that_ran_out_is_taken_and_the_old_operation_interrupted(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    first = operate(lock_ttl=1.0)
    time.sleep(1.1)
    second = operate(actor="bob@bastion")
    assert second.result["resumes"] == first.result["lock"]["id"]
    assert query(
        "SELECT outcome, resumes::text, reason FROM operations ORDER BY fence",
    ) == [
        ("interrupted", None, "its lock ran out"),
        ("running", first.result["lock"]["id"], None),
    ]
    with pytest.raises(PlatformError, match="bob@bastion") as caught, lease_of(dsn, first):
        pytest.fail("a lost lock was renewed")
    assert caught.value.error_class is ErrorClass.FENCED
    late = operate(state="released", lock=first.result["lock"])
    assert (late.changed, late.result["outcome"]) == (False, "interrupted")
    assert late.warnings
    with lease_of(dsn, second) as lease:
        lease.check()


def test_lock_that_ran_out_and_nobody_took_is_still_ours(operate: Run, dsn: str) -> None:
    started = operate(lock_ttl=1.0)
    time.sleep(1.1)
    with lease_of(dsn, started) as lease:
        lease.check()
        with pytest.raises(PlatformError, match="is locked"):
            operate()


def test_lease_keeps_the_lock_alive(operate: Run, dsn: str) -> None:
    started = operate(lock_ttl=1.0)
    with lease_of(dsn, started):
        for _ in range(4):
            time.sleep(0.6)
            with pytest.raises(PlatformError, match="is locked"):
                operate()
    time.sleep(1.1)
    assert operate().result["resumes"] == started.result["lock"]["id"]


def test_run_that_died_on_this_machine_is_followed_at_once(
    operate: Run, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    holder = dead_process()
    try:
        first = operate(run_pid=holder.pid).result["lock"]
        with pytest.raises(PlatformError, match=f"process {holder.pid}"):
            operate()
    finally:
        holder.kill()
        # Until it is waited for, the process is still there, as a zombie.
        time.sleep(0.2)
        second = operate().result
        holder.wait()
    assert second["resumes"] == first["id"]
    assert second["lock"]["fence"] == first["fence"] + 1
    reason = query("SELECT reason FROM operations WHERE outcome = 'interrupted'")[0][0]
    assert f"process {holder.pid}" in reason


def test_run_whose_number_another_process_has_now_is_over(
    operate: Run, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    holder = dead_process()
    try:
        operate(run_pid=holder.pid)
        query("UPDATE operation_locks SET process_started = left(process_started, -1) || 'x'")
        operate()
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("elsewhere", ["", "another-boot pid:[4026531836] 77"])
def test_run_of_another_machine_is_not_judged_from_here(
    operate: Run, query: Callable[..., list[tuple[Any, ...]]], elsewhere: str
) -> None:
    holder = dead_process()
    operate(run_pid=holder.pid)
    holder.kill()
    holder.wait()
    query("UPDATE operation_locks SET process_started = %s", (elsewhere,))
    with pytest.raises(PlatformError, match="is locked"):
        operate()


KEEPER = """
import sys, time
from {core}.registry.connection import settings
from {core}.registry.lease import Lease
from {core}.registry.lock import OperationRef
with Lease(settings({{"dsn": sys.argv[1]}}), OperationRef(sys.argv[2], int(sys.argv[3])), print):
    print("held", flush=True)
    time.sleep(600)
""".format(core="ansible_collections.llmops.platform.plugins.module_utils._core")


def keeper(dsn: str, started: Outcome, query: Callable[..., list[tuple[Any, ...]]]) -> subprocess.Popen[str]:
    """Return a process, of which nothing is known here, that keeps the lock of an operation."""
    query("UPDATE operation_locks SET process_started = 'another-boot pid:[4026531836] 77'")
    held = started.result["lock"]
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPER, dsn, held["id"], str(held["fence"])],
        env={**os.environ, "PYTHONPATH": str(ROOT / "build/collections")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_run_that_died_elsewhere_is_followed_long_before_its_lock_ends(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    first = operate(lock_ttl=600)
    holder = keeper(dsn, first, query)
    silent = "UPDATE operation_locks SET expires_at = clock_timestamp() + make_interval(secs => %s)"
    try:
        # It lives: though it has not renewed its lock for long, nobody follows it.
        query(silent, (150,))
        with pytest.raises(PlatformError, match="is locked"):
            operate()
    finally:
        holder.kill()
        holder.wait()
    # One that only lost its session, and lives, may still be at work.
    query(silent, (202,))
    with pytest.raises(PlatformError, match="is locked"):
        operate()
    query(silent, (198,))
    assert operate(check=True).changed
    second = operate().result
    assert second["resumes"] == first.result["lock"]["id"]
    ((reason,),) = query("SELECT reason FROM operations WHERE outcome = 'interrupted'")
    assert reason.startswith("its session from ")


def test_run_that_is_asleep_elsewhere_keeps_its_lock(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    holder = keeper(dsn, operate(lock_ttl=600), query)
    try:
        os.kill(holder.pid, signal.SIGSTOP)
        with pytest.raises(PlatformError, match="is locked"):
            operate(lock_timeout=1)
    finally:
        holder.kill()
        holder.wait()


def test_operation_between_two_modules_is_not_taken_for_dead(operate: Run, dsn: str) -> None:
    started = operate(lock_ttl=600)
    with lease_of(dsn, started):
        pass
    with pytest.raises(PlatformError, match="is locked"):
        operate()


def test_unlocked_names_its_operation_and_is_on_record(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    started = operate(actor="alice@bastion")
    held = started.result["lock"]["id"]
    with pytest.raises(PlatformError, match=held) as caught:
        operate(state="broken", operation_id=str(uuid.uuid4()))
    assert caught.value.error_class is ErrorClass.LOCKED
    planned = operate(check=True, state="broken", operation_id=held)
    assert planned.changed
    done = operate(state="broken", operation_id=held, reason="lost its way", actor="carol@bastion")
    assert done.changed
    assert done.result["locked_by"]["holder"] == "alice@bastion"
    assert not operate(state="broken", operation_id=held).changed
    assert query("SELECT outcome, reason FROM operations") == [
        ("interrupted", "unlocked by carol@bastion: lost its way")
    ]
    assert query("SELECT actor FROM audit_log WHERE action = 'lock.forced'") == [("carol@bastion",)]
    with pytest.raises(PlatformError, match="carol@bastion") as caught, lease_of(dsn, started):
        pytest.fail("a lock that was taken away was renewed")
    assert caught.value.error_class is ErrorClass.FENCED
    assert operate().result["resumes"] == held


def test_finished_keeps_class_and_reason_and_may_be_repeated(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    started = operate()
    with lease_of(dsn, started) as lease:
        with lease.step("helm install"):
            pass
        with pytest.raises(PlatformError), lease.step("rollout"):
            raise PlatformError(ErrorClass.WORKLOAD, "it crashed, token=hf_abcdefghijklmnopqrstuvwxyz", "")
    ended = {"outcome": "failed", "error_class": "workload", "reason": "postgresql://u:canary@h/x is wrong"}
    given = {"state": "released", "lock": started.result["lock"], **ended}
    assert operate(check=True, **given).changed
    done = operate(**given)
    assert done.changed
    assert [(step["name"], step["outcome"]) for step in done.result["steps"]] == [
        ("helm install", "succeeded"),
        ("rollout", "failed"),
    ]
    again = operate(**{**given, "outcome": "succeeded"})
    assert (again.changed, again.result["outcome"]) == (False, "failed")
    assert query("SELECT outcome, error_class FROM operations") == [("failed", "workload")]
    told = str(query("SELECT reason FROM operations UNION ALL SELECT reason FROM operation_steps"))
    assert "canary" not in told
    assert "abcdefghijkl" not in told
    assert operate().result["resumes"] is None


def test_deployer_has_the_rights_that_an_operation_needs(
    operate: Run, server: Server, database_name: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    user = f"deployer_{uuid.uuid4().hex[:8]}"
    query(f"CREATE ROLE {user} LOGIN PASSWORD 'deployer' IN ROLE llmops_deployer")
    try:
        dsn = server.dsn(database_name, user=user, password="deployer")
        first = operate(dsn=dsn, lock_ttl=1.0)
        with pytest.raises(PlatformError, match="is locked"):
            operate(dsn=dsn)
        with lease_of(dsn, first) as lease, lease.step("helm install"):
            lease.check()
        time.sleep(1.1)
        second = operate(dsn=dsn).result
        assert operate(dsn=dsn, state="broken", operation_id=second["lock"]["id"]).changed
        third = operate(dsn=dsn).result
        assert third["resumes"] == second["lock"]["id"]
        assert operate(dsn=dsn, state="released", lock=third["lock"]).changed
    finally:
        query(f"DROP ROLE {user}")


def test_step_is_on_record_before_it_is_taken(
    operate: Run, dsn: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    started = operate()
    with lease_of(dsn, started) as lease, lease.step("helm install"):
        assert query("SELECT number, name, outcome FROM operation_steps") == [(1, "helm install", "running")]
    assert query("SELECT outcome FROM operation_steps") == [("succeeded",)]


def test_check_mode_says_who_holds_it_and_takes_nothing(
    operate: Run, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    planned = operate(check=True)
    assert (planned.changed, planned.result["lock"], planned.result["locked_by"]) == (True, None, None)
    assert query("SELECT count(*) FROM operation_locks") == [(0,)]
    operate(actor="alice@bastion")
    planned = operate(check=True)
    assert not planned.changed
    assert planned.result["locked_by"]["holder"] == "alice@bastion"
    assert "alice@bastion" in planned.warnings[0]


def test_check_mode_works_before_there_is_a_schema(dsn: str) -> None:
    defaults = {name: option.get("default") for name, option in lock.ARGUMENT_SPEC.items()}
    planned = lock.run({**defaults, "dsn": dsn, **TARGET}, Context(check_mode=True))
    assert planned.changed


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"lock_timeout": -1}, "lock_timeout"),
        ({"lock_ttl": float("nan")}, "lock_ttl"),
        ({"kind": "Deploy it"}, "kind"),
        ({"state": "released"}, "lock"),
        ({"state": "broken"}, "operation_id"),
        ({"state": "broken", "operation_id": "the last one"}, "operation_id"),
        ({"state": "released", "lock": {"id": "x", "fence": 1}}, "lock.id"),
        ({"state": "released", "lock": {"id": str(uuid.uuid4()), "fence": 0}}, "lock.fence"),
        ({"state": "released", "lock": {"id": str(uuid.uuid4()), "fence": 1}}, "lock.id"),
    ],
)
def test_wrong_argument_is_named(operate: Run, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as caught:
        operate(**arguments)
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details["field"] == field
