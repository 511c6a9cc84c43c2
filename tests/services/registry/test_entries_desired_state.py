# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the operator wants against what deployments do: it lasts, and never waits for a lock."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.services.registry.conftest import Run
from tests.services.registry.routers import FollowingRouter

Query = Callable[..., list[tuple[Any, ...]]]

READY = {"status": "ready", "endpoint": "http://model.ml-staging.svc.cluster.local:8000", "status_reason": ""}
STATES = "SELECT deployment_status, desired_state, status_reason FROM model_registry_entries"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def lock(query: Query) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the lock of the target to a new operation of somebody else."""

    def take(seconds: float = 60) -> dict[str, Any]:
        identity = str(uuid.uuid4())
        ((fence,),) = query(
            "INSERT INTO operation_locks AS held"
            " (model_name, deployment_environment, operation_id, holder, host, expires_at)"
            " VALUES ('org/Model-7B', 'staging', %s, 'bob@awx', 'awx', now() + make_interval(secs => %s))"
            " ON CONFLICT (model_name, deployment_environment) DO UPDATE SET"
            "  fence = held.fence + 1, operation_id = excluded.operation_id, expires_at = excluded.expires_at"
            " RETURNING fence",
            (identity, seconds),
        )
        query(
            "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
            " VALUES (%s, 'org/Model-7B', 'staging', 'deploy', 'bob@awx', %s)",
            (identity, fence),
        )
        return {"id": identity, "fence": fence}

    return take


def test_a_redeploy_never_enables_what_a_person_disabled(entry: Run, query: Query) -> None:
    entry(**READY)
    entry(desired_state="disabled", status_reason="incident 4711", actor="alice@laptop")
    assert query(STATES) == [("disabled", "disabled", "incident 4711")]
    # A redeploy that keeps the old pods serving.
    again = entry(**READY, release_revision=2, image="vllm:2")
    assert query(STATES) == [("disabled", "disabled", "incident 4711")]
    assert again.result["entry"]["release_revision"] == 2
    (warning,) = again.warnings
    assert "stays disabled" in warning
    assert "llmops.platform.enable" in warning
    assert not entry(**READY, release_revision=2, image="vllm:2").changed
    # One that interrupts the service.
    entry(status="deploying", status_reason="upgrade")
    assert query(STATES) == [("deploying", "disabled", "upgrade")]
    entry(**READY)
    assert query(STATES) == [("disabled", "disabled", None)]
    entry(status="degraded")
    assert query(STATES)[0][:2] == ("disabled", "disabled")
    # One that fails.
    entry(status="failed", status_reason="OOM")
    assert query(STATES) == [("failed", "disabled", "OOM")]


def test_enabling_alone_does_not_route(entry: Run, query: Query) -> None:
    entry(**READY)
    entry(desired_state="disabled")
    enabled = entry(desired_state="enabled")
    assert enabled.changed
    assert query(STATES)[0][:2] == ("disabled", "enabled")
    entry(**READY, desired_state="enabled")
    assert query(STATES)[0][:2] == ("ready", "enabled")


def test_the_status_disabled_means_it(entry: Run, query: Query) -> None:
    entry(**READY)
    entry(status="disabled")
    entry(**READY)
    assert query(STATES)[0][:2] == ("disabled", "disabled")
    # Unless it is said otherwise.
    entry(desired_state="enabled", status="disabled")
    entry(**READY)
    assert query(STATES)[0][:2] == ("ready", "enabled")


def test_a_model_may_be_disabled_before_it_is_deployed(entry: Run, query: Query) -> None:
    entry(desired_state="disabled")
    entry(status="deploying")
    entry(**READY)
    assert query(STATES)[0][:2] == ("disabled", "disabled")


def test_the_table_itself_keeps_to_it(entry: Run, query: Query) -> None:
    entry(**READY)
    entry(desired_state="disabled")
    for status in ("ready", "degraded"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            query("UPDATE model_registry_entries SET deployment_status = %s", (status,))


def test_the_diff_shows_the_desired_state(entry: Run) -> None:
    entry(**READY)
    checked = entry(check=True, desired_state="disabled")
    assert checked.diff is not None
    assert (checked.diff["before"]["desired_state"], checked.diff["before"]["status"]) == ("enabled", "ready")
    assert (checked.diff["after"]["desired_state"], checked.diff["after"]["status"]) == (
        "disabled",
        "disabled",
    )
    assert entry(desired_state="disabled").diff == checked.diff


def test_a_conflict_about_the_desired_state_says_who_disabled_it(entry: Run, query: Query) -> None:
    seen = entry(**READY).result["entry"]["version"]
    entry(desired_state="disabled", actor="alice@laptop")
    for changes in (READY, {"desired_state": "enabled"}, {**READY, "image": "vllm:2"}):
        with pytest.raises(PlatformError) as failure:
            entry(**changes, expected_version=seen)
        error = failure.value
        assert error.error_class is ErrorClass.FENCED
        assert "alice@laptop changed it at" in error.message
        assert error.details["changed_by"] == "alice@laptop"
    assert query(STATES)[0][:2] == ("disabled", "disabled")


def test_only_the_holder_of_the_lock_writes(
    entry: Run, query: Query, lock: Callable[..., dict[str, Any]]
) -> None:
    entry(**READY)
    before = query("SELECT * FROM model_registry_entries")
    operation = lock()
    manifest = {"release_name": "m", "release_revision": 1, "manifest_digest": "a1" * 32, "manifest": {}}
    for change in ({"status": "deploying"}, {"image": "vllm:2"}, {"state": "absent"}, manifest):
        with pytest.raises(PlatformError, match="bob@awx") as failure:
            entry(**change)
        assert failure.value.error_class is ErrorClass.LOCKED
    # Nothing to write: nobody to be kept out.
    assert not entry(**READY).changed
    assert query("SELECT * FROM model_registry_entries") == before
    assert query("SELECT count(*) FROM deployment_manifests") == [(0,)]
    written = entry(status="deploying", lock=operation)
    assert written.changed
    assert query("SELECT operation_id::text FROM model_registry_history ORDER BY seq") == [
        (None,),
        (operation["id"],),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"desired_state": "disabled"},
        {"desired_state": "disabled", "status": "disabled", "status_reason": "wrong answers"},
        {"status": "disabled"},
    ],
)
def test_an_operator_may_disable_while_a_deployment_runs(
    entry: Run, query: Query, lock: Callable[..., dict[str, Any]], change: dict[str, Any]
) -> None:
    entry(**READY)
    operation = lock()
    assert entry(**change, actor="alice@laptop").changed
    assert query(STATES)[0][:2] == ("disabled", "disabled")
    # The deployment goes on, and does not undo it.
    entry(**READY, release_revision=2, lock=operation)
    assert query(STATES)[0][:2] == ("disabled", "disabled")
    assert entry(desired_state="enabled").changed
    assert query(STATES)[0][:2] == ("disabled", "enabled")


@pytest.mark.parametrize(
    "change",
    [
        {"desired_state": "enabled", "status": "ready"},
        {"desired_state": "disabled", "image": "vllm:2"},
        {"status_reason": "only a note"},
    ],
)
def test_more_than_the_desired_state_needs_the_lock(
    entry: Run, lock: Callable[..., dict[str, Any]], change: dict[str, Any]
) -> None:
    entry(**READY)
    entry(status="deploying")
    lock()
    with pytest.raises(PlatformError) as failure:
        entry(**change)
    assert failure.value.error_class is ErrorClass.LOCKED


def test_check_mode_says_who_would_keep_a_run_from_it(
    entry: Run, query: Query, lock: Callable[..., dict[str, Any]]
) -> None:
    entry(**READY, release_name="m", release_revision=1, manifest_digest="a1" * 32)
    operation = lock()
    kept: list[dict[str, Any]] = [
        {"image": "vllm:2"},
        {"status": "failed"},
        {"state": "absent"},
        {"manifest": {}},
    ]
    for change in kept:
        checked = entry(check=True, **change)
        assert checked.changed
        (warning,) = checked.warnings
        assert "bob@awx" in warning
    # What nobody needs the lock for, or this operation has it for, and what changes nothing.
    free: list[dict[str, Any]] = [
        {"desired_state": "disabled"},
        {"image": "vllm:2", "lock": operation},
        READY,
    ]
    for change in free:
        assert entry(check=True, **change).warnings == []
    assert entry(check=True, model="another", status="pending").warnings == []
    query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
    assert entry(check=True, image="vllm:2").warnings == []


def test_an_operation_that_lost_its_lock_writes_nothing(
    entry: Run, query: Query, lock: Callable[..., dict[str, Any]]
) -> None:
    entry(**READY)
    paused = lock(seconds=0.01)
    successor = lock()
    before = query("SELECT * FROM model_registry_entries")
    # Not even the desired state: whoever gives an operation wants to be told.
    for change in ({"status": "failed"}, {"state": "absent"}, {"desired_state": "disabled"}):
        with pytest.raises(PlatformError) as failure:
            entry(**change, lock=paused)
        assert failure.value.error_class is ErrorClass.FENCED
    assert query("SELECT * FROM model_registry_entries") == before
    entry(status="failed", lock=successor)


def test_the_lock_is_kept_while_an_entry_drains(
    entry: Run, query: Query, dsn: str, lock: Callable[..., dict[str, Any]]
) -> None:
    """Nobody renews it but the module, and the wait is longer than it lasts."""
    entry(**READY)
    operation = lock()
    query("UPDATE operation_locks SET ttl_s = 1.5, expires_at = now() + interval '1.5 s'")
    router = FollowingRouter(dsn, "router-a", lag_s=0.1, in_flight={"org/Model-7B": 20})
    held: list[bool] = []

    def watch() -> None:
        while query("SELECT 1 FROM model_registry_entries"):
            held.append(query("SELECT expires_at > clock_timestamp() FROM operation_locks")[0][0])
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        removed = entry(state="absent", lock=operation)
    finally:
        query("DELETE FROM model_registry_entries")
        watcher.join(10)
        router.close()
    assert removed.result["drain"]["in_flight"] == 0
    assert removed.result["drain"]["waited_s"] > 1.5
    assert len(held) > 10
    assert all(held)
    assert query("SELECT DISTINCT operation_id::text FROM model_registry_history WHERE seq > 1") == [
        (operation["id"],)
    ]


def test_an_operation_on_another_target_is_refused(entry: Run, lock: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(PlatformError, match="lock") as failure:
        entry(model="another", lock=lock(), **READY)
    assert failure.value.error_class is ErrorClass.INVALID


def test_after_the_lock_ended_everybody_writes(entry: Run, lock: Callable[..., dict[str, Any]]) -> None:
    entry(**READY)
    lock(seconds=-1)
    assert entry(image="vllm:2").changed


@pytest.mark.parametrize("value", [{"id": "no-id", "fence": 1}, {"id": str(uuid.uuid4()), "fence": 0}])
def test_a_broken_operation_is_refused(entry: Run, value: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as failure:
        entry(**READY, lock=value)
    assert failure.value.error_class is ErrorClass.INVALID
