# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollback reads: recorded revisions with their verdicts, their objects, and how long it took."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.permit import Permit
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import Step
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import (
    Registry,
    Run,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.choice import (
    Choice,
    Wish,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.plan import Side
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.rollback import (
    Rollback,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    durations,
    manifests,
    operations,
    revisions,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.durations import Took
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import (
    Content,
    Manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseTarget
from ansible_collections.llmops.platform.plugins.module_utils._core.release.tools import Tools

Query = Callable[..., list[tuple[Any, ...]]]
Object = dict[str, Any]
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
MODEL = "org/Model-7B"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


def record(
    database: Database, revision: int, digest: str, objects: list[Object] | None = None, **more: Any
) -> None:
    """Record a revision, as a deployment that registers does."""
    entry = Entry(
        MODEL,
        **{"environment": "staging", "release_name": "m", **more},
        release_revision=revision,
        manifest_digest=digest,
    )
    manifest = {"values": {"a": 1}, "objects": objects or []}
    assert database.transaction(lambda session: revisions.record(session, entry, manifest)).written


def judge(database: Database, digest: str, verdict: str, environment: str = "staging") -> None:
    """Give a verdict, whatever stands against it: who may give which is tested elsewhere."""
    reason = "it hung" if verdict != "passed" else None
    row = (MODEL, environment, digest, verdict, reason)
    database.transaction(
        lambda session: session.execute(
            "INSERT INTO manifest_verifications"
            " (model_name, deployment_environment, manifest_digest, verdict, reason)"
            " VALUES (%s, %s, %s, %s, %s)",
            row,
        )
    )


def read(database: Database, release: str = "m", **more: Any) -> list[Manifest]:
    return database.transaction(
        lambda session: manifests.read_manifests(session, MODEL, "staging", release, **more)
    )


def content(database: Database, objects: list[Object]) -> Content:
    """Record objects, and return what comes back."""
    record(database, 1, A, objects)
    (manifest,) = read(database)
    return database.transaction(lambda session: manifests.read_content(session, manifest))


OBJECTS: list[Object] = [
    {
        "kind": "ConfigMap",
        "data": {
            "zeta": "first",
            "alpha": "1e3",
            "emoji": "😀 模型",
            "control": "\x01\x1b\x7f\x85\u2028\ufeff",
            "template": "{{ .Values }} %s %(x)s ' \" \\ $1",
            "": "",
        },
        "spec": {"floats": [0.1, 1e300, 2.5e-07, -0.0, 1.0], "integers": [1, 2**53 + 1], "none": None},
    },
    {"kind": "Deployment", "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
]


def test_objects_come_back_word_for_word(database: Database) -> None:
    found = content(database, OBJECTS)
    # As text, so that 1 is not 1.0 and the order of keys counts.
    assert json.dumps(found.objects) == json.dumps(OBJECTS)
    assert found.values_redacted is False


SECRETS: dict[str, Object] = {
    "a value of the environment": {"env": [{"name": "HF_TOKEN", "value": "c4n4ry"}]},
    "an argument": {"args": ["--api-key", "c4n4ry"]},
    "an argument in one": {"args": ["--api-key=c4n4ry"]},
    "a Secret": {"kind": "Secret", "stringData": {"x": "c4n4ry"}},
    "a password of a URL": {"args": ["https://user:c4n4ry@models.example.org/"]},
    "a script": {"kind": "ConfigMap", "data": {"start.sh": "export API_KEY=c4n4ry"}},
}


@pytest.mark.parametrize("secret", SECRETS)
def test_objects_that_hold_a_secret_are_not_recorded_at_all(
    database: Database, query: Query, secret: str
) -> None:
    assert content(database, [*OBJECTS, SECRETS[secret]]).objects is None
    assert "c4n4ry" not in str(query("SELECT * FROM deployment_manifests"))


def test_no_objects_are_none(database: Database) -> None:
    assert content(database, []).objects is None


def test_revisions_are_read_newest_first_each_with_the_verdict_that_counts(database: Database) -> None:
    for revision, digest in ((1, A), (2, B), (3, A), (4, C)):
        record(database, revision, digest)
    for digest, verdict in ((A, "failed"), (B, "passed"), (A, "passed"), (B, "revoked")):
        judge(database, digest, verdict)
    found = read(database)
    assert [(one.revision, one.digest, one.verdict, one.reason) for one in found] == [
        (4, C, None, None),
        (3, A, "passed", None),
        (2, B, "revoked", "it hung"),
        (1, A, "passed", None),
    ]
    assert [one.passed for one in found] == [False, True, False, True]
    assert [one.rejected for one in found] == [False, False, True, False]
    assert found[0].recorded_at >= found[-1].recorded_at


def test_what_was_recorded_last_is_newest_though_revisions_began_again(database: Database) -> None:
    for revision, digest in ((1, A), (2, B), (1, C)):
        record(database, revision, digest)
    assert [(one.revision, one.digest) for one in read(database)] == [(1, C), (2, B), (1, A)]


def test_what_was_installed_anew_is_the_newest_again(database: Database) -> None:
    """A, uninstalled, B, uninstalled, A: whoever goes back from what comes next goes to A."""
    for digest in (A, B):
        record(database, 1, digest)
    entry = Entry(MODEL, environment="staging", release_name="m", release_revision=1, manifest_digest=A)
    database.transaction(lambda session: revisions.record(session, entry, {}))
    assert [one.digest for one in read(database)][:2] == [A, B]


def test_others_releases_environments_and_models_are_not_mixed_in(database: Database) -> None:
    record(database, 1, A)
    record(database, 2, B, release_name="another")
    record(database, 3, C, environment="production")
    judge(database, A, "failed", "production")
    (found,) = read(database)
    assert (found.revision, found.verdict) == (1, None)
    assert [one.revision for one in read(database, "another")] == [2]
    assert read(database, "nobody") == []
    everybody = database.transaction(lambda session: manifests.read_manifests(session, "other", "staging"))
    assert everybody == []


def test_a_thousand_revisions_are_looked_at_and_quickly(database: Database, query: Query) -> None:
    query(
        "INSERT INTO deployment_manifests"
        " (model_name, deployment_environment, release_name, release_revision, manifest_digest)"
        " SELECT %s, 'staging', 'm', n, lpad(to_hex(n), 64, '0') FROM generate_series(1, 1500) AS n",
        (MODEL,),
    )
    query(
        "INSERT INTO manifest_verifications"
        " (model_name, deployment_environment, manifest_digest, verdict)"
        " SELECT %s, 'staging', lpad(to_hex(1 + n %% 1500), 64, '0'), 'passed'"
        "   FROM generate_series(1, 3000) AS n",
        (MODEL,),
    )
    started = time.monotonic()
    found = read(database)
    assert time.monotonic() - started < 2
    assert (len(found), found[0].revision, found[-1].revision) == (1000, 1500, 501)
    assert all(one.passed for one in found)
    assert [one.revision for one in read(database, limit=2)] == [1500, 1499]


#: Name and outcome of a step, and its seconds.
Steps = list[tuple[str, str, float]]


def operation(
    query: Query,
    *steps: tuple[str, str, float],
    kind: str = "deploy",
    outcome: str = "succeeded",
    environment: str = "staging",
    ago_s: int = 0,
) -> str:
    """Write down an operation that is over, and return its id."""
    identity = str(uuid.uuid4())
    query(
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence, started_at,"
        " finished_at, outcome) VALUES (%s, %s, %s, %s, 'ci@awx', 1, now() - make_interval(secs => %s),"
        " now(), %s)",
        (identity, MODEL, environment, kind, ago_s, outcome),
    )
    for number, (name, ended, seconds) in enumerate(steps):
        query(
            "INSERT INTO operation_steps (operation_id, number, name, started_at, finished_at, outcome)"
            " VALUES (%s, %s, %s, now(), now() + make_interval(secs => %s), %s)",
            (identity, number + 1, name, seconds, ended),
        )
    return identity


def made(query: Query, identity: str, revision: int, digest: str) -> None:
    """Note that an operation made a revision."""
    query(
        "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
        " release_revision, manifest_digest, operation_id) VALUES (%s, 'staging', 'm', %s, %s, %s)",
        (MODEL, revision, digest, identity),
    )


def took(database: Database, digest: str = A) -> list[Took]:
    return database.transaction(lambda session: durations.read_durations(session, MODEL, "staging", digest))


UPGRADE, ROLLOUT = ("helm upgrade", "succeeded", 2.0), ("rollout", "succeeded", 30.0)
BOTH = {"helm upgrade": 2.0, "rollout": 30.0}
#: How an operation went, and whether its times say something.
COUNTED: list[tuple[dict[str, Any], Steps, dict[str, float] | None]] = [
    ({}, [UPGRADE, ROLLOUT], BOTH),
    ({"kind": "rollback"}, [UPGRADE, ROLLOUT], BOTH),
    ({}, [("helm install", "succeeded", 2.0), ROLLOUT], {"helm install": 2.0, "rollout": 30.0}),
    # A step that failed and was taken again.
    ({}, [("helm upgrade", "failed", 9.0), UPGRADE, ROLLOUT], BOTH),
    ({}, [UPGRADE, ("rollout", "succeeded", 10.0), ("rollout", "succeeded", 20.0)], BOTH),
    # Nothing was changed, or it did not end well, or something else was done.
    ({}, [("verify the endpoint", "succeeded", 1.0)], None),
    ({}, [("helm upgrade", "failed", 2.0), ROLLOUT], None),
    ({"outcome": "failed"}, [UPGRADE, ROLLOUT], None),
    ({"outcome": "rolled_back"}, [UPGRADE, ROLLOUT, UPGRADE, ROLLOUT], None),
    ({"outcome": "interrupted"}, [UPGRADE, ROLLOUT], None),
    ({"kind": "remove"}, [("helm uninstall", "succeeded", 2.0)], None),
    ({"kind": "rollback"}, [("withdraw", "succeeded", 5.0), ("helm uninstall", "succeeded", 2.0)], None),
    ({"environment": "production"}, [UPGRADE, ROLLOUT], None),
]


@pytest.mark.parametrize(("how", "steps", "expected"), COUNTED)
def test_times_of_operations_that_changed_the_release_well(
    database: Database, query: Query, how: dict[str, Any], steps: Steps, expected: dict[str, float] | None
) -> None:
    operation(query, *steps, **how)
    found = took(database)
    assert [one.steps for one in found] == ([expected] if expected is not None else [])


def test_times_tell_which_operations_made_this_very_manifest(database: Database, query: Query) -> None:
    made(query, operation(query, UPGRADE, ago_s=30), 1, A)
    made(query, operation(query, UPGRADE, ROLLOUT, ago_s=20), 2, B)
    operation(query, UPGRADE, ago_s=10)
    assert sorted((one.same, len(one.steps)) for one in took(database, A)) == [
        (False, 1),
        (False, 2),
        (True, 1),
    ]
    assert sum(one.same for one in took(database, C)) == 0


def test_an_operation_that_recorded_two_revisions_took_its_time_once(
    database: Database, query: Query
) -> None:
    identity = operation(query, UPGRADE, ROLLOUT)
    made(query, identity, 1, A)
    made(query, identity, 2, B)
    assert took(database, B) == [Took(BOTH, same=True)]


def test_the_last_twenty_operations_say_enough(database: Database, query: Query) -> None:
    for number in range(25):
        operation(query, ("helm upgrade", "succeeded", float(number)), ago_s=1000 - number)
    assert sorted(one.steps["helm upgrade"] for one in took(database)) == [float(n) for n in range(5, 25)]


def rollback(database: Database, leaves: str | None = A, **more: Any) -> Rollback:
    """Return a rollback that takes a model away, and has the lock of its target."""
    registry = Registry(database, Holder.here("maria@bastion", None), routers_timeout_s=1, drain_timeout_s=1)
    # No step of this one reaches a cluster.
    tools = Tools(None, None, lambda line: None, Permit(), None)  # type: ignore[arg-type]
    run = Run(ReleaseTarget(MODEL, "staging", "llm", "m"), Wanted(present=False), tools, registry=registry)
    wanted = operations.Wanted(MODEL, "staging", "rollback", registry.holder, 60.0)
    run.operation = operations.start(database, wanted, 0.0, lambda line: None).ref
    return Rollback(Wish(), Choice(None, leaves), run, Side(1, A), **more)


GIVEN_UP = "rolled back: no reason was given"
#: What is known of the manifest that is left, how it is left, and what is written.
REJECTED: list[tuple[list[str], dict[str, Any], list[str]]] = [
    ([], {}, [GIVEN_UP]),
    (["passed"], {"reason": "wrong answers"}, ["rolled back: wrong answers"]),
    (["failed"], {}, []),
    (["passed", "revoked"], {}, []),
    (["revoked", "passed"], {}, [GIVEN_UP]),
    (["passed"], {"rejects": False}, []),
    (["passed"], {"leaves": None}, []),
    (["passed"], {"reason": "{{ x }} Bearer c4n4ry4711"}, ["rolled back: {{ x }} Bearer [hidden]"]),
]


@pytest.mark.parametrize(("known", "how", "written"), REJECTED)
def test_what_is_given_up_is_marked_once(
    database: Database, query: Query, known: list[str], how: dict[str, Any], written: list[str]
) -> None:
    for verdict in known:
        judge(database, A, verdict)
    going = rollback(database, **how)
    take, _phase = going.steps[Step.WITHDRAW]
    for _attempt in range(2):
        take(going.run)
        found = query(
            "SELECT manifest_digest, verdict, reason, verified_by, operation_id::text"
            " FROM manifest_verifications ORDER BY id OFFSET %s",
            (len(known),),
        )
        operation_id = going.run.operation.id if going.run.operation is not None else None
        assert found == [(A, "revoked", reason, "maria@bastion", operation_id) for reason in written]


def test_who_lost_the_lock_marks_nothing(database: Database, query: Query) -> None:
    going = rollback(database)
    query("UPDATE operation_locks SET operation_id = NULL")
    take, _phase = going.steps[Step.WITHDRAW]
    with pytest.raises(PlatformError) as caught:
        take(going.run)
    assert caught.value.error_class is ErrorClass.FENCED
    assert query("SELECT * FROM manifest_verifications") == []
