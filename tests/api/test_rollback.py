# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollback says and refuses before it begins, and what Helm makes of it. No model answers here."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    find_object,
    object_path,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import (
    ReleaseRecord,
    failed_copy,
    read_release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    operations,
    revisions,
    verifications,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.release.kept_pods import ready_pods
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import manifest_digest
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import selector
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import (
    registry_entry,
    registry_schema,
    vllm_release,
    vllm_rollback,
)
from tests.support.chart import CHART
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import ROOT
from tests.support.postgres import Server, private_server

MIGRATIONS = ROOT / "roles/registry/files/migrations"
MODEL = "org/Model-7B"
NAME = release_name(MODEL, "development")
Values = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a database server."""
    with private_server() as running:
        yield running


@pytest.fixture
def dsn(server: Server) -> str:
    """Return the DSN of a fresh registry."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    administrator.close()
    made = server.dsn(name)
    arguments = {"dsn": made, "migrations_path": str(MIGRATIONS)}
    registry_schema.run(defaults(registry_schema.ARGUMENT_SPEC, arguments), Context())
    return made


def defaults(specification: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    assert set(arguments) <= set(specification), "an argument that the module does not have"
    return {name: option.get("default") for name, option in specification.items()} | arguments


def variable(value: str) -> Values:
    """Return values that make another pod."""
    return {"model": {"extraEnv": [{"name": "VARIANT", "value": value}]}}


class Target:
    """One model on the cluster and in the registry."""

    def __init__(self, lab: Lab, api: ClusterClient, namespace: str, dsn: str) -> None:
        self.lab, self.api, self.namespace, self.dsn = lab, api, namespace, dsn
        self.told: list[str] = []
        self.cluster = {"kubeconfig": str(lab.kubeconfig), "helm_binary": str(lab.binary("helm"))}

    @property
    def record(self) -> ReleaseRecord:
        """Helm's newest record."""
        found = read_release(self.api, NAME, self.namespace)
        assert found is not None
        return found

    def deploy(
        self, values: Values, *, verdict: str | None = "passed", chart: Path = CHART, **more: Any
    ) -> str:
        """Make a revision, and note in the registry what a deployment notes; return the digest."""
        given = {
            "model": MODEL,
            "environment": "development",
            "namespace": self.namespace,
            "chart_path": str(chart),
            "chart_values": {**QUICK_VALUES, **values},
            "strategy": "surge",
            **self.cluster,
            **more,
        }
        vllm_release.run(defaults(vllm_release.ARGUMENT_SPEC, given), Context())
        return self.note(verdict)

    def note(self, verdict: str | None) -> str:
        """Note the newest revision in the registry; return its digest."""
        record = self.record
        digest = manifest_digest(record.objects)
        facts: dict[str, Any] = {
            "release_name": NAME,
            "release_revision": record.revision,
            "manifest_digest": digest,
            "chart_version": record.chart_version,
        }
        entry = {"status": "ready", "endpoint": f"http://{NAME}.{self.namespace}:8000", **facts}
        registry_entry.run(
            defaults(
                registry_entry.ARGUMENT_SPEC,
                {"dsn": self.dsn, "model": MODEL, "environment": "development", **entry},
            ),
            Context(),
        )

        def work(session: Session) -> None:
            manifest = {"values": record.config, "objects": record.objects}
            revisions.record(session, Entry(MODEL, "development", **facts), manifest)
            if verdict is not None:
                found = verifications.Verdict(digest, verdict, "it hung" if verdict != "passed" else None)
                verifications.record(session, MODEL, "development", found)

        with Database(settings({"dsn": self.dsn}), Deadline(20)) as database:
            database.transaction(work)
        return digest

    def roll_back(self, *, check: bool = False, **arguments: Any) -> Outcome:
        """Run the module."""
        given = {
            "model": MODEL,
            "environment": "development",
            "namespace": self.namespace,
            "dsn": self.dsn,
            "verification": {"access": "proxy", "api_key_secret": None, "max_latency_s": 1, "timeout": 3},
            "routers_timeout": 1,
            "drain_timeout": 1,
            **self.cluster,
            **arguments,
        }
        context = Context(check_mode=check, diff=True, progress=self.told.append)
        return vllm_rollback.run(defaults(vllm_rollback.ARGUMENT_SPEC, given), context)

    def refused(self, **arguments: Any) -> PlatformError:
        """Run the module, which is to fail; return the error."""
        with pytest.raises(PlatformError) as caught:
            self.roll_back(**arguments)
        return caught.value

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL in the registry, as an independent witness."""
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def path(self, kind: str = "Deployment") -> str:
        """Return the path of an object of the release."""
        item = find_object(self.record.objects, kind)
        assert item is not None
        path = object_path(item, self.namespace)
        assert path is not None
        return path

    def snapshot(self) -> tuple[Any, ...]:
        """Return all that a rollback could change."""
        tables = ("model_registry_entries", "deployment_manifests", "manifest_verifications", "operations")
        versions = [
            sorted(
                (item["metadata"]["name"], item["metadata"]["resourceVersion"])
                for item in self.api.list_pages(f"/{group}/namespaces/{self.namespace}/{plural}")
            )
            for group, plural in (("api/v1", "secrets"), ("api/v1", "services"), ("api/v1", "configmaps"))
        ]
        spec = self.api.get(self.path())["spec"]
        return (versions, spec, [self.query(f"SELECT * FROM {table}") for table in tables])  # noqa: S608

    def environment(self) -> list[dict[str, Any]]:
        """Return the variables of the model server."""
        template = self.api.get(self.path())["spec"]["template"]
        found: list[dict[str, Any]] = template["spec"]["containers"][0]["env"]
        return found


@pytest.fixture
def target(lab: Lab, api: ClusterClient, namespace: str, dsn: str) -> Target:
    """Return a target where nothing was ever deployed."""
    return Target(lab, api, namespace, dsn)


@pytest.fixture
def two(target: Target) -> Target:
    """Return a target with a, then b."""
    target.deploy(variable("a"))
    target.deploy(variable("b"))
    return target


def test_a_plan_says_all_and_changes_nothing(two: Target) -> None:
    before = two.snapshot()
    done = two.roll_back(check=True)
    assert two.snapshot() == before
    assert done.changed
    plan = done.result["plan"]
    assert (plan["before"]["revision"], plan["after"]["revision"]) == (2, 1)
    assert plan["way"] == "cold"
    assert plan["fetches"] == ["the image", "the weights"]
    assert (plan["expected_s"], plan["based_on"]) == (None, 0)
    (difference,) = plan["differences"]
    assert difference.startswith("values.model.extraEnv")
    assert done.diff is not None
    assert "VARIANT" in str(done.diff)
    assert "would become what revision 1" in done.result["line"]
    assert any("expected: unknown" in line for line in two.told)


def test_a_plan_names_what_may_be_named_and_nothing_else(two: Target) -> None:
    first = two.query("SELECT manifest_digest FROM deployment_manifests ORDER BY id LIMIT 1")[0][0]
    for to in ("1", first, first[7:20]):
        assert two.roll_back(check=True, to=to).result["plan"]["after"]["digest"] == first
    for to in ("3", "{{ 1 }}", "0", "f" * 64):
        assert two.refused(check=True, to=to).error_class is ErrorClass.INVALID


def test_a_secret_that_is_gone_is_told_before_anything_is_changed(target: Target) -> None:
    secrets = f"/api/v1/namespaces/{target.namespace}/secrets"
    target.api.create(secrets, {"metadata": {"name": "hub"}, "stringData": {"token": "x"}})
    target.deploy({"secrets": {"hfToken": {"existingSecret": "hub"}}})
    target.deploy(variable("b"))
    target.api.delete(f"{secrets}/hub")
    revision, spec = target.record.revision, target.api.get(target.path())["spec"]
    verdicts = target.query("SELECT * FROM manifest_verifications")
    for check in (True, False):
        failed = target.refused(check=check)
        assert (failed.error_class, failed.details["cause"]) == (ErrorClass.WORKLOAD, "Missing")
        assert "Secret hub is missing" in failed.message
        assert failed.details["failed_step"] == "plan"
        assert target.record.revision == revision
        assert target.api.get(target.path())["spec"] == spec
        assert target.query("SELECT deployment_status FROM model_registry_entries") == [("ready",)]
        # Neither the one that is there nor the one that could not start is held against it.
        assert target.query("SELECT * FROM manifest_verifications") == verdicts
    # A Secret without the key that is wanted would not do either.
    target.api.create(secrets, {"metadata": {"name": "hub"}, "stringData": {"other": "x"}})
    assert "Secret hub has no key token" in target.refused(check=True).message


def edit(target: Target, path: str, body: dict[str, Any]) -> None:
    merge = "application/strategic-merge-patch+json"
    target.api.patch(path, body, {"fieldManager": "kubectl-edit"}, merge)


def by_hand(value: str, name: str = "VARIANT") -> dict[str, Any]:
    container = {"name": "vllm", "env": [{"name": name, "value": value}]}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def test_helm_makes_the_recorded_manifest_though_chart_and_history_are_gone(
    target: Target, tmp_path: Path
) -> None:
    chart = tmp_path / "chart"
    for file in CHART.rglob("*"):
        if file.is_file():
            copy = chart / file.relative_to(CHART)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    old = chart / "Chart.yaml"
    old.write_text(old.read_text("utf-8").replace("version: 0.1.0", "version: 0.0.9"), "utf-8")
    first = target.deploy(variable("a"), chart=chart)
    objects = target.record.objects
    target.deploy(variable("b"))
    edit(target, target.path(), by_hand("by hand"))
    edit(target, target.path(), by_hand("by hand", "ADDED"))
    target.api.delete(f"/api/v1/namespaces/{target.namespace}/secrets/sh.helm.release.v1.{NAME}.v1")
    # Nothing answers here, so it ends there.
    failed = target.refused(strategy="surge", timeout=90)
    assert failed.details["failed_step"] == "verify", failed
    record = target.record
    assert (record.revision, record.status, record.chart_version) == (3, "deployed", "0.0.9")
    assert (manifest_digest(record.objects), record.objects) == (first, objects)
    assert record.left
    variables = {item["name"]: item.get("value") for item in target.environment()}
    assert variables["VARIANT"] == "a"
    assert "ADDED" not in variables


def test_the_row_does_not_say_ready_where_nothing_answers(two: Target) -> None:
    failed = two.refused(timeout=90)
    assert failed.details["failed_step"] == "verify"
    assert failed.details["entry_status"] == "failed"
    assert two.query("SELECT deployment_status FROM model_registry_entries") == [("failed",)]
    assert two.query("SELECT kind, outcome FROM operations") == [("rollback", "failed")]
    assert two.query("SELECT operation_id FROM operation_locks") == [(None,)]


def test_what_was_recorded_without_its_secrets_comes_from_helm_or_is_refused(target: Target) -> None:
    secret = {"model": {"extraEnv": [{"name": "UPSTREAM", "value": "https://me:c4n4ry@h/"}]}}
    target.deploy(secret)
    target.deploy(variable("b"))
    assert target.query("SELECT objects IS NULL, values_redacted FROM deployment_manifests ORDER BY id") == [
        (True, True),
        (False, False),
    ]
    done = target.roll_back(check=True)
    assert done.result["plan"]["after"]["revision"] == 1
    assert "c4n4ry" not in json.dumps(done.result) + json.dumps(done.diff) + "".join(target.told)
    target.api.delete(f"/api/v1/namespaces/{target.namespace}/secrets/sh.helm.release.v1.{NAME}.v1")
    failed = target.refused(check=True)
    assert failed.error_class is ErrorClass.INVALID
    assert "holds secrets, so its manifest is not on record" in failed.message


def test_a_first_revision_is_taken_away_only_when_asked_and_once(target: Target) -> None:
    target.deploy(variable("a"))
    before = target.snapshot()
    refused = target.refused()
    assert refused.error_class is ErrorClass.INVALID
    assert "is the first that there is" in refused.message
    planned = target.roll_back(check=True, first_revision="remove")
    assert planned.changed
    assert (planned.result["plan"]["way"], planned.result["plan"]["after"]) == ("remove", None)
    assert target.snapshot() == before
    done = target.roll_back(first_revision="remove", reject=False)
    assert done.changed
    assert done.result["release"]["action"] == "uninstall"
    assert target.query("SELECT * FROM model_registry_entries") == []
    assert read_release(target.api, NAME, target.namespace) is None
    again = target.roll_back(first_revision="remove")
    assert not again.changed
    assert read_release(target.api, NAME, target.namespace) is None


def set_status(target: Target, status: str) -> None:
    """Write another status into Helm's newest record, as a helm that died there leaves it."""
    record = target.record
    secret = failed_copy(record, "", record.modified_at)
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    release["info"]["status"] = secret["metadata"]["labels"]["status"] = status
    packed = gzip.compress(json.dumps(release).encode())
    secret["data"]["release"] = base64.b64encode(base64.b64encode(packed)).decode()
    secrets = f"/api/v1/namespaces/{target.namespace}/secrets"
    target.api.replace(f"{secrets}/{secret['metadata']['name']}", secret)


def test_a_removal_that_was_cut_off_in_helm_is_finished(target: Target) -> None:
    target.deploy(variable("a"))
    set_status(target, "uninstalling")
    done = target.roll_back(first_revision="remove", takeover_after=0)
    assert done.changed
    assert read_release(target.api, NAME, target.namespace) is None
    assert target.query("SELECT * FROM model_registry_entries") == []


@pytest.mark.parametrize("status", ["pending-upgrade", "pending-rollback", "failed"])
def test_what_a_helm_that_died_left_is_gone_back_from(two: Target, status: str) -> None:
    set_status(two, status)
    planned = two.roll_back(check=True)
    assert (planned.result["plan"]["after"]["revision"], planned.changed) == (1, True)
    failed = two.refused(takeover_after=0, timeout=90)
    assert failed.details["failed_step"] == "verify", failed
    assert (two.record.revision, two.record.status) == (3, "deployed")


def test_who_has_the_lock_is_named(two: Target) -> None:
    wanted = operations.Wanted(MODEL, "development", "deploy", Holder.here("maria@bastion", None), 600)
    with Database(settings({"dsn": two.dsn}), Deadline(20)) as database:
        operations.start(database, wanted, 0, lambda line: None)
    before = two.snapshot()
    failed = two.refused()
    assert failed.error_class is ErrorClass.LOCKED
    assert "maria@bastion" in failed.message
    planned = two.roll_back(check=True)
    assert "a run would wait or fail" in " ".join(planned.warnings)
    assert two.snapshot() == before


def test_a_release_of_another_chart_or_model_is_left_alone(two: Target) -> None:
    secret = two.record.secret
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    release["config"]["model"]["name"] = "org/Another"
    packed = gzip.compress(json.dumps(release).encode())
    secret["data"]["release"] = base64.b64encode(base64.b64encode(packed)).decode()
    two.api.replace(f"/api/v1/namespaces/{two.namespace}/secrets/{secret['metadata']['name']}", secret)
    before = two.snapshot()
    for check in (True, False):
        assert "another model, 'org/Another'" in two.refused(check=check).message
    assert two.snapshot() == before


def wait(what: Callable[[], bool]) -> None:
    deadline = Deadline(30)
    while not what():
        assert not deadline.expired()
        deadline.pause(0.1)


def test_pods_of_an_earlier_template_that_are_still_there_are_kept(target: Target) -> None:
    """In the middle of a rollout, whose new pod finds no node here, the old one serves on."""
    target.deploy(variable("a"))
    deployment = find_object(target.record.objects, "Deployment")
    assert deployment is not None

    def counts() -> list[tuple[int, int]]:
        sets = target.api.list_pages(f"/apis/apps/v1/namespaces/{target.namespace}/replicasets")
        numbers = [item.get("status") or {} for item in sets]
        return sorted((item.get("replicas", 0), item.get("readyReplicas", 0)) for item in numbers)

    def kept() -> int:
        return ready_pods(target.api, target.path(), deployment, target.namespace, selector(NAME))

    wait(lambda: counts() == [(1, 1)])
    # All is through: the pods that there are are those of the only template.
    assert kept() == 0
    nowhere = {"scheduling": {"nodeSelector": {"pool": "nowhere"}}}
    with pytest.raises(PlatformError):
        target.deploy(nowhere, check_capacity=False, rollout_timeout=2)
    wait(lambda: counts() == [(1, 0), (1, 1)])
    assert kept() == 1
    plan = target.roll_back(check=True).result["plan"]
    assert (plan["way"], plan["interrupts"], plan["strategy"]) == ("in_place", False, "")
    # What was added by hand would be in none of these pods, nor is it wanted.
    edit(target, target.path(), by_hand("1", "ADDED"))
    assert target.roll_back(check=True).result["plan"]["way"] == "cold"
    two = {**deployment, "spec": {**deployment["spec"], "replicas": 2}}
    assert ready_pods(target.api, target.path(), two, target.namespace, selector(NAME)) == 0


def test_a_volume_for_one_node_lets_the_old_pod_go_first(target: Target) -> None:
    """What was added by hand is given up as any other change is: with a look at the pods' volumes."""
    weights = {"persistence": {"enabled": True, "size": "1Gi", "accessModes": ["ReadWriteOnce"]}}
    with pytest.raises(PlatformError):
        target.deploy({**variable("a"), **weights}, check_capacity=False, rollout_timeout=2)
    target.note("passed")
    edit(target, target.path(), by_hand("1", "ADDED"))
    plan = target.roll_back(check=True, to="1", check_capacity=False).result["plan"]
    assert plan["strategy"] == "recreate"
