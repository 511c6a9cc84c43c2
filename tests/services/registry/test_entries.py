# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows on a real PostgreSQL: write, write again, conflicts, hostile values, lists."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import entries
from ansible_collections.llmops.platform.plugins.module_utils._module import Outcome
from tests.services.registry.conftest import Run, open_database

Query = Callable[..., list[tuple[Any, ...]]]

ENDPOINT = "http://model-7b-1234abcd-staging.ml-staging.svc.cluster.local:8000"
FULL = {
    "status": "ready",
    "endpoint": ENDPOINT,
    "namespace": "ml-staging",
    "release_name": "model-7b-1234abcd-staging",
    "release_revision": 3,
    "manifest_digest": "sha256:" + "a1" * 32,
    "chart_version": "0.1.0",
    "image": "vllm/vllm-openai:v0.11.0",
    "model_source": "org/Model-7B",
    "model_revision": "main",
    "status_reason": "verified",
    "health_checked": True,
}
PHYSICAL = "SELECT xmin::text, ctid::text, * FROM model_registry_entries ORDER BY id"
HOSTILE = [
    "Robert'); DROP TABLE model_registry_entries;--",
    'org/"quoted"-7B',
    "a -rf --help",
    "%s %(model)s %%",
    "$1 $$ $tag$",
    "back\\slash\\'",
    "модель-7B/大模型 é",
    "${HOME}`id`$(id)",
    "a" * 512,
]


def rows_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the entries of registry_info as registry_entry returns them: without their age."""
    return [
        {name: value for name, value in entry.items() if name != "health_check_age_s"}
        for entry in outcome.result["entries"]
    ]


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


def test_write_read_and_write_again(entry: Run, info: Run, query: Query) -> None:
    first = entry(**FULL)
    assert first.changed
    row = first.result["entry"]
    assert {name: row[name] for name in FULL if name != "health_checked"} == {
        name: value for name, value in FULL.items() if name != "health_checked"
    }
    assert (row["model"], row["environment"], row["version"]) == ("org/Model-7B", "staging", 1)
    assert "@" in row["updated_by"]
    assert rows_of(info()) == [row]
    assert first.diff is not None
    assert first.diff["before"] == {}
    assert first.diff["after"]["endpoint"] == ENDPOINT

    physical = query(PHYSICAL)
    again = entry(**FULL)
    assert (again.changed, again.result) == (False, first.result)
    # Even a write of the same values would make a new row version.
    assert query(PHYSICAL) == physical
    # The version that the first run was based on is no longer asked for where nothing is to be done.
    assert not entry(**FULL, expected_version=0).changed
    assert query(PHYSICAL) == physical


def test_timestamps_are_utc_by_the_clock_of_the_database(entry: Run, info: Run, query: Query) -> None:
    assert query("SHOW timezone") == [("Asia/Kolkata",)]
    row = entry(**FULL).result["entry"]
    now = datetime.now(UTC)
    for field in ("created_at", "updated_at", "last_health_check_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row[field])
        assert abs(datetime.fromisoformat(row[field]) - now) < timedelta(seconds=30)
    assert info().result["database_time"].endswith("Z")


def test_left_out_keeps_and_empty_removes(entry: Run) -> None:
    entry(**FULL)
    row = entry(status="degraded").result["entry"]
    assert (row["endpoint"], row["version"], row["release_revision"]) == (ENDPOINT, 2, 3)
    # The reason belonged to the status that it had.
    assert row["status_reason"] is None
    row = entry(status_reason="slow", image="").result["entry"]
    assert (row["status"], row["status_reason"], row["image"], row["version"]) == (
        "degraded",
        "slow",
        None,
        3,
    )
    row = entry(model_revision="v2").result["entry"]
    assert row["status_reason"] == "slow"


def test_a_new_row_is_pending(entry: Run) -> None:
    row = entry().result["entry"]
    assert (row["status"], row["endpoint"], row["last_health_check_at"]) == ("pending", None, None)


def test_health_check_is_written_along_but_not_alone(entry: Run, query: Query) -> None:
    entry(**{**FULL, "health_checked": False})
    physical = query(PHYSICAL)
    assert not entry(health_checked=True).changed
    assert query(PHYSICAL) == physical
    assert entry(health_checked=True, release_revision=4).result["entry"]["last_health_check_at"] is not None


def test_ready_needs_an_endpoint(entry: Run, query: Query) -> None:
    for arguments in ({"status": "ready"}, {"status": "ready", "endpoint": ""}):
        with pytest.raises(PlatformError, match="needs an endpoint") as failure:
            entry(**arguments)
        assert failure.value.error_class is ErrorClass.INVALID
    assert query(PHYSICAL) == []
    entry(**FULL)
    with pytest.raises(PlatformError, match="needs an endpoint"):
        entry(endpoint="")


def test_absent(entry: Run, query: Query) -> None:
    assert not entry(state="absent").changed
    entry(**FULL)
    entry(**FULL, environment="production")
    with pytest.raises(PlatformError) as failure:
        entry(state="absent", expected_version=7)
    assert failure.value.error_class is ErrorClass.FENCED
    gone = entry(state="absent")
    assert (gone.changed, gone.result["entry"]) == (True, None)
    assert not entry(state="absent").changed
    assert query("SELECT deployment_environment FROM model_registry_entries") == [("production",)]


def test_check_mode_shows_the_change_and_writes_nothing(entry: Run, query: Query) -> None:
    checked = entry(check=True, **FULL)
    assert checked.changed
    assert query(PHYSICAL) == []
    assert checked.diff == entry(**FULL).diff
    physical = query(PHYSICAL)
    assert not entry(check=True, **FULL).changed
    changed = entry(check=True, status="disabled")
    assert (changed.changed, changed.result["entry"]["status"]) == (True, "disabled")
    assert entry(check=True, state="absent").changed
    with pytest.raises(PlatformError) as failure:
        entry(check=True, status="disabled", expected_version=9)
    assert failure.value.error_class is ErrorClass.FENCED
    assert query(PHYSICAL) == physical


def test_check_mode_before_there_is_a_schema(schema: Run, entry: Run) -> None:
    schema(target_version=0)
    checked = entry(check=True, **FULL)
    assert (checked.changed, checked.result["entry"]["status"]) == (True, "ready")
    assert "no schema" in checked.warnings[0]
    assert not entry(check=True, state="absent").changed
    with pytest.raises(PlatformError, match="42P01") as failure:
        entry(**FULL)
    assert failure.value.error_class is ErrorClass.INVALID
    assert "registry_schema" in failure.value.resolution


def test_conflict_says_who_changed_what(entry: Run, query: Query) -> None:
    seen = entry(**FULL).result["entry"]["version"]
    entry(status="disabled", actor="alice@laptop")
    physical = query(PHYSICAL)
    with pytest.raises(PlatformError) as failure:
        entry(status="ready", expected_version=seen)
    error = failure.value
    assert error.error_class is ErrorClass.FENCED
    assert "alice@laptop" in error.message
    assert "disabled" in error.message
    assert (error.details["expected_version"], error.details["current_version"]) == (1, 2)
    assert error.details["changed_by"] == "alice@laptop"
    assert query(PHYSICAL) == physical
    with pytest.raises(PlatformError, match="based on"):
        entry(model="other", status="pending", expected_version=1)
    with pytest.raises(PlatformError, match="alice"):
        entry(status="ready", expected_version=0)


def test_two_writers_of_one_row_one_conflict(dsn: str, entry: Run, query: Query) -> None:
    entry(**FULL)
    both_have_read = threading.Barrier(2, timeout=10)
    failures: list[PlatformError] = []

    def write(revision: int) -> None:
        def work(session: Any) -> entries.Change:
            # The first statement of put() reads the row; wait for each other between it and the write.
            original = session.row

            def row(statement: Any, values: Any = None) -> Any:
                found = original(statement, values)
                session.row = original
                both_have_read.wait()
                return found

            session.row = row
            return entries.put(
                session, "org/Model-7B", "staging", {"release_revision": revision}, by=f"writer-{revision}"
            )

        with open_database(dsn) as database:
            try:
                database.transaction(work)
            except PlatformError as error:
                failures.append(error)

    writers = [threading.Thread(target=write, args=(revision,)) for revision in (10, 11)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(20)
    ((revision, by, version),) = query(
        "SELECT release_revision, updated_by, row_version FROM model_registry_entries"
    )
    assert version == 2
    assert by == f"writer-{revision}"
    (conflict,) = failures
    assert conflict.error_class is ErrorClass.FENCED
    assert by in conflict.message
    assert "release_revision" in conflict.message


def test_fifty_writers_lose_no_update_and_every_conflict_is_told(
    dsn: str, query: Query, entry: Run, info: Run
) -> None:
    first = entry(status="pending").result["entry"]["version"]
    written: list[int] = []
    conflicts: list[PlatformError] = []
    start = threading.Barrier(50, timeout=30)

    def write(number: int) -> None:
        def work(session: Any) -> entries.Change:
            changes = {"release_revision": number}
            return entries.put(session, "org/Model-7B", "staging", changes, by=f"writer-{number}")

        with open_database(dsn, 60) as database:
            start.wait()
            try:
                database.transaction(work)
                written.append(number)
            except PlatformError as error:
                conflicts.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(1, 51)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(written) + len(conflicts) == 50
    assert written
    assert conflicts
    assert query("SELECT row_version FROM model_registry_entries") == [(first + len(written),)]
    for conflict in conflicts:
        assert conflict.error_class is ErrorClass.FENCED, conflict
        assert re.search(r"writer-\d+ changed it at \d{4}-", conflict.message), conflict
        assert "release_revision" in conflict.message
        assert conflict.details["changed_by"].startswith("writer-")
    # Each update that was acknowledged is in the history, once, on top of the one before.
    target = {"model": "org/Model-7B", "environment": "staging"}
    history = info(**target, history=True, history_limit=100).result["history"]
    revisions = [change["changes"]["release_revision"] for change in reversed(history[:-1])]
    assert sorted(revision["after"] for revision in revisions) == sorted(written)
    assert [revision["before"] for revision in revisions] == [
        None,
        *(revision["after"] for revision in revisions[:-1]),
    ]


def test_stamps_are_kept_whoever_writes(entry: Run, query: Query) -> None:
    entry(**FULL)
    query(
        "UPDATE model_registry_entries"
        " SET deployment_status = 'disabled', row_version = 99, updated_by = 'me'"
    )
    assert query("SELECT row_version, updated_by, updated_at > created_at FROM model_registry_entries") == [
        (2, "postgres", True)
    ]
    # A health check alone is no change, or it would be a conflict for every deployment.
    query("UPDATE model_registry_entries SET last_health_check_at = now()")
    assert query("SELECT row_version FROM model_registry_entries") == [(2,)]


@pytest.mark.parametrize("model", HOSTILE)
def test_hostile_names_come_back_as_they_went(entry: Run, info: Run, query: Query, model: str) -> None:
    text = model[:500]
    entry(model=model, status="pending", image=text, model_source=text, actor=text)
    assert not entry(model=model, status="pending", image=text).changed
    (row,) = info(model=model).result["entries"]
    assert (row["model"], row["image"], row["model_source"], row["updated_by"]) == (model, text, text, text)
    assert query("SELECT model_name FROM model_registry_entries") == [(model,)]
    assert entry(model=model, state="absent").changed


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("deployment_status", "running"),
        ("deployment_status", None),
        ("deployment_environment", "Q A"),
        ("deployment_namespace", "Upper"),
        ("deployment_namespace", "a" * 64),
        ("deployment_namespace", "a\nb"),
        ("deployment_endpoint", "ftp://host"),
        ("deployment_endpoint", "http://user:secret@host:8000"),
        ("deployment_endpoint", "http://host:8000/?a=b"),
        ("deployment_endpoint", "http://host:8000\nx"),
        ("deployment_endpoint", None),
        ("model_name", ""),
        ("model_name", None),
        ("manifest_digest", "abc"),
        ("release_revision", 0),
    ],
)
def test_rules_of_the_table_hold_for_every_program(
    entry: Run, query: Query, column: str, value: object
) -> None:
    entry(**FULL)
    with pytest.raises(psycopg2.errors.CheckViolation):
        query(f"UPDATE model_registry_entries SET {column} = %s", (value,))  # noqa: S608


def test_one_row_for_each_target(entry: Run, query: Query) -> None:
    entry(**FULL)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        query(
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status)"
            " VALUES ('org/Model-7B', 'staging', 'pending')"
        )


def test_ten_thousand_entries_in_pages(info: Run, query: Query) -> None:
    query(
        "INSERT INTO model_registry_entries"
        " (model_name, deployment_environment, deployment_status, deployment_endpoint, deployment_namespace,"
        "  last_health_check_at)"
        " SELECT 'model-' || n / 2, CASE n % 2 WHEN 0 THEN 'staging' ELSE 'production' END,"
        "  CASE WHEN n % 10 = 0 THEN 'degraded' ELSE 'ready' END, 'http://host-' || n || ':8000',"
        "  'ns-' || n % 3,"
        "  CASE n % 4 WHEN 0 THEN NULL ELSE now() - make_interval(secs => n) END"
        " FROM generate_series(0, 9999) AS n"
    )
    started = time.monotonic()
    all_at_once = info()
    # Half a second on a quiet machine.
    assert time.monotonic() - started < 5
    everything = rows_of(all_at_once)
    assert len(everything) == 10_000
    assert all_at_once.result["next_after"] is None
    keys = [(entry["model"], entry["environment"]) for entry in everything]
    assert len(set(keys)) == 10_000

    paged: list[dict[str, Any]] = []
    after = None
    while True:
        outcome = info(limit=1234, after=after)
        page = outcome.result
        paged += rows_of(outcome)
        after = page["next_after"]
        if after is None:
            break
        assert len(page["entries"]) == 1234
    assert paged == everything
    # A page that ends with the last entry says so.
    assert info(limit=10_000).result["next_after"] is None

    for arguments, where in (
        ({"model": "model-77"}, "model_name = 'model-77'"),
        ({"environment": "production", "status": ["degraded"]}, "false"),
        ({"environment": "staging", "status": ["degraded", "failed"]}, "deployment_status = 'degraded'"),
        ({"namespace": "ns-1"}, "deployment_namespace = 'ns-1'"),
        (
            {"health_check_older_than": 5000},
            "last_health_check_at IS NULL OR last_health_check_at < now() - interval '5000 s'",
        ),
    ):
        found = info(**arguments).result["entries"]
        witness = query(
            "SELECT model_name, deployment_environment FROM model_registry_entries"  # noqa: S608
            f" WHERE {where} ORDER BY 1, 2"
        )
        listed = [(entry["model"], entry["environment"]) for entry in found]
        # A row or two may grow old between the two looks.
        slack = 3 if "health_check_older_than" in arguments else 0
        assert len(set(listed) ^ set(witness)) <= slack, arguments
        assert listed == sorted(listed)
        assert len(witness) < 10_000


def test_readers_find_their_rows_by_index(query: Query) -> None:
    query(
        "INSERT INTO model_registry_entries"
        " (model_name, deployment_environment, deployment_status, deployment_endpoint)"
        " SELECT 'model-' || n, 'production', CASE n % 5 WHEN 0 THEN 'ready' ELSE 'failed' END, 'http://h:1'"
        " FROM generate_series(1, 5000) AS n; ANALYZE model_registry_entries"
    )
    plan = query(
        "EXPLAIN SELECT deployment_endpoint FROM model_registry_entries"
        " WHERE deployment_environment = 'production'"
        " AND model_name = 'model-500' AND deployment_status = 'ready'"
    )
    text = "\n".join(line for (line,) in plan)
    assert "model_registry_entries_ready" in text or "model_registry_entries_target" in text, text
