# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a promotion reads of its source: only what is on record word for word, and how it stands just now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import (
    Source,
    Standing,
    read_source,
    read_standing,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import operations, revisions
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import read_manifests
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.revisions import Origin
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import manifest_digest

Query = Callable[..., list[tuple[Any, ...]]]

MODEL = "org/Model-7B"
VALUES = {"model": {"name": MODEL, "gpuMemoryUtilization": 0.9}, "replicas": 1, "tier": "staging"}
OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"MODEL_PATH": MODEL}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m"}, "spec": {"replicas": 1}},
]
DIGEST = manifest_digest(OBJECTS)
OTHER = f"sha256:{'b' * 64}"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture(autouse=True)
def _entry(query: Query) -> None:
    query(
        "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
        " deployment_endpoint, deployment_namespace, release_name, release_revision, manifest_digest)"
        " VALUES (%s, 'staging', 'ready', 'http://m:8000', 'llm', 'm', 3, %s)",
        (MODEL, DIGEST),
    )


def record(database: Database, revision: int = 3, digest: str = DIGEST, **more: Any) -> None:
    """Record a revision, as a deployment that registers does."""
    entry = Entry(MODEL, "staging", release_name="m", release_revision=revision, manifest_digest=digest)
    manifest = {"values": VALUES, "objects": OBJECTS, **more}
    assert database.transaction(lambda session: revisions.record(session, entry, manifest)).written


def read(database: Database, environment: str = "staging") -> Source:
    return database.transaction(lambda session: read_source(session, MODEL, environment), read_only=True)


def refused(database: Database, said: str, environment: str = "staging") -> None:
    with pytest.raises(PlatformError, match=r"source\.environment: ") as caught:
        read(database, environment)
    assert caught.value.error_class is ErrorClass.INVALID
    assert said in caught.value.message


@contextmanager
def rewritten(query: Query, statement: str, values: Any = None) -> Iterator[None]:
    """Change what nobody may change, as an owner of the database who means harm."""
    with pytest.raises(psycopg2.errors.RaiseException):
        query(statement, values)
    query("ALTER TABLE deployment_manifests DISABLE TRIGGER deployment_manifests_are_immutable")
    query(statement, values)
    query("ALTER TABLE deployment_manifests ENABLE TRIGGER deployment_manifests_are_immutable")
    yield


def test_what_was_recorded_is_read_word_for_word(database: Database) -> None:
    record(database, chart_digest=OTHER, image_digest=OTHER)
    found = read(database)
    assert (found.model, found.environment, found.digest) == (MODEL, "staging", DIGEST)
    assert (found.content.values, found.objects) == (VALUES, OBJECTS)
    assert (found.manifest.revision, found.manifest.chart_digest, found.manifest.image_digest) == (
        3,
        OTHER,
        OTHER,
    )


def test_there_is_no_entry(database: Database) -> None:
    record(database)
    refused(database, "has no entry of org/Model-7B", "qa")
    with pytest.raises(PlatformError, match="environment: "):
        read(database, "No_Name")


@pytest.mark.parametrize(
    "without",
    [
        "UPDATE model_registry_entries SET manifest_digest = NULL",
        "UPDATE model_registry_entries SET release_name = NULL",
    ],
)
def test_an_entry_that_was_not_made_by_a_deployment(database: Database, query: Query, without: str) -> None:
    record(database)
    query(without)
    refused(database, "without what it was made of")


@pytest.mark.parametrize(
    ("revision", "digest", "release"), [(2, DIGEST, "m"), (3, OTHER, "m"), (3, DIGEST, "another")]
)
def test_a_revision_that_is_not_on_record(
    database: Database, query: Query, revision: int, digest: str, release: str
) -> None:
    record(database)
    query(
        "UPDATE model_registry_entries SET release_revision = %s, manifest_digest = %s, release_name = %s",
        (revision, digest, release),
    )
    refused(database, f"has revision {revision} ({digest[:19]}) of org/Model-7B not on record")


def test_of_several_revisions_the_one_that_the_entry_names(database: Database) -> None:
    record(database, 1)
    record(database)
    record(database, 4, OTHER)
    record(database, 5)
    assert read(database).manifest.revision == 3


def test_secrets_among_the_values_are_not_to_be_had(database: Database) -> None:
    record(database, values={**VALUES, "apiKey": "c4n4ry"})
    refused(database, "was given secrets as values of the chart")


VALUES_OF = "of the values of"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE deployment_manifests SET values = jsonb_set(values, '{model,name}', '\"x\"')", VALUES_OF),
        ("UPDATE deployment_manifests SET values = jsonb_set(values, '{replicas}', '2')", VALUES_OF),
        ("UPDATE deployment_manifests SET values = values || '{\"command\": []}'", VALUES_OF),
        ("UPDATE deployment_manifests SET values = values - 'tier'", VALUES_OF),
        ("UPDATE deployment_manifests SET values_digest = 'sha256:0'", VALUES_OF),
        (
            "UPDATE deployment_manifests SET objects = replace(objects::text, 'org/', 'evil/')::json",
            "of the manifest of",
        ),
        ("UPDATE deployment_manifests SET objects = '[]'", "of the manifest of"),
        (
            "UPDATE deployment_manifests SET values = '{}', objects = '[]'",
            "of the values and the manifest of",
        ),
    ],
)
def test_what_somebody_changed_in_the_database_is_found_out(
    database: Database, query: Query, change: str, named: str
) -> None:
    record(database)
    with rewritten(query, change):
        refused(database, named)


def test_another_strategy_is_the_same_manifest(database: Database) -> None:
    surge = [OBJECTS[0], {**OBJECTS[1], "spec": {"replicas": 1, "strategy": {"type": "Recreate"}}}]
    record(database, objects=surge)
    assert read(database).objects == surge


def test_a_manifest_of_which_the_objects_are_not_on_record_is_known_by_its_values(
    database: Database, query: Query
) -> None:
    record(
        database, objects=[*OBJECTS, {"apiVersion": "v1", "kind": "Secret", "stringData": {"x": "c4n4ry"}}]
    )
    assert read(database).objects == []
    with rewritten(query, "UPDATE deployment_manifests SET values = '{}'"):
        refused(database, "of the values of")


# What is known at one moment.


def standing(database: Database, digest: str = DIGEST) -> Standing:
    if not database.transaction(lambda session: read_manifests(session, MODEL, "staging")):
        record(database)
    source = read(database)
    source = replace(source, manifest=replace(source.manifest, digest=digest))
    return database.transaction(lambda session: read_standing(session, source, "production"), read_only=True)


def judge(query: Query, verdict: str, soaked_s: float | None = None, digest: str = DIGEST) -> None:
    reason = None if verdict == "passed" else "it hung"
    evidence = "{}" if soaked_s is None else f'{{"soak": {{"duration_s": {soaked_s}}}}}'
    query(
        "INSERT INTO manifest_verifications"
        " (model_name, deployment_environment, manifest_digest, verdict, reason, evidence)"
        " VALUES (%s, 'staging', %s, %s, %s, %s)",
        (MODEL, digest, verdict, reason, evidence),
    )


def checked(query: Query, for_s: float | None) -> None:
    """Note that a health checker has looked for so long, and a moment ago; None for one that saw it fall."""
    query(
        "INSERT INTO health_checks (model_name, deployment_environment, row_version, consecutive_failures,"
        " consecutive_successes, last_checked_at, soak_from)"
        " SELECT model_name, deployment_environment, row_version, 0, 1, now(),"
        "        now() - make_interval(secs => %s) FROM model_registry_entries",
        (for_s,),
    )


def test_nothing_is_known_of_what_nobody_looked_at(database: Database) -> None:
    seen = standing(database)
    assert (seen.verdict, seen.soaked_s, seen.source_lock, seen.target_lock) == (None, None, None, None)
    assert seen.entry is not None
    assert seen.entry.manifest_digest == DIGEST
    assert seen.now.tzinfo is not None


@pytest.mark.parametrize(
    ("verdicts", "verdict", "soaked_s"),
    [
        ([("passed", None)], "passed", None),
        ([("passed", 900)], "passed", 900),
        ([("passed", None), ("passed", 900)], "passed", 900),
        ([("passed", 1800), ("passed", 900)], "passed", 1800),
        ([("passed", 900), ("revoked", None)], "revoked", None),
        ([("passed", 900), ("failed", None)], "failed", None),
        ([("passed", 900), ("revoked", 30)], "revoked", None),
        # What was said before something was said against it does not count any more.
        ([("passed", 900), ("revoked", None), ("passed", None)], "passed", None),
        ([("passed", 900), ("revoked", None), ("passed", 60)], "passed", 60),
    ],
)
def test_a_soak_counts_from_when_nothing_was_said_against_it(
    database: Database,
    query: Query,
    verdicts: list[tuple[str, float | None]],
    verdict: str,
    soaked_s: float | None,
) -> None:
    for said, seconds in verdicts:
        judge(query, said, seconds)
    seen = standing(database)
    assert seen.verdict is not None
    assert (seen.verdict.verdict, seen.soaked_s) == (verdict, soaked_s)


def test_a_soak_is_one_manifests_in_one_environment(database: Database, query: Query) -> None:
    judge(query, "passed", 900, OTHER)
    query(
        "INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict,"
        " evidence) VALUES (%s, 'qa', %s, 'passed', '{\"soak\": {\"duration_s\": 900}}')",
        (MODEL, DIGEST),
    )
    seen = standing(database)
    assert (seen.verdict, seen.soaked_s) == (None, None)


def test_what_is_said_against_another_manifest_takes_no_soak_away(database: Database, query: Query) -> None:
    judge(query, "passed", 900)
    judge(query, "revoked", digest=OTHER)
    assert standing(database).soaked_s == pytest.approx(900)


def test_what_a_health_checker_has_seen_so_far_counts_as_well(database: Database, query: Query) -> None:
    checked(query, 600)
    assert standing(database).soaked_s == pytest.approx(600)
    judge(query, "passed", 300)
    assert standing(database).soaked_s == pytest.approx(600)
    judge(query, "passed", 900)
    assert standing(database).soaked_s == pytest.approx(900)


def test_the_checks_of_a_real_checker_count(database: Database, query: Query) -> None:
    for _check in range(2):
        query(
            "SELECT record_health_check(model_name, deployment_environment, row_version, true, 0.1, NULL)"
            " FROM model_registry_entries"
        )
        query("UPDATE health_checks SET soak_from = soak_from - interval '30 s'")
    assert standing(database).soaked_s == pytest.approx(60, abs=5)


def test_time_counts_until_the_last_look_and_not_until_now(database: Database, query: Query) -> None:
    checked(query, 600)
    query("UPDATE health_checks SET last_checked_at = last_checked_at - interval '400 s'")
    assert standing(database).soaked_s == pytest.approx(200)


def test_a_soak_that_was_recorded_is_kept_when_the_manifest_is_replaced(
    database: Database, query: Query
) -> None:
    judge(query, "passed", 900)
    checked(query, 2000)
    record(database)
    source = read(database)
    query("UPDATE model_registry_entries SET release_revision = 4, manifest_digest = %s", (OTHER,))
    seen = database.transaction(lambda session: read_standing(session, source, "production"))
    # Of the new one is what is looked at now.
    assert seen.soaked_s == pytest.approx(900)


def test_a_new_manifest_has_not_the_soak_of_the_one_before(database: Database, query: Query) -> None:
    checked(query, 2000)
    record(database)
    record(database, 4, OTHER, objects=[])
    query("UPDATE model_registry_entries SET release_revision = 4, manifest_digest = %s", (OTHER,))
    source = read(database)
    assert source.digest == OTHER
    seen = database.transaction(lambda session: read_standing(session, source, "production"))
    assert seen.soaked_s is None


@pytest.mark.parametrize("status", ["degraded", "deploying", "draining", "failed", "disabled"])
def test_what_is_not_ready_does_not_soak(database: Database, query: Query, status: str) -> None:
    checked(query, 600)
    query("UPDATE model_registry_entries SET deployment_status = %s", (status,))
    query("UPDATE health_checks SET row_version = (SELECT row_version FROM model_registry_entries)")
    assert standing(database).soaked_s is None


def test_what_fell_has_no_soak(database: Database, query: Query) -> None:
    checked(query, None)
    assert standing(database).soaked_s is None


def begin(database: Database, environment: str) -> None:
    wanted = operations.Wanted(MODEL, environment, "deploy", Holder("ann@desk"), 60.0)
    operations.start(database, wanted, 0.0, lambda _line: None)


@pytest.mark.parametrize("environment", ["staging", "production", "qa"])
def test_who_is_at_work_on_either_side_is_seen(database: Database, environment: str) -> None:
    record(database)
    begin(database, environment)
    seen = standing(database)
    found = {"staging": seen.source_lock, "production": seen.target_lock}
    for side, lock in found.items():
        assert (lock is not None and lock.alive and lock.holder.name == "ann@desk") is (side == environment)


def test_a_lock_that_has_ended_is_none(database: Database, query: Query) -> None:
    record(database)
    begin(database, "production")
    query("UPDATE operation_locks SET expires_at = now() - interval '1 s'")
    lock = standing(database).target_lock
    assert lock is not None
    assert not lock.alive


# Where a manifest was promoted from.


def test_where_it_was_promoted_from_is_on_record(database: Database, query: Query) -> None:
    record(database, origin=Origin("qa", OTHER))
    manifest = read(database).manifest
    assert (manifest.source_environment, manifest.source_digest) == ("qa", OTHER)
    assert Origin.of(manifest) == Origin("qa", OTHER)
    assert query(
        "SELECT detail ->> 'source_environment', detail ->> 'source_digest' FROM audit_log"
        " WHERE action = 'manifest.recorded'"
    ) == [("qa", OTHER)]


def test_what_was_not_promoted_comes_from_nowhere(database: Database) -> None:
    record(database)
    assert Origin.of(read(database).manifest) is None


@pytest.mark.parametrize(("environment", "digest"), [("qa", None), (None, OTHER), ("qa", "sha256:short")])
def test_a_source_has_both_its_name_and_its_digest(
    query: Query, environment: str | None, digest: str | None
) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        query(
            "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
            " release_revision, manifest_digest, source_environment, source_digest)"
            " VALUES (%s, 'staging', 'm', 3, %s, %s, %s)",
            (MODEL, DIGEST, environment, digest),
        )
