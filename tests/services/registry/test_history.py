# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of an entry leaves behind: epoch, history, audit log and a notification, all or nothing."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.registry import audit
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
)
from tests.services.registry.conftest import Run, open_database
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]

INSERT = (
    "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
    " deployment_endpoint) VALUES (%s, 'staging', 'ready', 'http://model:8000')"
)
EPOCH = "SELECT epoch FROM registry_epoch"
WRITERS = 50


@pytest.fixture(autouse=True)
def _with_schema(schema: Run) -> None:
    schema()


class Listener:
    """A connection that listens as a router does."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self.connection = connection
        with connection.cursor() as cursor:
            cursor.execute("LISTEN llmops_registry")

    def received(self, within_s: float) -> list[dict[str, Any]]:
        """Return what was received; wait for the first message that long."""
        if not self.connection.notifies:
            select.select([self.connection], [], [], within_s)
        self.connection.poll()
        payloads = [json.loads(message.payload) for message in self.connection.notifies]
        self.connection.notifies.clear()
        return payloads


@pytest.fixture
def listener(server: Server, database_name: str) -> Iterator[Listener]:
    """Return a listener on the fresh database."""
    connection = server.connect(database_name)
    yield Listener(connection)
    connection.close()


@pytest.fixture
def writer(server: Server, database_name: str) -> Iterator[psycopg2.extensions.connection]:
    """Return a connection that commits when it is told to."""
    connection = server.connect(database_name)
    connection.autocommit = False
    yield connection
    connection.close()


def test_each_change_is_recorded_with_who_and_what(query: Query) -> None:
    query("SET llmops.actor = 'ann@desk'")
    query("SET llmops.operation = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'")
    query(INSERT, ("m",))
    query("UPDATE model_registry_entries SET deployment_status = 'draining', status_reason = 'why'")
    query("RESET llmops.actor")
    query("RESET llmops.operation")
    query("DELETE FROM model_registry_entries")

    history = query(
        "SELECT epoch, action, actor, db_user, model_name, deployment_environment, row_version,"
        " operation_id IS NULL, before->>'deployment_status', after->>'deployment_status',"
        " changed_at > now() - interval '1 min' FROM model_registry_history ORDER BY seq"
    )
    assert history == [
        (1, "insert", "ann@desk", "postgres", "m", "staging", 1, False, None, "ready", True),
        (2, "update", "ann@desk", "postgres", "m", "staging", 2, False, "ready", "draining", True),
        (3, "delete", "postgres", "postgres", "m", "staging", 2, True, "draining", None, True),
    ]
    assert query(EPOCH) == [(3,)]
    logged = query(
        "SELECT action, actor, model_name, deployment_environment, operation_id::text, detail FROM audit_log"
        " ORDER BY seq"
    )
    assert [row[0] for row in logged] == ["entry.insert", "entry.update", "entry.delete"]
    assert logged[1] == (
        "entry.update",
        "ann@desk",
        "m",
        "staging",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        {
            "epoch": 2,
            "row_version": 2,
            "changes": {"deployment_status": ["ready", "draining"], "status_reason": [None, "why"]},
        },
    )


def test_history_looks_the_same_in_every_time_zone(query: Query) -> None:
    query("SET timezone = 'Asia/Kolkata'")
    query(INSERT, ("m",))
    query("SET timezone = 'America/New_York'")
    query("UPDATE model_registry_entries SET image = 'other'")
    assert query(
        "SELECT before->>'created_at' = after->>'created_at', after->>'created_at' LIKE '%%+00:00'"
        " FROM model_registry_history WHERE action = 'update'",
        (),
    ) == [(True, True)]


def test_health_check_alone_is_no_change(query: Query, listener: Listener) -> None:
    query(INSERT, ("m",))
    assert len(listener.received(5)) == 1
    query("UPDATE model_registry_entries SET last_health_check_at = now()")
    query("UPDATE model_registry_entries SET image = image")
    assert query(EPOCH) == [(1,)]
    assert query("SELECT count(*) FROM model_registry_history") == [(1,)]
    assert query("SELECT count(*) FROM audit_log") == [(1,)]
    assert listener.received(0.3) == []


def test_entry_that_is_given_to_another_target_leaves_one_and_joins_the_other(
    query: Query, listener: Listener
) -> None:
    query(INSERT, ("old",))
    query("UPDATE model_registry_entries SET model_name = 'new'")
    query("UPDATE model_registry_entries SET deployment_environment = NULL")
    query("UPDATE model_registry_entries SET deployment_environment = 'production'")
    changes = query(
        "SELECT action, model_name, deployment_environment FROM model_registry_history ORDER BY seq"
    )
    assert changes == [
        ("insert", "old", "staging"),
        ("delete", "old", "staging"),
        ("insert", "new", "staging"),
        ("delete", "new", "staging"),
        ("insert", "new", "production"),
    ]
    told: list[tuple[Any, ...]] = []
    while len(told) < 5 and (more := listener.received(5)):
        told += [(message["epoch"], message["model"], message["environment"]) for message in more]
    assert told == [(epoch, *change[1:]) for epoch, change in enumerate(changes, 1)]


def test_notification_comes_with_the_commit_and_not_before(
    writer: psycopg2.extensions.connection, listener: Listener, query: Query
) -> None:
    with writer.cursor() as cursor:
        cursor.execute(INSERT, ("org/Model-ü",))
    assert listener.received(0.3) == []
    assert query(EPOCH) == [(0,)]
    writer.commit()
    assert listener.received(5) == [{"epoch": 1, "environment": "staging", "model": "org/Model-ü"}]
    assert query(EPOCH) == [(1,)]


def test_change_that_is_rolled_back_leaves_nothing(
    writer: psycopg2.extensions.connection, listener: Listener, query: Query
) -> None:
    with writer.cursor() as cursor:
        cursor.execute(INSERT, ("m",))
    writer.rollback()
    assert listener.received(0.3) == []
    assert query(EPOCH) == [(0,)]
    assert query("SELECT count(*) FROM model_registry_history") == [(0,)]
    assert query("SELECT seq FROM audit_head") == [(0,)]
    # The next one takes the place in the chain that was given up.
    query(INSERT, ("m",))
    assert query("SELECT seq FROM audit_log") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_registry_history SET actor = 'nobody'",
        "DELETE FROM model_registry_history",
        "TRUNCATE model_registry_history",
        "TRUNCATE model_registry_entries",
        "TRUNCATE model_registry_entries, model_registry_history CASCADE",
    ],
)
def test_even_the_owner_does_not_rewrite_history(query: Query, statement: str) -> None:
    query(INSERT, ("m",))
    with pytest.raises(psycopg2.errors.RaiseException, match="is refused"):
        query(statement)
    assert query("SELECT actor FROM model_registry_history") == [("postgres",)]
    assert query("SELECT count(*) FROM model_registry_entries") == [(1,)]


def test_platform_may_still_truncate_its_own_rows(query: Query) -> None:
    query("INSERT INTO model_registry_entries (model_name) VALUES ('of the platform')")
    query("TRUNCATE model_registry_entries")
    assert query("SELECT count(*) FROM model_registry_entries") == [(0,)]


def test_fifty_writers_leave_one_unbroken_order(
    dsn: str, query: Query, listener: Listener, database: Database
) -> None:
    """Each epoch is seen with all before it, at every moment; nobody tries again; the chain never forks."""
    for number in range(5):
        query(INSERT, (f"m{number}",))
    retries: list[str] = []
    start = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        def change(session: Session) -> None:
            session.execute("SELECT set_config('llmops.actor', %s, true)", (f"writer {number}",))
            if number % 5 == 0:
                # Some have a part in the audit log only.
                session.execute("SELECT audit_append('test.wrote', NULL, NULL, NULL, '{}')")
            else:
                session.execute(
                    "UPDATE model_registry_entries SET image = %s WHERE model_name = %s",
                    (f"image:{number}", f"m{number % 5}"),
                )
            # Held over the commit by some longer than by others.
            session.execute("SELECT pg_sleep(%s)", (0.003 * (number % 3),))

        with open_database(dsn, 60) as own:
            own._progress = retries.append
            own.transaction(lambda session: session.row("SELECT 1"), read_only=True)
            start.wait(30)
            own.transaction(change)

    seen: list[tuple[Any, ...]] = []
    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, number) for number in range(WRITERS)]
        while not all(future.done() for future in writing):
            seen += query(
                "SELECT e.epoch, count(*), max(h.epoch) FROM registry_epoch e, model_registry_history h"
                " GROUP BY e.epoch"
            )
            assert database.transaction(audit.verify, read_only=True).problems == []
        for future in writing:
            future.result()

    assert retries == []
    assert all(epoch == count == latest for epoch, count, latest in seen)
    assert len({row[0] for row in seen}) > 3, "the witness looked too seldom"
    changes = 5 + WRITERS * 4 // 5
    assert query(EPOCH) == [(changes,)]
    told: list[int] = []
    while len(told) < changes and (more := listener.received(5)):
        told += [message["epoch"] for message in more]
    assert told == list(range(1, changes + 1))
    verdict = database.transaction(audit.verify, read_only=True)
    assert (verdict.rows, verdict.problems) == (5 + WRITERS, [])
    assert query("SELECT count(DISTINCT actor) FROM audit_log WHERE actor LIKE 'writer %%'", ()) == [
        (WRITERS,)
    ]


def test_order_of_deeds_in_a_transaction_makes_no_deadlock(dsn: str, query: Query) -> None:
    """One writes an entry and then an operation, the other an operation and then that entry."""
    query(INSERT, ("m",))
    together = threading.Barrier(2)
    operation = (
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
        " VALUES (gen_random_uuid(), 'm', 'staging', 'deploy', 'me', 1)"
    )
    entry = "UPDATE model_registry_entries SET image = %s"

    def write(*statements: tuple[str, Any]) -> int:
        attempts = 0

        def change(session: Session) -> None:
            nonlocal attempts
            attempts += 1
            session.execute(*statements[0])
            together.wait(10)
            session.execute(*statements[1])

        with open_database(dsn) as own:
            own.transaction(change)
        return attempts

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(write, (entry, ("image:1",)), (operation, None))
        other = pool.submit(write, (operation, None), (entry, ("image:2",)))
        assert (one.result(30), other.result(30)) == (1, 1)
    assert query("SELECT count(*) FROM audit_log") == [(5,)]
