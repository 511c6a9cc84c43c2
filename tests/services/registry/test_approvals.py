# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Approvals of promotions: appended, never changed, by somebody else, and for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.actor import awx_environment
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.identity import identity
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import (
    approval,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.approvals import (
    Subject,
    newest,
    subject_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.approving import (
    Change,
    approve,
    request,
    withdraw,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
)
from tests.services.registry.conftest import Run, open_database
from tests.support.awx_run import Job
from tests.support.postgres import Server
from tests.unit.common.test_identity import CASES

Query = Callable[..., list[tuple[Any, ...]]]

MANIFEST, OTHER, GATES, OTHER_GATES = (f"sha256:{letter * 64}" for letter in "abcd")
SUBJECT = subject_of("m", "prod-eu", "staging", MANIFEST, GATES)
RAW = (
    "INSERT INTO promotion_approvals (model_name, deployment_environment, source_environment,"
    " manifest_digest, gate_set_digest, kind, request_id, reason, expires_at)"
    " VALUES (%(model)s, %(target)s, %(source)s, %(manifest)s, %(gates)s, %(kind)s, %(request)s, %(reason)s,"
    " statement_timestamp() + make_interval(secs => %(seconds)s))"
)
ROW: dict[str, Any] = {
    "model": "m", "target": "prod-eu", "source": "staging", "manifest": MANIFEST, "gates": GATES,
    "kind": "approved", "request": 1, "reason": None, "seconds": 3600,
}  # fmt: skip


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def asked(database: Database) -> Database:
    """Return the database after Alice asked."""
    ask(database)
    return database


def ask(database: Database, subject: Subject = SUBJECT, by: str = "Alice@HOST") -> Change:
    """Ask for an approval."""
    return database.transaction(lambda session: request(session, subject, by=by))


def say_yes(database: Database, subject: Subject = SUBJECT, by: str = "bob", seconds: float = 3600) -> Change:
    """Approve."""
    return database.transaction(lambda session: approve(session, subject, by=by, expires_in_s=seconds))


def say_no(database: Database, subject: Subject = SUBJECT, by: str = "bob") -> Change:
    """Refuse, or take an approval back."""
    return database.transaction(lambda session: withdraw(session, subject, by=by, reason="bad answers"))


def gate(database: Database, subject: Subject = SUBJECT, **more: Any) -> Gate:
    """Ask the gate."""
    return database.transaction(
        lambda session: approval.approval_gate(session, subject, **more), read_only=True
    )


def as_actor(dsn: str, actor: str, *statements: tuple[str, dict[str, Any]]) -> None:
    """Run SQL past the core, on somebody's behalf."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('llmops.actor', %s, true)", (actor,))
            for statement, values in statements:
                cursor.execute(statement, values)
    finally:
        connection.close()


def test_the_schema_knows_the_same_people(query: Query) -> None:
    # And every character of the basic plane in the middle of a name.
    characters = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code <= 0xDFFF]
    names = [*CASES, *(f"a{one}b" for one in characters), *(f"{one}ab" for one in characters)]
    known = query(
        "SELECT registry_identity(name) FROM unnest(%s) WITH ORDINALITY AS n (name, place) ORDER BY place",
        (names,),
    )
    found = {name: person for name, (person,) in zip(names, known, strict=True)}
    assert {name: person for name, person in found.items() if person != identity(name)} == {}


def test_from_a_request_to_the_end(database: Database, query: Query) -> None:
    assert gate(database).verdict == "inconclusive"
    assert ask(database).changed
    assert not ask(database, by="carol").changed
    waiting = gate(database)
    assert (waiting.verdict, "Alice@HOST asked" in waiting.reason) == ("inconclusive", True)
    assert say_yes(database).changed
    passed = gate(database)
    assert (passed.verdict, passed.value, passed.source) == ("pass", "approved", "registry")
    assert passed.until is not None
    # Asking does not set aside what holds.
    assert not ask(database).changed
    assert say_no(database, by="carol").changed
    assert not say_no(database).changed
    refused = gate(database)
    assert (refused.verdict, "withdrawn by carol: bad answers" in refused.reason) == ("fail", True)
    with pytest.raises(PlatformError, match="Nobody asks to promote"):
        say_yes(database)
    assert ask(database).changed
    assert gate(database).verdict == "inconclusive"
    actions = query(
        "SELECT action, actor, detail ->> 'manifest_digest' FROM audit_log"
        " WHERE action LIKE 'approval.%' ORDER BY seq"
    )
    assert actions == [
        ("approval.requested", "Alice@HOST", MANIFEST),
        ("approval.approved", "bob", MANIFEST),
        ("approval.withdrawn", "carol", MANIFEST),
        ("approval.requested", "Alice@HOST", MANIFEST),
    ]


def test_nobody_approves_what_they_asked_for(asked: Database, dsn: str) -> None:
    spellings = [actor for actor, person in CASES.items() if person in ("alice", None) and actor]
    for spelling in spellings:
        with pytest.raises(PlatformError, match=r"actor: .* (asked for|does not say)") as failure:
            say_yes(asked, by=spelling)
        assert failure.value.error_class == "invalid"
        with pytest.raises(psycopg2.errors.RaiseException, match=r"asked for this promotion|does not say"):
            as_actor(dsn, spelling, (RAW, ROW))
    assert gate(asked).verdict == "inconclusive"


def test_a_job_without_a_user_neither_asks_nor_approves(
    asked: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a schedule started: nobody is behind it, whoever the container runs as."""
    job = Job(user="")
    for name, value in awx_environment(job.variables(), job.host).items():
        monkeypatch.setenv(name, value)
    other = subject_of("m", "prod-us", "staging", MANIFEST, GATES)
    for dry_run in (False, True):
        for attempt in (
            lambda session, dry=dry_run: request(session, other, dry_run=dry),
            lambda session, dry=dry_run: approve(session, SUBJECT, expires_in_s=60, dry_run=dry),
        ):
            with pytest.raises(PlatformError, match=r"no user \(awx_user_name\)") as failure:
                asked.transaction(attempt)
            assert "launches the job" in failure.value.resolution
    assert query("SELECT kind FROM promotion_approvals") == [("requested",)]


def test_the_core_is_as_strict_as_the_schema_in_check_mode(asked: Database) -> None:
    with pytest.raises(PlatformError, match="asked for this promotion"):
        asked.transaction(
            lambda session: approve(session, SUBJECT, by="alice", expires_in_s=60, dry_run=True),
            read_only=True,
        )


ANSWERS_TO_SOMETHING_ELSE: list[tuple[dict[str, Any], str]] = [
    ({"manifest": OTHER}, "no request for this"),
    ({"gates": OTHER_GATES}, "no request for this"),
    ({"source": "qa"}, "no request for this"),
    ({"model": "n"}, "no request for this"),
    ({"target": "prod-us"}, "no request for this"),
    ({"request": 7}, "no request for this"),
    ({"request": None}, "no request for this"),
    ({"kind": "requested", "seconds": None}, "answers_a_request"),
    ({"seconds": None}, "promotion_approvals_expires"),
    ({"seconds": 0}, "within_a_month"),
    ({"seconds": 2_592_001}, "within_a_month"),
    ({"kind": "withdrawn", "seconds": None}, "promotion_approvals_reason"),
    ({"kind": "withdrawn", "reason": "no"}, "promotion_approvals_expires"),
    ({"kind": "requested", "request": None, "seconds": None, "source": "prod-eu"}, "elsewhere"),
    ({"kind": "waived", "seconds": None}, "kind"),
    ({"manifest": "a" * 64, "kind": "requested", "request": None, "seconds": None}, "manifest_digest"),
]


@pytest.mark.usefixtures("asked")
def test_the_database_takes_no_answer_to_something_else(dsn: str) -> None:
    for difference, error in ANSWERS_TO_SOMETHING_ELSE:
        with pytest.raises(psycopg2.Error, match=error):
            as_actor(dsn, "bob", (RAW, ROW | difference))


def test_the_database_takes_no_answer_to_what_is_over(asked: Database, dsn: str) -> None:
    say_no(asked)
    no = ROW | {"kind": "withdrawn", "reason": "no", "seconds": None}
    for answer in (ROW, no):
        with pytest.raises(psycopg2.errors.RaiseException, match="request 1 is not open any more"):
            as_actor(dsn, "bob", (RAW, answer))
    again = ask(asked).after
    for answer in (ROW, no):
        with pytest.raises(psycopg2.errors.RaiseException, match="request 1 is not open any more"):
            as_actor(dsn, "bob", (RAW, answer))
    as_actor(dsn, "bob", (RAW, ROW | {"request": again.id}))
    assert gate(asked).open


@pytest.mark.usefixtures("asked")
def test_the_longest_approval_is_taken(dsn: str, database: Database) -> None:
    as_actor(dsn, "bob", (RAW, ROW | {"seconds": 2_592_000}))
    assert gate(database).open


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        ({"manifest_digest": OTHER}, f"manifest {MANIFEST[:19]}, not {OTHER[:19]}"),
        ({"gate_set_digest": OTHER_GATES}, f"gates {GATES[:19]}, not {OTHER_GATES[:19]}"),
        ({"source": "qa"}, "source staging, not qa"),
    ],
)
def test_an_approval_is_for_nothing_else(asked: Database, difference: dict[str, str], told: str) -> None:
    say_yes(asked)
    other = subject_of(**{
        "model": "m", "environment": "prod-eu", "source": "staging", "manifest_digest": MANIFEST,
        "gate_set_digest": GATES, **difference,
    })  # fmt: skip
    found = gate(asked, other)
    assert found.verdict == "fail"
    assert f"bob approved something else ({told})" in found.reason
    # Once somebody asked for it, that is waited for.
    ask(asked, other)
    assert gate(asked, other).verdict == "inconclusive"
    assert gate(asked).open
    # In another target nobody approved anything.
    assert gate(asked, subject_of("m", "prod-us", "staging", MANIFEST, GATES)).verdict == "inconclusive"


def test_only_the_databases_clock_says_when_one_ends(
    asked: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_yes(asked)
    for wrong in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        assert gate(asked).open
    monkeypatch.undo()
    query(
        "INSERT INTO promotion_approvals (model_name, deployment_environment, source_environment,"
        " manifest_digest, gate_set_digest, kind, request_id, actor, created_at, expires_at)"
        " SELECT model_name, deployment_environment, source_environment, manifest_digest, gate_set_digest,"
        " 'approved', id, 'bob', now() - interval '2 h', now() - interval '1 s' FROM promotion_approvals"
        " WHERE kind = 'requested'"
    )
    ended = gate(asked)
    assert (ended.verdict, "(expired)" in ended.reason) == ("inconclusive", True)
    assert say_yes(asked).changed
    assert gate(asked).open


def test_an_approval_is_renewed_in_the_second_half_of_its_time(asked: Database) -> None:
    assert say_yes(asked, seconds=3600).changed
    assert not say_yes(asked, seconds=3600, by="carol").changed
    assert not say_yes(asked, seconds=60).changed
    assert say_yes(asked, seconds=8000, by="carol").changed
    found = asked.transaction(lambda session: newest(session, SUBJECT))
    assert found is not None
    assert (found.by, found.requested_by, round(found.left_s or 0, -2)) == ("carol", "Alice@HOST", 8000)


def test_two_logins_where_the_gate_asks_for_them(
    asked: Database, server: Server, query: Query, database_name: str
) -> None:
    say_yes(asked)
    assert gate(asked).open
    same = gate(asked, other_login=True)
    assert (same.verdict, "both the database user postgres" in same.reason) == ("fail", True)
    user = f"approver_{database_name}"
    query(f"CREATE ROLE {user} LOGIN PASSWORD 'weak' IN ROLE llmops_deployer")
    try:
        with open_database(server.dsn(database_name, user=user, password="weak")) as other:
            say_yes(other, by="carol", seconds=100_000)
        assert gate(asked, other_login=True).open
        assert query("SELECT login FROM promotion_approvals ORDER BY id") == [
            ("postgres",), ("postgres",), (user,),
        ]  # fmt: skip
    finally:
        query(f"DROP ROLE {user}")


@pytest.mark.usefixtures("asked")
def test_nobody_rewrites_what_was_asked(query: Query) -> None:
    for statement in ("UPDATE promotion_approvals SET actor = 'bob'", "DELETE FROM", "TRUNCATE"):
        with pytest.raises(psycopg2.errors.RaiseException, match="written once and kept"):
            query(statement if "SET" in statement else f"{statement} promotion_approvals")


def test_two_who_approve_take_turns(asked: Database, dsn: str, query: Query) -> None:
    connection = psycopg2.connect(dsn)
    with ThreadPoolExecutor() as others, open_database(dsn) as second:
        approve(Session(connection), SUBJECT, by="bob", expires_in_s=3600)
        other = others.submit(say_yes, second, by="carol")
        assert not wait([other], 0.5).done
        connection.commit()
        assert other.result(10).changed is False
    connection.close()
    assert query("SELECT kind, actor FROM promotion_approvals ORDER BY id") == [
        ("requested", "Alice@HOST"),
        ("approved", "bob"),
    ]


def test_a_withdrawal_that_waited_still_counts(asked: Database, dsn: str, query: Query) -> None:
    """Rows are numbered before they wait for their turn: by SQL alone, the later one had the lower number."""
    no = ROW | {"kind": "withdrawn", "reason": "no", "seconds": None}
    connection = psycopg2.connect(dsn)
    with ThreadPoolExecutor() as others, connection.cursor() as cursor:
        cursor.execute("SELECT promotion_approvals_take_turns('m', 'prod-eu')")
        other = others.submit(as_actor, dsn, "carol", (RAW, no))
        assert not wait([other], 0.5).done
        cursor.execute("SELECT set_config('llmops.actor', 'bob', true)")
        cursor.execute(RAW, ROW)
        connection.commit()
        with pytest.raises(psycopg2.errors.SerializationFailure):
            other.result(10)
    connection.close()
    as_actor(dsn, "carol", (RAW, no))
    assert gate(asked).verdict == "fail"


def test_a_secret_in_a_reason_is_not_kept(database: Database, query: Query) -> None:
    database.transaction(
        lambda session: request(session, SUBJECT, by="alice", reason="see Bearer c4n4ryc4n4ry " + "x" * 900)
    )
    ((reason,),) = query("SELECT reason FROM promotion_approvals")
    assert "c4n4ry" not in reason
    assert len(reason) == 500


def test_a_user_lists_what_was_asked(asked: Database, info: Run) -> None:
    say_yes(asked)
    found = info(model="m", environment="prod-eu", approvals=10).result["approvals"]
    assert [(one["state"], one["counts"], one["actor"], one["holds"]) for one in found] == [
        ("approved", True, "bob", True),
        ("requested", False, "Alice@HOST", False),
    ]
    assert {one["requested_by"] for one in found} == {"Alice@HOST"}
    with pytest.raises(PlatformError, match="approvals: "):
        info(approvals=1)
