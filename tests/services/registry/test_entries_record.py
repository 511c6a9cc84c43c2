# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on record: the history of an entry, and what each revision was made of."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.digests import digest
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.services.registry.conftest import Run
from tests.services.registry.routers import FollowingRouter
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]

MODEL = "org/Model-7B"
TARGET = {"model": MODEL, "environment": "staging"}
READY = {"status": "ready", "endpoint": "http://model.ml-staging.svc.cluster.local:8000"}
REVISION = {
    **READY,
    "release_name": "model-7b-1234abcd-staging",
    "release_revision": 3,
    "manifest_digest": "sha256:" + "a1" * 32,
    "chart_version": "0.1.0",
    "image": "vllm/vllm-openai:v0.11.0",
    "model_source": "org/Model-7B",
    "model_revision": "main",
}
VALUES = {
    "model": {"sizeBillions": 7},
    "env": [{"name": "HF_TOKEN", "value": "hf_c4naryc4naryc4nary"}],
    "apiKey": {"existingSecret": "vllm"},
    "note": "Größe 7 %s {{ x }}",
}
MANIFEST = {"chart_digest": "sha256:" + "b2" * 32, "image_digest": "sha256:" + "c3" * 32, "values": VALUES}


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


def test_history_says_who_changed_what_and_survives_the_entry(entry: Run, info: Run) -> None:
    entry(**READY, actor="ci@awx")
    entry(**READY, model="another")
    entry(desired_state="disabled", status_reason="wrong answers", actor="alice@laptop")
    entry(state="absent", status_reason="retired", actor="bob@laptop")
    history = info(**TARGET, history=True).result["history"]
    assert [(change["action"], change["actor"], change["version"]) for change in history] == [
        ("delete", "bob@laptop", 3),
        ("update", "bob@laptop", 3),
        ("update", "alice@laptop", 2),
        ("insert", "ci@awx", 1),
    ]
    assert [change["seq"] for change in history] == sorted(
        (change["seq"] for change in history), reverse=True
    )
    assert {change["db_user"] for change in history} == {"postgres"}
    assert history[2]["changes"] == {
        "desired_state": {"before": "enabled", "after": "disabled"},
        "status": {"before": "ready", "after": "disabled"},
        "status_reason": {"before": None, "after": "wrong answers"},
    }
    assert history[1]["changes"] == {
        "status": {"before": "disabled", "after": "draining"},
        "status_reason": {"before": "wrong answers", "after": "retired"},
    }
    assert history[0]["changes"]["endpoint"] == {"before": READY["endpoint"], "after": None}
    assert history[3]["changes"]["model"] == {"before": None, "after": "org/Model-7B"}
    assert all(change["changed_at"].endswith("Z") for change in history)


def test_history_in_pages(entry: Run, info: Run) -> None:
    for revision in range(1, 26):
        entry(release_revision=revision)
    whole = info(**TARGET, history=True).result
    assert len(whole["history"]) == 25
    assert whole["next_history_before"] is None
    paged: list[dict[str, Any]] = []
    before = None
    while True:
        page = info(**TARGET, history=True, history_limit=10, history_before=before).result
        paged += page["history"]
        before = page["next_history_before"]
        if before is None:
            break
    assert paged == whole["history"]
    assert info(**TARGET, history=True, history_limit=25).result["next_history_before"] is None
    assert "history" not in info(**TARGET).result
    with pytest.raises(PlatformError, match="history_limit"):
        info(**TARGET, history=True, history_limit=0)


def test_age_of_the_last_health_check_by_the_clock_of_the_database(
    entry: Run, info: Run, query: Query
) -> None:
    entry(**READY)
    assert info().result["entries"][0]["health_check_age_s"] is None
    query("UPDATE model_registry_entries SET last_health_check_at = now() - interval '90 s'")
    age = info().result["entries"][0]["health_check_age_s"]
    assert 90 <= age < 120


def test_filter_by_the_desired_state(entry: Run, info: Run) -> None:
    entry(**READY)
    entry(model="off", desired_state="disabled")
    for desired, model in (("enabled", "org/Model-7B"), ("disabled", "off")):
        found = info(desired_state=desired).result["entries"]
        assert [row["model"] for row in found] == [model]


def test_history_of_one_entry_among_many_is_quick(entry: Run, info: Run, query: Query) -> None:
    query(
        "INSERT INTO model_registry_entries"
        " (model_name, deployment_environment, deployment_status, deployment_endpoint)"
        " SELECT 'model-' || n, 'staging', 'ready', 'http://h:1' FROM generate_series(1, 3000) AS n"
    )
    entry(**READY)
    started = time.monotonic()
    found = info(**TARGET, history=True).result
    assert time.monotonic() - started < 2
    assert (len(found["entries"]), len(found["history"])) == (1, 1)


def test_operations_of_a_target_with_their_steps(info: Run, query: Query) -> None:
    def operation(number: int, model: str, ended: str | None) -> str:
        identity = str(uuid.uuid4())
        query(
            "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence, started_at,"
            " finished_at, outcome) VALUES (%s, %s, 'staging', 'deploy', 'ci@awx', %s,"
            " now() + make_interval(secs => %s), now() + make_interval(secs => %s), %s)",
            (identity, model, number, number, number + 1.5 if ended else None, ended or "running"),
        )
        return identity

    ids = [operation(number, MODEL, "succeeded") for number in range(1, 4)]
    ids.append(operation(4, MODEL, None))
    operation(5, "another", "failed")
    for number in (2, 1):
        query(
            "INSERT INTO operation_steps"
            " (operation_id, number, name, started_at, finished_at, outcome, detail)"
            " VALUES (%s, %s, 'release', now(), now() + interval '2 s', 'succeeded', '{\"revision\": 3}')",
            (ids[2], number),
        )
    found = info(**TARGET, operations=3).result["operations"]
    assert [operation["id"] for operation in found] == [ids[3], ids[2], ids[1]]
    running, last, _ = found
    assert (running["outcome"], running["finished_at"], running["duration_s"]) == ("running", None, None)
    assert (last["actor"], last["fence"], last["duration_s"]) == ("ci@awx", 3, 1.5)
    assert [(step["number"], step["duration_s"], step["detail"]) for step in last["steps"]] == [
        (1, 2.0, {"revision": 3}),
        (2, 2.0, {"revision": 3}),
    ]
    assert "operations" not in info(**TARGET).result
    for arguments in ({"operations": 3}, {**TARGET, "operations": -1}):
        with pytest.raises(PlatformError, match="operations"):
            info(**arguments)


def test_a_revision_is_recorded_once_along_with_the_entry(entry: Run, query: Query) -> None:
    checked = entry(check=True, **REVISION, manifest=MANIFEST)
    assert checked.changed
    assert checked.result["manifest"] == {"id": None, "written": True}
    assert query("SELECT count(*) FROM deployment_manifests") == [(0,)]
    first = entry(**REVISION, manifest=MANIFEST, actor="ci@awx")
    assert first.result["manifest"]["written"]
    columns = (
        "release_revision, manifest_digest, chart_digest, image_digest, image, model_revision, created_by"
    )
    assert query(f"SELECT {columns} FROM deployment_manifests") == [  # noqa: S608
        (
            3,
            REVISION["manifest_digest"],
            MANIFEST["chart_digest"],
            MANIFEST["image_digest"],
            REVISION["image"],
            "main",
            "ci@awx",
        )
    ]
    again = entry(**REVISION, manifest=MANIFEST)
    assert not again.changed
    assert again.result["manifest"] == {"id": first.result["manifest"]["id"], "written": False}
    # The entry stays, the revision is new to the records.
    query("UPDATE model_registry_entries SET release_revision = 4")
    later = entry(manifest=MANIFEST)
    assert later.changed
    assert later.result["manifest"]["written"]
    assert query("SELECT release_revision FROM deployment_manifests ORDER BY id") == [(3,), (4,)]


def test_values_are_recorded_without_secrets(entry: Run, query: Query) -> None:
    entry(**REVISION, manifest=MANIFEST)
    ((values, values_digest, redacted),) = query(
        "SELECT values, values_digest, values_redacted FROM deployment_manifests"
    )
    assert "c4nary" not in repr(values)
    assert "c4nary" not in repr(query("SELECT * FROM audit_log"))
    assert redacted
    assert values["apiKey"] == {"existingSecret": "vllm"}
    assert values["note"] == VALUES["note"]
    assert values_digest == digest(VALUES) == digest(dict(reversed(VALUES.items())))
    entry(**{**REVISION, "release_revision": 4}, manifest={**MANIFEST, "values": {"replicas": 2}})
    assert query("SELECT values, values_redacted FROM deployment_manifests WHERE release_revision = 4") == [
        ({"replicas": 2}, False)
    ]


def test_no_entry_without_its_revision(entry: Run, query: Query) -> None:
    """Both are one transaction: where the one cannot be written, the other is not either."""
    for field in ("release_name", "release_revision", "manifest_digest"):
        with pytest.raises(PlatformError, match=field) as failure:
            entry(**{name: value for name, value in REVISION.items() if name != field}, manifest=MANIFEST)
        assert failure.value.error_class is ErrorClass.INVALID
    with pytest.raises(PlatformError):
        entry(**REVISION, manifest={**MANIFEST, "values": {"nul": "a\x00b"}})
    assert query("SELECT count(*) FROM model_registry_entries") == [(0,)]
    assert query("SELECT count(*) FROM deployment_manifests") == [(0,)]


def test_the_rights_of_a_deployer_suffice(
    entry: Run, info: Run, query: Query, server: Server, database_name: str
) -> None:
    login = f"deployer_{uuid.uuid4().hex[:8]}"
    query(f"CREATE ROLE {login} LOGIN PASSWORD 'd' IN ROLE llmops_deployer")
    dsn = server.dsn(database_name, user=login, password="d")
    router = FollowingRouter(server.dsn(database_name), "router-a", in_flight={MODEL: 1})
    try:
        assert entry(dsn=dsn, **REVISION, manifest=MANIFEST).result["manifest"]["written"]
        assert entry(dsn=dsn, desired_state="disabled").result["routers"]["confirmed"] == ["router-a"]
        removed = entry(dsn=dsn, state="absent", status_reason="retired").result
        assert removed["drain"]["in_flight"] == 0
        listed = info(dsn=dsn, **TARGET, history=True, operations=1).result
        assert {change["db_user"] for change in listed["history"]} == {login}
    finally:
        router.close()
        query(f"DROP ROLE {login}")
