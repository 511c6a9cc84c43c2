# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts on manifests: appended, never changed, and the newest one counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import OperationRef
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.verifications import (
    Verdict,
    newest,
    record,
)
from tests.services.registry.conftest import Run

Query = Callable[..., list[tuple[Any, ...]]]
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


def written(database: Database, found: Verdict, environment: str = "prod-eu", **more: Any) -> bool:
    """Record a verdict; tell whether it was written."""
    return database.transaction(lambda session: record(session, "m", environment, found, **more))


def counts(database: Database, digest: str = DIGEST, environment: str = "prod-eu") -> str | None:
    """Return the verdict that counts."""
    found = database.transaction(lambda session: newest(session, "m", environment, digest))
    return found.verdict if found is not None else None


def test_the_newest_verdict_counts(database: Database, query: Query) -> None:
    assert counts(database) is None
    for verdict, news in (("passed", True), ("passed", False), ("failed", True), ("failed", True)):
        assert written(database, Verdict(DIGEST, verdict, "it hung")) is news
        assert counts(database) == verdict
    assert written(database, Verdict(DIGEST, "passed")) is True
    assert written(database, Verdict(DIGEST, "revoked", "bad answers")) is True
    assert counts(database) == "revoked"
    # Another manifest and another environment have verdicts of their own.
    assert counts(database, OTHER) is None
    assert counts(database, environment="staging") is None
    actions = query("SELECT action FROM audit_log WHERE action LIKE 'manifest.%' ORDER BY seq")
    assert [action for (action,) in actions] == [
        f"manifest.{verdict}" for verdict in ("passed", "failed", "failed", "passed", "revoked")
    ]


def operation(query: Query, number: int) -> OperationRef:
    """Begin an operation over the target, and return it."""
    ref = OperationRef(f"00000000-0000-4000-8000-{number:012}", number)
    query(
        "INSERT INTO operation_locks (model_name, deployment_environment, operation_id, fence, expires_at)"
        " VALUES ('m', 'prod-eu', %(id)s, %(fence)s, now() + interval '1 h')"
        " ON CONFLICT (model_name, deployment_environment)"
        " DO UPDATE SET operation_id = %(id)s, fence = %(fence)s",
        ref.as_json(),
    )
    query(
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
        " VALUES (%(id)s, 'm', 'prod-eu', 'deploy', 'ann', %(fence)s)",
        ref.as_json(),
    )
    return ref


def test_a_change_takes_a_revocation_back_that_was_there_before_it(database: Database, query: Query) -> None:
    passed = Verdict(DIGEST, "passed")
    assert written(database, Verdict(DIGEST, "revoked", "bad answers"))
    # Nothing says when it was made.
    assert not written(database, passed)
    first = operation(query, 1)
    assert not written(database, Verdict(DIGEST, "passed", of_a_change=False), operation=first)
    assert written(database, passed, operation=first)
    query(
        "INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict,"
        " reason) VALUES ('m', 'prod-eu', %s, 'revoked', 'leaks')",
        (DIGEST,),
    )
    # The model was asked before somebody gave it up: they know more.
    assert not written(database, passed, operation=first)
    assert counts(database) == "revoked"
    assert written(database, passed, operation=operation(query, 2))


@pytest.mark.parametrize(
    "there",
    [
        (
            "INSERT INTO operation_locks (model_name, deployment_environment, expires_at)"
            " VALUES ('m', 'prod-eu', now())"
        ),
        (
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status)"
            " VALUES ('m', 'prod-eu', 'pending')"
        ),
    ],
    ids=["lock", "entry"],
)
def test_a_verdict_waits_for_one_that_is_being_written(
    database: Database, dsn: str, query: Query, there: str
) -> None:
    query(there)
    connection = psycopg2.connect(dsn)
    with ThreadPoolExecutor() as others:
        record(Session(connection), "m", "prod-eu", Verdict(DIGEST, "revoked", "bad answers"))
        other = others.submit(written, database, Verdict(DIGEST, "passed", of_a_change=False))
        assert not wait([other], 0.5).done
        connection.commit()
        assert other.result(10) is False
    connection.close()
    assert counts(database) == "revoked"


def test_evidence_is_kept_without_secrets(database: Database, query: Query) -> None:
    evidence = {"completion": {"latency_s": 0.2}, "api_key": "c4n4ry"}
    reason = "401 for Bearer c4n4ryc4n4ry " + "x" * 900
    assert written(database, Verdict(DIGEST, "failed", reason, evidence), by="awx: maria")
    ((kept, told, by),) = query("SELECT evidence, reason, verified_by FROM manifest_verifications")
    assert kept["completion"] == {"latency_s": 0.2}
    assert "c4n4ry" not in f"{kept}{told}"
    assert len(told) == 500
    assert by == "awx: maria"


def test_what_an_engine_said_is_kept_without_secrets_and_as_json(database: Database, query: Query) -> None:
    evidence = {
        "message": "export OPENAI_API_KEY=c4n4ry-1 failed",
        "answers": ({"password": "c4n4ry-2"}, "--api-key c4n4ry-3"),
        "pods": [{"name": "m-0", "log_tail": "c4n4ry-4", "events": ["c4n4ry-5"], "token: c4n4ry-6": 1}],
        "log_tail": "c4n4ry-7",
        "odd": ["a\x00b", "\ud800", float("nan"), float("inf"), datetime(2026, 1, 2, tzinfo=UTC), None, True],
    }
    assert written(
        database, Verdict(DIGEST, "failed", "started with --api-key c4n4ry-8,\x00 token: c4n4ry-9", evidence)
    )
    ((kept, told),) = query("SELECT evidence, reason FROM manifest_verifications")
    assert "c4n4ry" not in f"{kept}{told}"
    assert set(kept) == {"message", "answers", "pods", "odd"}
    assert kept["pods"][0]["name"] == "m-0"
    assert not {"log_tail", "events"} & set(kept["pods"][0])
    assert kept["odd"] == ["ab", "", "nan", "inf", "2026-01-02 00:00:00+00:00", None, True]
    assert told.startswith("started with --api-key ")


def test_trying_writes_nothing(database: Database, query: Query) -> None:
    assert written(database, Verdict(DIGEST, "passed"), dry_run=True) is True
    assert query("SELECT count(*) FROM manifest_verifications") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE manifest_verifications SET verdict = 'passed'",
        "DELETE FROM manifest_verifications",
        "TRUNCATE manifest_verifications",
    ],
)
def test_nobody_rewrites_a_verdict(database: Database, query: Query, statement: str) -> None:
    written(database, Verdict(DIGEST, "failed", "it hung"))
    with pytest.raises(psycopg2.errors.Error, match="written once and kept"):
        query(statement)


@pytest.mark.parametrize("verdict", ["failed", "revoked"])
def test_a_bad_verdict_has_a_reason(database: Database, verdict: str) -> None:
    with pytest.raises(Exception, match="manifest_verifications_reason"):
        written(database, Verdict(DIGEST, verdict))


def test_a_user_sees_which_verdict_counts(database: Database, info: Run) -> None:
    written(database, Verdict(DIGEST, "passed", evidence={"completion": {"latency_s": 0.2}}))
    written(database, Verdict(OTHER, "failed", "it hung"))
    written(database, Verdict(DIGEST, "revoked", "bad answers"))
    written(database, Verdict(DIGEST, "passed"), environment="staging")
    found = info(model="m", environment="prod-eu", verifications=10).result["verifications"]
    assert [(item["manifest_digest"], item["verdict"], item["counts"]) for item in found] == [
        (DIGEST, "revoked", True),
        (OTHER, "failed", True),
        (DIGEST, "passed", False),
    ]
    assert found[2]["evidence"] == {"completion": {"latency_s": 0.2}}
    assert found[1]["reason"] == "it hung"
    assert len(info(model="m", environment="prod-eu", verifications=1).result["verifications"]) == 1
    assert "verifications" not in info(model="m", environment="prod-eu").result


@pytest.mark.parametrize(
    "wrong",
    [{"verifications": -1}, {"verifications": 1, "environment": None}, {"verifications": 1, "model": None}],
)
def test_verdicts_are_those_of_one_target(info: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="verifications: "):
        info(**{"model": "m", "environment": "staging", **wrong})
