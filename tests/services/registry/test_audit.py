# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit log: what is in it, that anybody can recompute it, and that every kind of tampering is found."""

from __future__ import annotations

import hashlib
import json
import time
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import UTC
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import audit
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import audit_info
from tests.services.registry.conftest import Run
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]
Tamper = Callable[..., None]

OPERATION = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
APPEND = "SELECT audit_append(%s, 'org/Model-7B', 'staging', NULL, %s)"


@pytest.fixture(autouse=True)
def _with_schema(schema: Run) -> None:
    schema()


@pytest.fixture
def read(dsn: str) -> Run:
    """Return a function that runs the operation of audit_info on the fresh database."""

    def run(**arguments: Any) -> Any:
        assert set(arguments) <= set(audit_info.ARGUMENT_SPEC), "an argument that the module does not have"
        defaults = {name: option.get("default") for name, option in audit_info.ARGUMENT_SPEC.items()}
        return audit_info.run({**defaults, "dsn": dsn, **arguments}, Context())

    return run


@pytest.fixture
def ten_rows(query: Query) -> None:
    """Append ten rows."""
    for number in range(1, 11):
        query(APPEND, ("test.happened", json.dumps({"number": number})))


@pytest.fixture
def tamper(query: Query) -> Tamper:
    """Return a function that runs SQL as somebody does who may do anything to the tables."""

    def run(statements: str, *values: Any) -> None:
        query("ALTER TABLE audit_log DISABLE TRIGGER USER")
        query(statements, values or None)
        query("ALTER TABLE audit_log ENABLE TRIGGER USER")

    return run


def found(read: Run, **arguments: Any) -> list[tuple[int, str]]:
    """Return what a verification finds: places and kinds; nothing if all is well."""
    try:
        result = read(verify=True, limit=0, **arguments).result
    except PlatformError as error:
        failure = error
    else:
        assert result["verified"] is True
        return []
    assert failure.error_class is ErrorClass.VERIFICATION
    assert failure.details["verified"] is False
    problems = failure.details["problems"]
    assert failure.details["problem_count"] >= len(problems) > 0
    assert f"row {problems[0]['seq']} was {problems[0]['kind']}" in failure.message
    return [(problem["seq"], problem["kind"]) for problem in problems]


def test_the_text_can_be_recomputed_without_postgresql(query: Query) -> None:
    query("SET timezone = 'Asia/Kolkata'")
    query("SET datestyle = 'German'")
    query("SET llmops.actor = 'Zoë \"the\" builder'")
    query(APPEND, ("test.happened", json.dumps({"b": [1, None, True], "aa": "x\ny", "c": 1.5})))
    query("SELECT audit_append('test.happened', NULL, NULL, %s, NULL)", (OPERATION,))
    query("RESET datestyle")
    previous = audit.NO_HASH
    rows = query(
        "SELECT seq, occurred_at, actor, db_user, action, model_name, deployment_environment,"
        " operation_id::text, detail, previous_hash, hash FROM audit_log ORDER BY seq"
    )
    assert len(rows) == 2
    for seq, occurred_at, *fields, previous_hash, row_hash in rows:
        # jsonb orders keys by length, then by character; these are written in that order already.
        fields[-1] = dict(sorted(fields[-1].items(), key=lambda item: (len(item[0]), item[0])))
        moment = occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text = f"{seq} {json.dumps([moment, *fields, previous_hash], ensure_ascii=False)}"
        assert hashlib.sha256(text.encode()).hexdigest() == row_hash
        assert previous_hash == previous
        previous = row_hash
    assert query("SELECT seq, hash FROM audit_head") == [(2, previous)]


def test_reads_by_filter_and_in_pages(query: Query, read: Run) -> None:
    assert read().result == {
        "records": [],
        "next_after": None,
        "head": {"seq": 0, "hash": audit.NO_HASH},
        "verified": None,
    }
    for number in range(7):
        query(f"SET llmops.actor = 'actor {number % 2}'")
        query(
            "SELECT audit_append(%s, %s, %s, NULL, '{}')",
            (f"test.kind_{'ab'[number % 2]}", f"model-{number}", ("staging", "production")[number % 2]),
        )
    everything = read().result
    records = everything["records"]
    assert [record["seq"] for record in records] == list(range(1, 8))
    assert everything["head"] == {"seq": 7, "hash": records[-1]["hash"]}
    assert records[0] == {
        "seq": 1,
        "occurred_at": records[0]["occurred_at"],
        "actor": "actor 0",
        "db_user": "postgres",
        "action": "test.kind_a",
        "model": "model-0",
        "environment": "staging",
        "operation_id": None,
        "detail": {},
        "previous_hash": audit.NO_HASH,
        "hash": records[0]["hash"],
    }

    def places(**arguments: Any) -> list[int]:
        return [record["seq"] for record in read(**arguments).result["records"]]

    assert places(model="model-3") == [4]
    assert places(environment="production") == [2, 4, 6]
    assert places(actor="actor 0") == [1, 3, 5, 7]
    assert places(action=["test.kind_b"]) == [2, 4, 6]
    assert places(action=["test.kind_b", "test.kind_a"], actor="actor 1") == [2, 4, 6]
    assert places(since=records[4]["occurred_at"]) == [5, 6, 7]
    assert places(since="2999-01-01T00:00:00+02:00") == []
    assert places(limit=0) == []

    page = read(limit=3, actor="actor 0").result
    assert page["next_after"] == 5
    page = read(limit=3, actor="actor 0", after=page["next_after"]).result
    assert ([record["seq"] for record in page["records"]], page["next_after"]) == ([7], None)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-02T09:00:00"}, "since"),
        ({"limit": -1}, "limit"),
        ({"limit": 10**6}, "limit"),
        ({"model": ""}, "model"),
        ({"expected_head": {"seq": 1, "hash": "0"}}, "expected_head"),
        ({"expected_head": {"seq": -1, "hash": "0"}, "verify": True}, "expected_head"),
    ],
)
def test_wrong_arguments_are_named(read: Run, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as failure:
        read(**arguments)
    assert failure.value.error_class is ErrorClass.INVALID
    assert failure.value.details["field"] == field


@pytest.mark.usefixtures("ten_rows")
def test_log_as_it_was_written_is_verified(read: Run, query: Query) -> None:
    result = read(verify=True).result
    assert (result["verified"], result["rows"], len(result["records"])) == (True, 10, 10)
    noted = read(limit=0).result["head"]
    query(APPEND, ("test.happened", "{}"))
    assert found(read, expected_head=noted) == []
    assert found(read, expected_head={"seq": 0, "hash": audit.NO_HASH}) == []


CHANGES = {
    "occurred_at": "occurred_at = occurred_at + interval '1 microsecond'",
    "actor": "actor = actor || '!'",
    "db_user": "db_user = db_user || '!'",
    "action": "action = action || '!'",
    "model": "model_name = NULL",
    "environment": "deployment_environment = 'production'",
    "operation_id": "operation_id = gen_random_uuid()",
    "detail": "detail = detail || '{\"number\": 0}'",
    "previous_hash": "previous_hash = repeat('1', 64)",
    "hash": "hash = repeat('1', 64)",
}


@pytest.mark.usefixtures("ten_rows")
def test_change_of_any_column_of_any_row_is_found(read: Run, tamper: Tamper) -> None:
    tamper("CREATE TABLE kept AS TABLE audit_log")
    for place in (1, 6, 10):
        for column, change in CHANGES.items():
            tamper(f"UPDATE audit_log SET {change} WHERE seq = %s", place)  # noqa: S608
            assert set(found(read)) == {(place, "changed")}, column
            tamper("DELETE FROM audit_log; INSERT INTO audit_log TABLE kept")
    assert found(read) == []


# As somebody would who knows how the chain is made.
RESEAL = """
UPDATE audit_log AS entry SET hash = encode(sha256(convert_to(audit_text(entry), 'UTF8')), 'hex')
 WHERE seq = %s
"""


@pytest.mark.usefixtures("ten_rows")
@pytest.mark.parametrize("place", [1, 6, 10])
def test_changed_row_with_a_hash_that_fits_is_found(read: Run, tamper: Tamper, place: int) -> None:
    tamper("UPDATE audit_log SET actor = 'somebody else' WHERE seq = %s", place)
    tamper(RESEAL, place)
    assert found(read) == [(place, "changed")]


@pytest.mark.usefixtures("ten_rows")
def test_removed_rows_are_found(read: Run, tamper: Tamper, query: Query) -> None:
    noted = read(limit=0).result["head"]
    tamper("DELETE FROM audit_log WHERE seq = 1")
    assert found(read) == [(1, "removed")]
    tamper("DELETE FROM audit_log WHERE seq IN (5, 6)")
    assert found(read) == [(1, "removed"), (5, "removed")]
    tamper("DELETE FROM audit_log WHERE seq = 10")
    assert found(read) == [(1, "removed"), (5, "removed"), (10, "removed")]
    tamper("DELETE FROM audit_log")
    assert found(read) == [(1, "removed")]
    tamper("UPDATE audit_head SET seq = 0, hash = repeat('0', 64)")
    # To the database alone this is an empty log.
    assert found(read) == []
    assert found(read, expected_head=noted) == [(1, "removed")]


@pytest.mark.usefixtures("ten_rows")
def test_removed_tail_is_found_by_the_head_in_the_database_or_by_the_one_outside(
    read: Run, tamper: Tamper
) -> None:
    noted = read(limit=0).result["head"]
    tamper("DELETE FROM audit_log WHERE seq > 8")
    assert found(read) == [(9, "removed")]
    tamper("UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit_log WHERE seq = 8)")
    assert found(read) == []
    assert found(read, expected_head=noted) == [(9, "removed")]


@pytest.mark.usefixtures("ten_rows")
@pytest.mark.parametrize(("one", "other"), [(4, 5), (2, 9), (1, 10)])
def test_reordered_rows_are_found(read: Run, tamper: Tamper, one: int, other: int) -> None:
    for place, becomes in ((one, -1), (other, one), (-1, other)):
        tamper("UPDATE audit_log SET seq = %s WHERE seq = %s", becomes, place)
    assert set(found(read)) >= {(one, "reordered"), (other, "reordered")}
    with pytest.raises(PlatformError, match=f"row {one} was reordered: it was written as row {other}"):
        read(verify=True)


@pytest.mark.usefixtures("ten_rows")
def test_row_that_is_taken_out_and_the_gap_closed_is_found(read: Run, tamper: Tamper) -> None:
    tamper(
        "DELETE FROM audit_log WHERE seq = 4; UPDATE audit_log SET seq = -seq WHERE seq > 4;"
        "UPDATE audit_log SET seq = -seq - 1 WHERE seq < 0"
    )
    assert found(read) == [*((seq, "reordered") for seq in range(4, 10)), (10, "removed")]


@pytest.mark.usefixtures("ten_rows")
def test_added_rows_are_found(read: Run, tamper: Tamper, query: Query) -> None:
    copy = """
        INSERT INTO audit_log SELECT %s, occurred_at, actor, db_user, action, model_name,
               deployment_environment, operation_id, detail, %s, hash FROM audit_log WHERE seq = 3
    """
    tamper(copy, 0, "a")
    assert found(read) == [(0, "added")]
    tamper("DELETE FROM audit_log WHERE seq = 0")
    tamper(copy, 11, "b")
    assert set(found(read)) == {(11, "added"), (11, "changed")}


@pytest.mark.usefixtures("ten_rows")
def test_log_that_was_sealed_anew_needs_the_head_outside(read: Run, tamper: Tamper) -> None:
    noted = read(limit=0).result["head"]
    tamper("UPDATE audit_log SET actor = 'somebody else', previous_hash = 'x' || seq WHERE seq >= 4")
    for place in range(4, 11):
        tamper(
            "UPDATE audit_log SET previous_hash = (SELECT hash FROM audit_log WHERE seq = %s) WHERE seq = %s",
            place - 1,
            place,
        )
        tamper(RESEAL, place)
    tamper("UPDATE audit_head SET hash = (SELECT hash FROM audit_log WHERE seq = 10)")
    assert found(read) == []
    assert found(read, expected_head=noted) == [(10, "changed")]


@pytest.mark.usefixtures("ten_rows")
def test_head_that_is_gone_is_found_and_stops_all_writing(read: Run, tamper: Tamper, query: Query) -> None:
    tamper("DELETE FROM audit_head")
    assert found(read) == [(10, "removed")]
    assert read(limit=1).result["head"] is None
    with pytest.raises(psycopg2.Error):
        query(APPEND, ("test.happened", "{}"))


@pytest.mark.usefixtures("ten_rows")
def test_rows_are_checked_across_pages(read: Run, tamper: Tamper, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 3, 5, 10):
        monkeypatch.setattr(audit, "_PAGE", size)
        assert read(verify=True).result["rows"] == 10
    monkeypatch.setattr(audit, "_PAGE", 3)
    tamper("UPDATE audit_log SET actor = '' WHERE seq IN (3, 4, 7)")
    assert found(read) == [(3, "changed"), (4, "changed"), (7, "changed")]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = ''", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
@pytest.mark.usefixtures("ten_rows")
def test_even_the_owner_does_not_rewrite_the_log(query: Query, read: Run, statement: str) -> None:
    with pytest.raises(psycopg2.errors.RaiseException, match="written once and kept"):
        query(statement)
    assert found(read) == []


@pytest.mark.parametrize(
    "action",
    [
        "entry.update",
        "operation.started",
        "manifest.recorded",
        "approval.approved",
        "lock.forced",
        "",
        "x",
        "A.b",
        "a b.c",
    ],
)
def test_what_triggers_write_cannot_be_claimed(query: Query, action: str) -> None:
    with pytest.raises(psycopg2.errors.RaiseException, match="action"):
        query(APPEND, (action, "{}"))
    assert query("SELECT count(*) FROM audit_log") == [(0,)]


def test_operations_manifests_and_forced_locks_are_in_the_log(query: Query, read: Run) -> None:
    operation, other = str(uuid.uuid4()), str(uuid.uuid4())
    query(
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
        " VALUES (%s, 'org/Model-7B', 'staging', 'deploy', 'ann', 7)",
        (operation,),
    )
    query(
        "INSERT INTO deployment_manifests"
        " (model_name, deployment_environment, release_name, release_revision, manifest_digest, operation_id)"
        " VALUES ('org/Model-7B', 'staging', 'model-7b', 3, repeat('a', 64), %s)",
        (operation,),
    )
    query(
        "INSERT INTO operation_locks (model_name, deployment_environment, fence, operation_id, holder,"
        " expires_at) VALUES ('org/Model-7B', 'staging', 7, %s, 'ann', now() + interval '1 min')",
        (operation,),
    )
    take = "UPDATE operation_locks SET operation_id = %s, fence = fence + 1, holder = 'bob'"
    # The holder gives it back; another one takes it; it is taken from that one.
    query("SELECT set_config('llmops.operation', %s, false)", (operation,))
    query("UPDATE operation_locks SET operation_id = NULL")
    query("RESET llmops.operation")
    query(take, (other,))
    query("UPDATE operation_locks SET operation_id = NULL")
    # Nobody holds a lock that has ended.
    query(take, (operation,))
    query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
    query(take, (other,))
    query(
        "UPDATE operations SET outcome = 'failed', finished_at = now(), error_class = 'capacity',"
        " reason = 'no GPU'"
    )

    logged = [
        (record["action"], record["operation_id"], record["detail"]) for record in read().result["records"]
    ]
    assert [(action, of) for action, of, _detail in logged] == [
        ("operation.started", operation),
        ("manifest.recorded", operation),
        ("lock.forced", other),
        ("operation.failed", operation),
    ]
    assert logged[0][2] == {"kind": "deploy", "fence": 7}
    assert logged[1][2]["release_revision"] == 3
    assert logged[2][2]["holder"] == "bob"
    assert logged[3][2] == {"kind": "deploy", "error_class": "capacity", "reason": "no GPU"}
    assert found(read) == []


@pytest.mark.full
def test_a_hundred_thousand_rows(
    query: Query, read: Run, server: Server, database_name: str, database: Database
) -> None:
    query(
        "DO $$ BEGIN FOR n IN 1..100000 LOOP"
        " PERFORM audit_append('test.happened', 'org/Model-7B', 'staging', NULL, jsonb_build_object('n', n));"
        " IF n % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )
    tracemalloc.start()
    start = time.monotonic()
    assert read(verify=True).result["rows"] == 100_000
    seconds = time.monotonic() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 60
    assert peak < 32 * 2**20
    query("ALTER TABLE audit_log DISABLE TRIGGER USER")
    query("UPDATE audit_log SET actor = ''")
    with pytest.raises(PlatformError) as failure:
        read(verify=True)
    assert failure.value.details["problem_count"] == 100_000
    assert len(failure.value.details["problems"]) == 100
