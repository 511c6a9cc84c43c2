# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The views and functions that routers and health checkers use: their contract with the registry."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from tests.services.registry.conftest import Run
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]

EPOCH = "SELECT epoch FROM registry_epoch"
ENTRY = "SELECT deployment_status, desired_state, row_version, status_reason FROM model_registry_entries"
COUNTS = "SELECT consecutive_failures, consecutive_successes, row_version FROM health_states"
HEARTBEAT = "SELECT registry_id::text, epoch FROM router_heartbeat(%s, %s, %s, %s, %s)"


@pytest.fixture(autouse=True)
def _with_schema(schema: Run) -> None:
    schema()


@pytest.fixture
def connect(server: Server, database_name: str) -> Iterator[Callable[[], psycopg2.extensions.connection]]:
    """Return a function that opens another connection to the fresh database."""
    opened: list[psycopg2.extensions.connection] = []

    def run() -> psycopg2.extensions.connection:
        opened.append(server.connect(database_name))
        return opened[-1]

    yield run
    for connection in opened:
        connection.close()


def add(query: Query, model: str = "m", status: str = "ready", desired: str = "enabled") -> None:
    """Insert an entry."""
    query(
        "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
        " desired_state, deployment_endpoint) VALUES (%s, 'staging', %s, %s, 'http://model:8000')",
        (model, status, desired),
    )


class TestViews:
    def test_only_ready_targets_are_routable(self, query: Query) -> None:
        for status in ("pending", "deploying", "ready", "degraded", "draining", "disabled", "failed"):
            add(query, status, status)
        add(query, "off", "disabled", "disabled")
        query("INSERT INTO model_registry_entries (model_name, deployment_status) VALUES ('old', 'ready')")
        assert query("SELECT * FROM routable_models") == [("ready", "staging", "http://model:8000", 1)]
        assert query("SELECT count(*) FROM model_states") == [(8,)]
        assert query(
            "SELECT deployment_environment, deployment_status, desired_state, deployment_endpoint,"
            " row_version FROM model_states WHERE model_name = 'off'"
        ) == [("staging", "disabled", "disabled", "http://model:8000", 1)]

    @pytest.mark.parametrize("status", ["ready", "degraded"])
    def test_what_is_disabled_cannot_be_served(self, query: Query, status: str) -> None:
        with pytest.raises(psycopg2.errors.CheckViolation, match="disabled_is_not_routed"):
            add(query, status=status, desired="disabled")


class TestRouters:
    def test_heartbeat_reports_and_learns(self, query: Query) -> None:
        ((registry, epoch),) = query(HEARTBEAT, ("r1", "staging", None, None, None))
        assert uuid.UUID(registry).version == 4
        assert epoch == 0
        add(query)
        assert query(HEARTBEAT, ("r1", "staging", registry, 0, '{"m": 3}')) == [(registry, 1)]
        assert query(
            "SELECT instance, environment, registry_id::text, epoch, in_flight, started_at < seen_at,"
            " seen_at > now() - interval '10 s' FROM router_instances"
        ) == [("r1", "staging", registry, 0, {"m": 3}, True, True)]

    def test_goodbye_is_for_one(self, query: Query) -> None:
        for name in ("r1", "r2"):
            query(HEARTBEAT, (name, "staging", None, None, "{}"))
        query("SELECT router_goodbye('r1')")
        query("SELECT router_goodbye('never seen')")
        assert query("SELECT instance FROM router_instances") == [("r2",)]

    def test_routers_that_went_away_long_ago_are_forgotten(self, query: Query) -> None:
        for name in ("old", "recent"):
            query(HEARTBEAT, (name, "staging", None, None, "{}"))
        query("UPDATE router_instances SET seen_at = now() - interval '25 h' WHERE instance = 'old'")
        query("UPDATE router_instances SET seen_at = now() - interval '23 h' WHERE instance = 'recent'")
        query(HEARTBEAT, ("new", "staging", None, None, "{}"))
        assert query("SELECT instance FROM router_instances ORDER BY 1") == [("new",), ("recent",)]
        # One that comes back after a day is not forgotten by its own report.
        query("UPDATE router_instances SET seen_at = now() - interval '25 h' WHERE instance = 'new'")
        query(HEARTBEAT, ("new", "staging", None, None, "{}"))
        assert query("SELECT count(*) FROM router_instances WHERE instance = 'new'") == [(1,)]

    @pytest.mark.parametrize(
        "values",
        [("", "staging", "{}"), ("r", "Q A", "{}"), ("r", "staging", "[1]"), ("r" * 300, "staging", "{}")],
    )
    def test_nonsense_is_refused(self, query: Query, values: tuple[str, str, str]) -> None:
        name, environment, in_flight = values
        with pytest.raises(psycopg2.errors.CheckViolation):
            query(HEARTBEAT, (name, environment, None, None, in_flight))

    def test_many_routers_report_at_once(self, connect: Callable[[], Any], query: Query) -> None:
        query(HEARTBEAT, ("gone", "staging", None, None, "{}"))
        query("UPDATE router_instances SET seen_at = now() - interval '2 days'")

        def report(number: int) -> None:
            with connect().cursor() as cursor:
                for _ in range(5):
                    cursor.execute(HEARTBEAT, (f"r{number % 4}", "staging", None, number, "{}"))

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(report, range(12)))
        assert query("SELECT count(*) FROM router_instances") == [(4,)]


class TestHealthChecks:
    @pytest.fixture
    def check(self, query: Query) -> Callable[..., str | None]:
        """Return a function that records a check: 3 failures degrade, 2 successes restore."""

        def run(healthy: bool, version: int | None = None, *, model: str = "m", reason: str = "boom") -> Any:
            if version is None:
                version = query(
                    "SELECT row_version FROM model_registry_entries WHERE model_name = %s", (model,)
                )[0][0]
            return query(
                "SELECT record_health_check(%s, 'staging', %s, %s, 0.25, %s)",
                (model, version, healthy, None if healthy else reason),
            )[0][0]

        return run

    def test_ready_is_degraded_after_some_failures_in_a_row(self, query: Query, check: Any) -> None:
        add(query)
        assert [check(healthy) for healthy in (False, False, True, False, False)] == ["ready"] * 5
        assert query(EPOCH) == [(1,)]
        assert query(ENTRY) == [("ready", "enabled", 1, None)]
        assert check(False, reason="no answer in 5 s") == "degraded"
        assert query(ENTRY) == [("degraded", "enabled", 2, "no answer in 5 s")]
        assert query(EPOCH) == [(2,)]
        assert query("SELECT count(*) FROM routable_models") == [(0,)]
        # It stays so, and the count goes on.
        assert check(False) == "degraded"
        assert query(COUNTS) == [(4, 0, 2)]

    def test_degraded_is_ready_after_some_successes_in_a_row(self, query: Query, check: Any) -> None:
        add(query, status="degraded")
        query("UPDATE model_registry_entries SET status_reason = 'slow'")
        assert [check(healthy) for healthy in (True, False, True)] == ["degraded"] * 3
        assert query(ENTRY) == [("degraded", "enabled", 2, "slow")]
        assert check(True) == "ready"
        assert query(ENTRY) == [("ready", "enabled", 3, None)]
        assert query("SELECT count(*) FROM routable_models") == [(1,)]
        assert query(COUNTS) == [(0, 2, 3)]

    def test_good_checks_keep_the_time_and_change_nothing_else(self, query: Query, check: Any) -> None:
        add(query)
        before = query("SELECT updated_at, row_version FROM model_registry_entries")
        assert check(True) == "ready"
        ((first,),) = query("SELECT last_health_check_at FROM model_registry_entries")
        assert check(False) == "ready"
        assert query("SELECT last_health_check_at FROM model_registry_entries") == [(first,)]
        assert check(True) == "ready"
        ((last,),) = query("SELECT last_health_check_at FROM model_registry_entries")
        assert last > first
        assert query("SELECT updated_at, row_version FROM model_registry_entries") == before
        assert query(EPOCH) == [(1,)]
        assert query("SELECT last_ok_at = %s, last_error, latency_s FROM health_states", (last,)) == [
            (True, "boom", 0.25)
        ]

    def test_a_good_check_leaves_the_indexes_alone(self, query: Query) -> None:
        add(query)
        counted = query(
            "SELECT record_health_check('m', 'staging', 1, true, 0.1, NULL);"
            "SELECT pg_stat_get_xact_tuples_updated(t), pg_stat_get_xact_tuples_hot_updated(t)"
            " FROM CAST('model_registry_entries'::regclass AS oid) AS t"
        )
        assert counted == [(1, 1)]

    @pytest.mark.parametrize("status", ["pending", "deploying", "draining", "disabled", "failed"])
    def test_other_statuses_are_left_alone(self, query: Query, check: Any, status: str) -> None:
        add(query, status=status)
        assert [check(healthy) for healthy in (True, True, False, False, False)] == [status] * 5
        assert query(ENTRY) == [(status, "enabled", 1, None)]
        assert query("SELECT last_health_check_at FROM model_registry_entries") == [(None,)]
        assert query(COUNTS) == []

    def test_what_a_person_disabled_stays_disabled(self, query: Query, check: Any) -> None:
        add(query, status="disabled", desired="disabled")
        assert check(True) == "disabled"
        assert check(True) == "disabled"
        assert query(ENTRY) == [("disabled", "disabled", 1, None)]

    def test_entry_that_was_changed_since_it_was_looked_at(self, query: Query, check: Any) -> None:
        add(query)
        check(False), check(False)
        query("UPDATE model_registry_entries SET deployment_endpoint = 'http://other:8000'")
        assert check(False, version=1) is None
        assert query(COUNTS) == [(2, 0, 1)]
        # Failures of the endpoint before do not count against this one.
        assert check(False) == "ready"
        assert query(COUNTS) == [(1, 0, 2)]

    def test_entry_that_is_gone_or_made_anew(self, query: Query, check: Any) -> None:
        assert check(True, version=1) is None
        add(query)
        check(False), check(False)
        query("DELETE FROM model_registry_entries")
        assert query(COUNTS) == []
        assert check(False, version=1) is None
        assert query(COUNTS) == []
        add(query)
        assert check(False) == "ready"
        assert query(COUNTS) == [(1, 0, 1)]

    def test_entry_under_operation_is_left_alone(self, query: Query, check: Any) -> None:
        add(query, status="degraded")
        query(
            "INSERT INTO operation_locks"
            " (model_name, deployment_environment, operation_id, holder, expires_at)"
            " VALUES ('m', 'staging', gen_random_uuid(), 'ann', now() + interval '1 min')"
        )
        assert [check(True), check(True), check(False)] == [None] * 3
        assert query(COUNTS) == []
        # Another target of the same operation's holder is none of its business.
        add(query, "other")
        assert check(True, model="other") == "ready"
        query("UPDATE operation_locks SET expires_at = now() - interval '1 ms'")
        assert [check(True), check(True)] == ["degraded", "ready"]
        query("UPDATE operation_locks SET operation_id = NULL, expires_at = now() + interval '1 min'")
        assert check(True) == "ready"

    def test_entry_that_is_just_being_changed_is_waited_for(
        self, query: Query, connect: Callable[[], Any], check: Any
    ) -> None:
        add(query)
        deployer = connect()
        deployer.autocommit = False
        with deployer.cursor() as cursor, ThreadPoolExecutor(1) as pool:
            cursor.execute("UPDATE model_registry_entries SET image = 'other'")
            checking = pool.submit(check, False, 1)
            time.sleep(0.2)
            assert not checking.done()
            deployer.commit()
            assert checking.result(10) is None
        assert query(COUNTS) == []

    def test_long_reasons_are_cut(self, query: Query, check: Any) -> None:
        add(query)
        for _ in range(3):
            check(False, reason="x" * 5000)
        assert query("SELECT length(status_reason) FROM model_registry_entries") == [(1000,)]
        assert query("SELECT length(last_error) FROM health_states") == [(1000,)]

    def test_nonsense_is_refused(self, query: Query) -> None:
        add(query)
        with pytest.raises(psycopg2.errors.RaiseException, match="p_healthy"):
            query("SELECT record_health_check('m', 'staging', 1, NULL, 0.1, NULL)")

    def test_the_environment_says_how_many_checks_it_takes(self, query: Query, check: Any) -> None:
        add(query)
        query("INSERT INTO health_check_rules VALUES ('prod-eu', 1, 1), ('staging', 4, 1)")
        assert [check(False) for _ in range(4)] == ["ready"] * 3 + ["degraded"]
        assert check(True) == "ready"
        # What is left open has its default, as an environment without rules.
        query("UPDATE health_check_rules SET failures = NULL")
        assert [check(False) for _ in range(3)] == ["ready"] * 2 + ["degraded"]


class TestLeases:
    @pytest.fixture
    def acquire(self, query: Query) -> Callable[..., int | None]:
        """Return a function that asks for a lease."""

        def run(holder: str, ttl_s: float = 30, name: str = "work") -> Any:
            return query("SELECT acquire_lease(%s, %s, %s)", (name, holder, ttl_s))[0][0]

        return run

    def test_one_holder_at_a_time(self, acquire: Any) -> None:
        assert acquire("ann") == 1
        assert acquire("bob") is None
        assert acquire("ann") == 1
        assert acquire("bob", name="other work") == 1

    def test_lease_ends_by_the_clock_of_the_database(self, query: Query, acquire: Any) -> None:
        assert acquire("ann", 1.5) == 1
        assert acquire("bob") is None
        query("SELECT pg_sleep(1.6)")
        assert acquire("bob") == 2
        assert acquire("ann") is None

    def test_renewal_prolongs_it(self, query: Query, acquire: Any) -> None:
        assert acquire("ann", 2) == 1
        for _ in range(3):
            query("SELECT pg_sleep(0.8)")
            assert acquire("ann", 2) == 1
        assert acquire("bob") is None

    def test_holder_who_was_late_gets_a_new_fence(self, query: Query, acquire: Any) -> None:
        assert acquire("ann", 0.05) == 1
        query("SELECT pg_sleep(0.1)")
        assert acquire("ann") == 2

    def test_release_is_for_the_holder(self, query: Query, acquire: Any) -> None:
        assert acquire("ann") == 1
        query("SELECT release_lease('work', 'bob')")
        assert acquire("bob") is None
        query("SELECT release_lease('work', 'ann')")
        assert acquire("bob") == 2
        # Given back twice is given back once.
        query("SELECT release_lease('work', 'ann')")
        assert acquire("ann") is None

    def test_many_ask_at_once(self, connect: Callable[[], Any]) -> None:
        def ask(number: int) -> Any:
            with connect().cursor() as cursor:
                cursor.execute("SELECT acquire_lease('work', %s, 30)", (f"holder {number}",))
                return cursor.fetchone()[0]

        with ThreadPoolExecutor(20) as pool:
            fences = list(pool.map(ask, range(20)))
        assert sorted(fences, key=str) == [1, *[None] * 19]

    @pytest.mark.parametrize("ttl_s", [0, -1, 86401, None, float("nan"), float("inf")])
    def test_length_has_to_be_sensible(self, query: Query, ttl_s: float | None) -> None:
        with pytest.raises(psycopg2.errors.RaiseException, match="p_ttl_s"):
            query("SELECT acquire_lease('work', 'ann', %s)", (ttl_s,))

    def test_nobody_is_no_holder(self, acquire: Any) -> None:
        with pytest.raises(psycopg2.errors.IntegrityError):
            acquire("")
        with pytest.raises(psycopg2.errors.IntegrityError):
            acquire(None)


class TestOperationLocks:
    """What the table itself guarantees, whatever a program does."""

    @pytest.fixture(autouse=True)
    def _lock(self, query: Query) -> None:
        query(
            "INSERT INTO operation_locks"
            " (model_name, deployment_environment, fence, operation_id, expires_at)"
            " VALUES ('m', 'staging', 5, gen_random_uuid(), now() + interval '1 min')"
        )

    @pytest.mark.parametrize(
        ("statement", "why"),
        [
            ("UPDATE operation_locks SET fence = 4", "never shrinks"),
            ("UPDATE operation_locks SET operation_id = gen_random_uuid()", "raises its fence"),
            ("DELETE FROM operation_locks", "written once and kept"),
            ("TRUNCATE operation_locks", "written once and kept"),
        ],
    )
    def test_fences_only_grow(self, query: Query, statement: str, why: str) -> None:
        with pytest.raises(psycopg2.errors.RaiseException, match=why):
            query(statement)
        assert query("SELECT fence FROM operation_locks") == [(5,)]

    def test_renewing_and_giving_back_keep_the_fence(self, query: Query) -> None:
        query("UPDATE operation_locks SET expires_at = now() + interval '2 min'")
        query("UPDATE operation_locks SET operation_id = NULL")
        with pytest.raises(psycopg2.errors.RaiseException, match="raises its fence"):
            query("UPDATE operation_locks SET operation_id = gen_random_uuid()")
        query("UPDATE operation_locks SET operation_id = gen_random_uuid(), fence = fence + 1")
        assert query("SELECT fence FROM operation_locks") == [(6,)]
