# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a promotion finds in the record of one before, and what it leaves there itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import Step
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import (
    Registry,
    Run,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.steps import (
    lock,
    release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion import promotion
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.carry import Carried
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gate_set import (
    GateSet,
    Override,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.journal import (
    GATES_STEP,
    WATCH_STEP,
    is_watched,
    passed_gates,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.keeping import kept
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import (
    read_source,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.watch import Watch
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import operations, revisions
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.revisions import Origin
from tests.unit.operations.promotion.cases import DIGEST, MODEL, OTHER, make_run, rendered
from tests.unit.release.test_plan import request

Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def run(database: Database) -> Run:
    """Return a run in production that has the registry."""
    made, _permit, _said = make_run()
    made.registry = Registry(database, Holder("maria@bastion"))
    return made


def recorded(query: Query, digest: str, ago_s: float = 100, environment: str = "production") -> None:
    """Record that a manifest was deployed so long ago."""
    query(
        "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
        " release_revision, manifest_digest, created_at)"
        " VALUES (%s, %s, 'm', 1, %s, now() - make_interval(secs => %s))",
        (MODEL, environment, digest, ago_s),
    )


def watched(
    query: Query,
    digest: str,
    ago_s: float = 50,
    outcome: str = "succeeded",
    environment: str = "production",
    name: str = WATCH_STEP,
    ended: str = "running",
) -> None:
    """Record that a watch of a manifest began so long ago, and how it ended."""
    identity = str(uuid.uuid4())
    query(
        "INSERT INTO operations"
        " (id, model_name, deployment_environment, kind, actor, fence, outcome, finished_at)"
        " VALUES (%s, %s, %s, 'promote', 'ci', 1, %s, CASE WHEN %s <> 'running' THEN now() END)",
        (identity, MODEL, environment, ended, ended),
    )
    query(
        "INSERT INTO operation_steps (operation_id, number, name, started_at, finished_at, outcome, detail)"
        " VALUES (%s, 1, %s, now() - make_interval(secs => %s), CASE WHEN %s THEN now() END, %s, %s)",
        (identity, name, ago_s, outcome != "running", outcome, json.dumps({"manifest_digest": digest})),
    )


OURS = rendered().digest

#: What is on record of manifests and of watches, and whether what is there has been watched.
WATCHED: list[tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = [
    ([{}], [{}], True),
    ([{}], [], False),
    ([], [{}], False),
    ([{}], [{"outcome": "failed"}], False),
    ([{}], [{"outcome": "running"}], False),
    ([{}], [{"outcome": "failed"}, {}], True),
    ([{}], [{"digest": OTHER}], False),
    ([{}], [{"environment": "staging"}], False),
    ([{}], [{"name": "rollout"}], False),
    ([{"environment": "staging"}], [{}], False),
    # Deployed anew since: the watch was one of an older revision.
    ([{}, {"ago_s": 10}], [{}], False),
    ([{}, {"ago_s": 10}], [{}, {"ago_s": 5}], True),
    ([{}], [{"ended": "succeeded"}], True),
    # Another one was there before, or in between.
    ([{"digest": OTHER, "ago_s": 200}, {}], [{}], True),
    ([{}, {"digest": OTHER, "ago_s": 10}], [{}], True),
]


@pytest.mark.parametrize(("manifests", "watches", "expected"), WATCHED)
def test_whether_what_is_there_was_watched_to_the_end(
    run: Run, query: Query, manifests: list[dict[str, Any]], watches: list[dict[str, Any]], expected: bool
) -> None:
    for each in manifests:
        recorded(query, **{"digest": OURS, **each})
    for each in watches:
        watched(query, **{"digest": OURS, **each})
    assert is_watched(run) is expected


#: The same of gates that were passed: before the manifest is on record, and until another one is.
PASSED: list[tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = [
    ([], [{}], True),
    ([{}], [{}], True),
    ([{"ago_s": 10}], [{}], True),
    ([{"ago_s": 10}], [{"ended": "interrupted"}], True),
    ([{"ago_s": 10}], [{"ended": "failed"}], True),
    # It came to its end: whatever is not as it was then is somebody's doing.
    ([{"ago_s": 10}], [{"ended": "succeeded"}], False),
    ([], [{"ended": "rolled_back"}], False),
    ([], [], False),
    ([], [{"outcome": "failed"}], False),
    ([], [{"digest": OTHER}], False),
    ([], [{"environment": "staging"}], False),
    ([{"digest": OTHER, "ago_s": 200}], [{}], True),
    ([{"digest": OTHER, "ago_s": 10}], [{}], False),
    ([{"digest": OTHER, "ago_s": 10}, {"ago_s": 5}], [{}], False),
    ([{"digest": OTHER, "environment": "staging", "ago_s": 10}], [{}], True),
]


@pytest.mark.parametrize(("manifests", "gates", "expected"), PASSED)
def test_whether_what_is_there_has_passed_its_gates(
    run: Run, query: Query, manifests: list[dict[str, Any]], gates: list[dict[str, Any]], expected: bool
) -> None:
    for each in manifests:
        recorded(query, **{"digest": OURS, **each})
    for each in gates:
        watched(query, **{"digest": OURS, "name": GATES_STEP, **each})
    found = passed_gates(run)
    assert (found is not None) is expected
    assert found is None or found["manifest_digest"] == OURS


def deployed(database: Database, query: Query, revision: int, digest: str = DIGEST) -> None:
    """Deploy to staging: a row, and what it was made of."""
    query("DELETE FROM model_registry_entries")
    query(
        "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
        " deployment_endpoint, release_name, release_revision, manifest_digest)"
        " VALUES (%s, 'staging', 'ready', 'http://m:8000', 'm', %s, %s)",
        (MODEL, revision, digest),
    )
    entry = Entry(MODEL, "staging", release_name="m", release_revision=revision, manifest_digest=digest)
    database.transaction(lambda session: revisions.record(session, entry, {}))


SOAKED = Gate("soak", GateVerdict.INCONCLUSIVE, "60 s; Bearer c4n4ry4711", 60.0, 900.0)
VERIFIED = Gate("verified", GateVerdict.PASS, "serves")


def promoting(run: Run, database: Database, **more: Any) -> promotion.Promotion:
    source = database.transaction(lambda session: read_source(session, MODEL, "staging"))
    gates = [VERIFIED, SOAKED]
    carried = Carried(None, rendered(), (), ())  # type: ignore[arg-type]
    going = promotion.Promotion(
        source, carried, GateSet(), run, lambda _session: gates, list, Watch(), **more
    )
    going.asked = gates
    return going


def do_nothing(_run: Run) -> None:
    """Stand for a step that needs a cluster."""


def test_an_override_is_audited_with_who_why_and_what_was_seen(
    run: Run, database: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(database, query, 3)
    monkeypatch.setattr(release, "take", do_nothing)
    wanted = operations.Wanted(MODEL, "production", "promote", run.used_registry.holder, 60.0)
    run.operation = operations.start(database, wanted, 0.0, lambda _line: None).ref
    hotfix = {"soak": Override("soak", "hotfix"), "verified": Override("verified", "not needed")}
    going = promoting(run, database, overrides=hotfix)
    take, _phase = going.steps[Step.RELEASE]
    take(run)
    assert query(
        "SELECT actor, model_name, deployment_environment, operation_id::text, detail FROM audit_log"
        " WHERE action = 'gate.overridden'"
    ) == [
        (
            "maria@bastion",
            MODEL,
            "production",
            run.operation.id,
            {"gate": "soak", "verdict": "inconclusive", "why": "hotfix", "seen": "60 s; Bearer [hidden]"},
        )
    ]


def test_where_no_gate_is_skipped_nothing_is_audited(
    run: Run, database: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(database, query, 3)
    monkeypatch.setattr(release, "take", do_nothing)
    going = promoting(run, database)
    going.asked = [VERIFIED]
    going.decide = lambda _session: [VERIFIED]
    take, _phase = going.steps[Step.RELEASE]
    take(run)
    assert query("SELECT * FROM audit_log WHERE action = 'gate.overridden'") == []


#: What staging runs when the lock of the target was taken.
SINCE: list[tuple[int | None, str, ErrorClass | None]] = [
    (None, DIGEST, None),
    (4, DIGEST, ErrorClass.LOCKED),
    (4, OTHER, ErrorClass.LOCKED),
    (3, OTHER, ErrorClass.LOCKED),
]


@pytest.mark.parametrize(("revision", "digest", "error_class"), SINCE)
def test_the_source_has_to_run_what_is_carried_when_the_lock_is_taken(
    run: Run,
    database: Database,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
    revision: int | None,
    digest: str,
    error_class: ErrorClass | None,
) -> None:
    deployed(database, query, 3)
    going = promoting(run, database)
    if revision is not None:
        deployed(database, query, revision, digest)
    monkeypatch.setattr(lock, "take", do_nothing)
    take, _phase = going.steps[Step.LOCK]
    if error_class is None:
        take(run)
        return
    with pytest.raises(PlatformError, match="by now, not revision 3") as caught:
        take(run)
    assert caught.value.error_class is error_class


def test_a_source_that_was_removed_meanwhile(
    run: Run, database: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(database, query, 3)
    going = promoting(run, database)
    query("DELETE FROM model_registry_entries")
    monkeypatch.setattr(lock, "take", do_nothing)
    take, _phase = going.steps[Step.LOCK]
    with pytest.raises(PlatformError, match="has no entry"):
        take(run)


#: Whether the manifest that the row names was promoted, and which is named.
PROMOTED: list[tuple[Origin | None, str, bool]] = [
    (Origin("qa", OTHER), DIGEST, True),
    (None, DIGEST, False),
    # Something else was deployed since.
    (Origin("qa", OTHER), OTHER, False),
]


@pytest.mark.parametrize(("origin", "names", "promoted"), PROMOTED)
def test_what_the_row_names_is_not_deployed_over_where_it_was_promoted(
    run: Run, database: Database, query: Query, origin: Origin | None, names: str, promoted: bool
) -> None:
    asked = request(values={"model": {"revision": "main"}}, model=MODEL, name="m")
    entry = Entry(MODEL, "staging", release_name="m", release_revision=3, manifest_digest=DIGEST)
    made = {"values": {"model": {"revision": "abc"}}, "origin": origin}
    deployed(database, query, 2, OTHER)
    database.transaction(lambda session: revisions.record(session, entry, made))
    query("UPDATE model_registry_entries SET release_revision = 3, manifest_digest = %s", (names,))
    if not promoted:
        assert kept(run.registry, asked, "refuse") == (asked, None)
        return
    with pytest.raises(PlatformError, match=r"would undo the promotion from qa \(revision 3"):
        kept(run.registry, asked, "refuse")


def test_a_target_without_a_row_was_not_promoted(run: Run) -> None:
    asked = request(values={}, model=MODEL, name="m")
    assert kept(run.registry, asked, "refuse") == (asked, None)
