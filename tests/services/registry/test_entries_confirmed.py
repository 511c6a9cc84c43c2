# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A route that is withdrawn: routers confirm it, requests in flight may end, and nobody is forgotten."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.services.registry.conftest import Run
from tests.services.registry.routers import FollowingRouter, ReportingRouter
from tests.support.model_server import wait_until
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]
Started = Callable[..., Any]

MODEL = "org/Model-7B"
READY = {"status": "ready", "endpoint": "http://model.ml-staging.svc.cluster.local:8000"}
EPOCH = "SELECT epoch FROM registry_epoch"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def router(dsn: str) -> Iterator[Started]:
    """Return a function that starts a router, one that follows by itself unless it says otherwise."""
    started: list[ReportingRouter] = []

    def start(kind: type[ReportingRouter] = FollowingRouter, *arguments: Any, **options: Any) -> Any:
        started.append(kind(dsn, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def assert_unconfirmed(failure: pytest.ExceptionInfo[PlatformError], *routers: str) -> None:
    """Assert that the failure names the routers and says what stands in the registry."""
    error = failure.value
    assert error.error_class is ErrorClass.TIMEOUT
    assert error.details["routers"]["unconfirmed"] == list(routers)
    for name in routers:
        assert name in error.message
    assert "is written" in error.message
    assert "again" in error.resolution


@contextmanager
def while_draining(query: Query, act: Callable[[], Any]) -> Iterator[None]:
    """Do something as soon as the entry is draining, beside what the block does."""

    def watch() -> None:
        deadline = time.monotonic() + 20
        while query("SELECT deployment_status FROM model_registry_entries") != [("draining",)]:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        act()

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    watcher.join(10)


def test_nobody_waits_where_there_is_no_router(entry: Run) -> None:
    entry(**READY)
    started = time.monotonic()
    routers = entry(desired_state="disabled").result["routers"]
    assert time.monotonic() - started < 2
    assert (routers["confirmed"], routers["unconfirmed"], routers["lost"]) == ([], [], [])


def test_routers_confirm_a_withdrawal(entry: Run, query: Query, router: Started) -> None:
    assert entry(**READY).result["routers"] is None
    for name in ("router-a", "router-b"):
        router(FollowingRouter, name)
    routers = entry(desired_state="disabled", status_reason="incident 4711").result["routers"]
    assert routers["confirmed"] == ["router-a", "router-b"]
    assert (routers["unconfirmed"], routers["lost"]) == ([], [])
    assert routers["epoch"] == query(EPOCH)[0][0]
    # They look every 0.05 s, so nobody waited much longer.
    assert 0 <= routers["waited_s"] < 5
    # Nothing to do and confirmed: at once, and nothing written.
    again = entry(desired_state="disabled", status_reason="incident 4711")
    assert not again.changed
    assert again.result["routers"]["epoch"] == routers["epoch"]


@pytest.mark.parametrize(
    "change",
    [
        {"desired_state": "disabled"},
        {"status": "degraded"},
        {"status": "deploying"},
        {"endpoint": "http://elsewhere.ml-staging.svc.cluster.local:8000"},
        {"state": "absent"},
    ],
)
def test_whatever_takes_an_endpoint_away_is_confirmed(
    entry: Run, query: Query, router: Started, change: dict[str, Any]
) -> None:
    entry(**READY)
    stuck = router(ReportingRouter, "router-stuck")
    stuck.report()
    with pytest.raises(PlatformError) as failure:
        entry(**change, routers_timeout=0.2)
    assert_unconfirmed(failure, "router-stuck")
    assert failure.value.details["changed"] is True
    written = query("SELECT row_version, deployment_status FROM model_registry_entries")
    # The row says so, and a second run that finds it written does not give up the wait.
    if "state" in change:
        assert written == [(2, "draining")]
    assert [row[0] for row in written] == [2]
    with pytest.raises(PlatformError) as failure:
        entry(**change, routers_timeout=0.2)
    assert_unconfirmed(failure, "router-stuck")
    assert failure.value.details["changed"] is False
    stuck.take_over()
    last = entry(**change)
    assert last.result["routers"]["confirmed"] == ["router-stuck"]
    assert last.changed is ("state" in change)


@pytest.mark.parametrize(
    "change",
    [{"image": "other:1"}, {"status_reason": "fine"}, {"health_checked": True, "chart_version": "2"}],
)
def test_what_leaves_the_route_alone_waits_for_nobody(
    entry: Run, router: Started, change: dict[str, Any]
) -> None:
    entry(**READY)
    router(ReportingRouter, "router-stuck").report()
    assert entry(**change, routers_timeout=0.2).result["routers"] is None


def test_giving_a_model_to_clients_waits_for_nobody(entry: Run, router: Started) -> None:
    entry(**READY)
    router(ReportingRouter, "router-stuck").report()
    with pytest.raises(PlatformError):
        entry(desired_state="disabled", routers_timeout=0)
    assert entry(desired_state="enabled", status="ready", routers_timeout=0).changed


def test_routers_of_another_environment_and_other_models_do_not_matter(entry: Run, router: Started) -> None:
    entry(**READY)
    entry(**READY, model="another")
    router(ReportingRouter, "router-elsewhere", "production").report()
    here = router(ReportingRouter, "router-here")
    here.report()
    with pytest.raises(PlatformError):
        entry(desired_state="disabled", routers_timeout=0)
    # It sees the withdrawal, and not yet a later change of another entry.
    here.take_over()
    entry(**READY, model="another", image="newer:1")
    routers = entry(desired_state="disabled", routers_timeout=0).result["routers"]
    assert (routers["confirmed"], routers["unconfirmed"]) == (["router-here"], [])


def test_a_router_of_another_registry_has_confirmed_nothing(entry: Run, router: Started) -> None:
    """As after a restore from a backup: its epoch counts changes of another database."""
    entry(**READY)
    router(ReportingRouter, "router-a").report(
        registry_id="00000000-0000-0000-0000-000000000001", epoch=1_000_000
    )
    router(ReportingRouter, "router-b").report(registry_id=None, epoch=None)
    with pytest.raises(PlatformError) as failure:
        entry(desired_state="disabled", routers_timeout=0.1)
    assert_unconfirmed(failure, "router-a", "router-b")


def test_a_lost_router_is_warned_of_and_not_waited_for(entry: Run, router: Started) -> None:
    entry(**READY)
    silent, forgotten, done = (
        router(ReportingRouter, name) for name in ("router-silent", "router-forgotten", "router-done")
    )
    for one in (silent, forgotten, done):
        one.report()
    silent.vanish(16)
    forgotten.vanish(90_000)
    done.say_goodbye()
    outcome = entry(desired_state="disabled", routers_timeout=0)
    assert outcome.result["routers"]["lost"] == ["router-silent"]
    assert outcome.result["routers"]["unconfirmed"] == []
    (warning,) = outcome.warnings
    assert "router-silent" in warning
    assert "router-forgotten" not in warning


def test_a_router_that_falls_silent_while_one_waits_is_lost_in_the_end(entry: Run, router: Started) -> None:
    entry(**READY)
    one = router(ReportingRouter, "router-a")
    one.report()
    # It has been silent for most of the time after which it counts as lost.
    one.vanish(14)
    outcome = entry(desired_state="disabled", routers_timeout=10)
    assert outcome.result["routers"]["lost"] == ["router-a"]
    assert outcome.result["routers"]["waited_s"] < 5


def test_check_mode_waits_for_nobody_and_writes_nothing(entry: Run, query: Query, router: Started) -> None:
    entry(**READY)
    router(ReportingRouter, "router-stuck").report()
    before = query(EPOCH)
    for change in ({"desired_state": "disabled"}, {"state": "absent"}):
        checked = entry(check=True, **change)
        assert checked.changed
        assert checked.result["routers"] is None
    assert query(EPOCH) == before


def test_drain_waits_for_requests_in_flight(entry: Run, query: Query, router: Started) -> None:
    entry(**READY)
    router(FollowingRouter, "router-a", in_flight={MODEL: 20, "another": 1000})
    router(FollowingRouter, "router-b", in_flight={MODEL: 1})
    statuses = []

    def watch() -> None:
        while rows := query("SELECT deployment_status FROM model_registry_entries"):
            statuses.append(rows[0][0])
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    removed = entry(state="absent", status_reason="replaced by a newer one")
    watcher.join(10)
    assert removed.changed
    assert removed.result["drain"]["in_flight"] == 0
    # Twenty requests end, one every 0.05 s; some before both routers have confirmed.
    assert 0.15 < removed.result["drain"]["waited_s"] < 10
    assert removed.result["routers"]["confirmed"] == ["router-a", "router-b"]
    assert removed.warnings == []
    assert removed.diff is not None
    assert (removed.diff["before"]["status"], removed.diff["after"]) == ("ready", {})
    assert set(statuses[1:]) <= {"ready", "draining"}
    assert statuses[-1] == "draining"
    assert query("SELECT action, after ->> 'status_reason' FROM model_registry_history ORDER BY seq")[1:] == [
        ("update", "replaced by a newer one"),
        ("delete", None),
    ]
    # Nothing left to do.
    again = entry(state="absent")
    assert not again.changed
    assert again.result["drain"]["in_flight"] == 0


def test_drain_gives_up_in_time_and_says_what_is_left(entry: Run, query: Query, router: Started) -> None:
    entry(**READY)
    one = router(ReportingRouter, "router-a")
    one.report({MODEL: 3})
    with while_draining(query, lambda: one.take_over({MODEL: 3})):
        removed = entry(state="absent", drain_timeout=0.5)
    assert removed.result["drain"]["in_flight"] == 3
    assert 0.5 <= removed.result["drain"]["waited_s"] < 3
    assert "3 requests" in removed.warnings[0]
    assert query("SELECT count(*) FROM model_registry_entries") == [(0,)]


def test_who_changes_the_entry_while_it_drains_is_not_overwritten(
    entry: Run, query: Query, router: Started
) -> None:
    entry(**READY)
    one = router(ReportingRouter, "router-a")
    one.report({MODEL: 1})

    def change_his_mind() -> None:
        entry(**READY, actor="alice@laptop")
        one.take_over()

    with (
        while_draining(query, change_his_mind),
        pytest.raises(PlatformError, match="alice@laptop") as failure,
    ):
        entry(state="absent")
    assert failure.value.error_class is ErrorClass.FENCED
    assert query("SELECT deployment_status FROM model_registry_entries") == [("ready",)]


def test_a_health_check_does_not_give_back_what_is_being_removed(
    entry: Run, query: Query, router: Started
) -> None:
    entry(**READY)
    entry(status="degraded")
    one = router(ReportingRouter, "router-a")
    one.take_over({MODEL: 1})
    checked: list[tuple[Any, ...]] = []

    def find_it_healthy() -> None:
        checked.extend(
            query(
                "SELECT record_health_check(model_name, 'staging', row_version, true, 0.1, NULL)"
                " FROM model_registry_entries"
            )
        )
        one.take_over()

    with while_draining(query, find_it_healthy):
        assert entry(state="absent").changed
    assert checked == [("draining",)]
    assert query("SELECT count(*) FROM model_registry_entries") == [(0,)]


def test_the_wait_outlives_a_restart_of_the_database(
    entry: Run, server: Server, dsn: str, router: Started
) -> None:
    entry(**READY)
    router(ReportingRouter, "router-a").report()
    outcomes: list[Any] = []
    waiting = threading.Thread(
        target=lambda: outcomes.append(entry(desired_state="disabled", routers_timeout=30))
    )
    waiting.start()
    wait_until(lambda: is_disabled(dsn), 10)
    server.stop()
    time.sleep(0.3)
    server.start()
    assert waiting.is_alive()
    router(ReportingRouter, "router-a").take_over()
    waiting.join(30)
    assert outcomes[0].result["routers"]["confirmed"] == ["router-a"]


def is_disabled(dsn: str) -> bool:
    """Ask with a connection of its own, which no restart can break."""
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT deployment_status FROM model_registry_entries")
        return bool(cursor.fetchone() == ("disabled",))


def test_a_wait_that_fails_says_that_the_entry_is_written(entry: Run, query: Query, router: Started) -> None:
    entry(**READY)
    router(ReportingRouter, "router-a").report()
    query("ALTER TABLE router_instances RENAME TO lost")
    with pytest.raises(PlatformError, match="is written") as failure:
        entry(desired_state="disabled")
    assert failure.value.details["entry"]["status"] == "disabled"
    assert failure.value.details["changed"] is True


def test_bad_times_are_refused(entry: Run) -> None:
    for name in ("routers_timeout", "drain_timeout"):
        for value in (-1.0, float("nan"), 1e9):
            with pytest.raises(PlatformError, match=name):
                entry(**{name: value})
