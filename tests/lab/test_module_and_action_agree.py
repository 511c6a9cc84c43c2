# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module returns the same, whether it runs in the controller process or as a module of its own.

The cases are the tasks of one play, which deploys, registers and removes a model for real and makes mistakes
on the way. The play runs once each way, in the same namespace, whose name a manifest's digest depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from tests.support.applications import application, applications, compared, operation
from tests.support.argocd import argocd_definitions
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.litellm_proxy import MASTER_KEY, proxy_with_database
from tests.support.playbooks import ROOT, PlayRunner, TaskResult, module_play
from tests.support.repository import load_yaml, modules

# What two runs of the same thing may differ in: when and how fast, and how much of the shared cluster is free
# while pods of earlier tests are still going away (the message of a capacity check says how much).
VOLATILE = {
    "attempts",
    "away_s",
    "changed_at",
    "created_at",
    "database_time",
    "duration_s",
    "expected_s",
    "expires_at",
    "first_token_s",
    "free",
    "health_check_age_s",
    "hash",
    "holders",
    "last_health_check_at",
    "latency_s",
    "line",
    "message",
    "lock",
    "occurred_at",
    "pending",
    "previous_hash",
    "slots",
    "terminating",
    "timings",
    "updated_at",
    "waited_s",
    "warmup_s",
}

# What Ansible itself adds to one of the two: the in-process way shows a warning at once instead.
OF_ANSIBLE = {"_ansible_no_log", "ansible_facts", "deprecations", "exception", "invocation", "warnings"} | {
    # Beside a result's path, of a module of its own.
    *("gid", "group", "mode", "owner", "size", "state", "uid"),
}

NOBODY = "00000000-0000-4000-8000-000000000000"
MODEL = "agreement/Both-Ways-7B"
FOLLOWING, COMMIT, NEXT = "vllm-agreement", "a" * 40, "b" * 40
RELEASE = {"model": MODEL, "environment": "development"}


@dataclass(frozen=True)
class Place:
    """What a play works on; each way of running has its own database."""

    namespace: str = ""
    dsn: str = ""
    kubeconfig: str = ""
    lab_folder: str = ""
    proxy: str = ""


@dataclass(frozen=True)
class Case:
    """One task. ``error_class`` is that of the failure that it has to end in, if any."""

    name: str
    module: str
    arguments: dict[str, Any]
    check: bool = False
    diff: bool = False
    error_class: str | None = None


def cases(place: Place) -> list[Case]:
    """Return the tasks of the play, in order."""
    cluster = {"kubeconfig": place.kubeconfig}
    database = {"dsn": place.dsn}
    # The lab's fake nodes: pods of other tests do not go there.
    room = {
        **cluster,
        "node_selector": {"type": "kwok"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
    }
    release = {
        **cluster,
        **RELEASE,
        "namespace": place.namespace,
        "chart_path": str(ROOT / "roles/vllm/files/chart/vllm-deployment"),
        "chart_values": _lab_values(),
        "helm_binary": f"{place.lab_folder}/bin/helm",
    }
    deployment = {**database, **release, "environment": "staging"}
    removal = {key: release[key] for key in release if not key.startswith("chart_")} | {"state": "absent"}
    following = {**cluster, "name": FOLLOWING, "namespace": place.namespace, "revision": COMMIT}
    upgraded = {
        **deployment,
        "chart_values": {**_lab_values(), "podAnnotations": {"llmops.platform/agreement": "upgraded"}},
    }
    rollback = {
        key: value
        for key, value in deployment.items()
        if not key.startswith("chart_") and key != "create_namespace"
    } | {"reason": "agreement"}
    # A completion takes another time in each run, and its gate says how long.
    promotion = {
        **deployment,
        "environment": "preview",
        "tier": "staging",
        "source": {"environment": "staging"},
        "gates": {"completions": 0},
    }
    account = {
        **cluster,
        "path": str(ROOT / "build" / "agreement.kubeconfig"),
        "namespace": place.namespace,
        "service_account": "default",
    }
    schema = {**database, "migrations_path": str(ROOT / "roles/registry/files/migrations")}
    entry = {**database, **RELEASE, "namespace": place.namespace, "status": "deploying"}
    ready = {
        **entry,
        "status": "ready",
        "endpoint": "http://both-ways.example.com:8000",
        "health_checked": True,
    }
    export = {
        **database,
        "environment": RELEASE["environment"],
        "url": place.proxy,
        "api_key": MASTER_KEY,
        "upstream_api_key": "not to be seen",
    }
    rules = {**database, "environment": "staging"}
    approval = {**database, "model": MODEL, "environment": "production", "state": "withdrawn", "reason": "no"}
    locking = {**database, "model": MODEL, "environment": "staging"}
    files = {
        **RELEASE,
        "namespace": "agreement",
        "chart_path": str(ROOT / "roles/vllm/files/chart/vllm-deployment"),
        "directory": str(ROOT / "build"),
        "source_repository": "https://git.example.com/models.git",
    }
    site = {
        "site": "/nowhere/site",
        "templates": str(ROOT / "roles/scaffold/templates"),
        "collection": str(ROOT),
    }
    objects = {
        **cluster,
        "namespace": place.namespace,
        "set_name": "agreement",
        "objects": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "agreement"},
                "stringData": {"password": "not to be seen"},
            }
        ],
    }
    return [
        Case("capacity", "gpu_capacity_info", room),
        Case("capacity that is not there", "gpu_capacity_info", {**room, "gpus": 100_000}),
        Case("capacity in check mode", "gpu_capacity_info", {**room, "gpus": 2}, check=True),
        Case(
            "capacity for a negative size",
            "gpu_capacity_info",
            {**room, "gpus": -1},
            error_class="invalid",
        ),
        Case("plan of an installation", "vllm_release", release, check=True, diff=True),
        Case("installation", "vllm_release", release, diff=True),
        Case("installation again", "vllm_release", release, diff=True),
        Case(
            "plan of an upgrade",
            "vllm_release",
            {**release, "chart_values": {**_lab_values(), "revisionHistoryLimit": 2}},
            check=True,
            diff=True,
        ),
        Case("hostile model", "vllm_release", {**release, "model": "{{ 7 * 7 }}"}, error_class="invalid"),
        Case(
            "missing chart",
            "vllm_release",
            {**release, "chart_path": "/nonexistent/chart"},
            error_class="invalid",
        ),
        Case("unknown argument", "vllm_release", {**release, "chart_vales": {}}, error_class="invalid"),
        Case("wrong choice", "vllm_release", {**release, "environment": "qa"}, error_class="invalid"),
        Case("missing argument", "vllm_release", cluster, error_class="invalid"),
        Case(
            "unreachable cluster",
            "vllm_release",
            {**removal, "kubeconfig": None, "host": "https://127.0.0.1:9"},
            error_class="infrastructure",
        ),
        Case("endpoint", "vllm_endpoint_info", _endpoint(place, MODEL)),
        Case("endpoint in check mode", "vllm_endpoint_info", _endpoint(place, MODEL), check=True),
        Case(
            "endpoint of another model",
            "vllm_endpoint_info",
            _endpoint(place, "agreement/other"),
            error_class="verification",
        ),
        Case("plan of a schema", "registry_schema", schema, check=True, diff=True),
        Case("schema", "registry_schema", schema, diff=True),
        Case("schema again", "registry_schema", schema),
        Case(
            "schema from nowhere",
            "registry_schema",
            {**schema, "migrations_path": "/nonexistent/migrations"},
            error_class="invalid",
        ),
        Case("plan of an entry", "registry_entry", entry, check=True, diff=True),
        Case("entry", "registry_entry", entry, diff=True),
        Case("entry again", "registry_entry", entry, diff=True),
        Case("entry becomes ready", "registry_entry", ready, diff=True),
        Case(
            "disabled entry",
            "registry_entry",
            {**database, **RELEASE, "desired_state": "disabled", "status_reason": "wrong answers"},
            diff=True,
        ),
        Case("deployment of a disabled entry", "registry_entry", ready, diff=True),
        Case(
            "manifest without a revision",
            "registry_entry",
            {**database, **RELEASE, "manifest": {"values": {"a": 1}}},
            error_class="invalid",
        ),
        Case("history", "registry_info", {**database, **RELEASE, "history": True, "operations": 5}),
        Case("history of nothing", "registry_info", {**database, "history": True}, error_class="invalid"),
        Case(
            "entry without environment", "registry_entry", {**database, "model": MODEL}, error_class="invalid"
        ),
        Case("rows", "registry_info", database),
        Case("plan of an export", "litellm_models", export, check=True, diff=True),
        Case("export", "litellm_models", export, diff=True),
        Case("export again", "litellm_models", export, diff=True),
        Case("rows in check mode", "registry_info", {**database, "status": ["ready"]}, check=True),
        Case(
            "rows of a database that refuses",
            "registry_info",
            {"dsn": "postgresql://nobody@127.0.0.1:9/none", "timeout": 1},
            error_class="infrastructure",
        ),
        Case(
            "plan of a removed entry",
            "registry_entry",
            {**database, **RELEASE, "state": "absent"},
            check=True,
        ),
        Case("removed entry", "registry_entry", {**database, **RELEASE, "state": "absent"}, diff=True),
        Case("plan of rules", "health_check_rules", {**rules, "failures": 5}, check=True, diff=True),
        Case("rules", "health_check_rules", {**rules, "failures": 5}, diff=True),
        Case("rules again", "health_check_rules", rules),
        Case("wrong rules", "health_check_rules", {**rules, "soak_s": 0}, error_class="invalid"),
        Case("audit log", "audit_info", {**database, "verify": True}),
        Case("audit log in check mode", "audit_info", {**database, "limit": 2, "after": 1}, check=True),
        Case(
            "audit log that was another once",
            "audit_info",
            {**database, "verify": True, "expected_head": {"seq": 1, "hash": "0" * 64}},
            error_class="verification",
        ),
        Case("plan of a deployment", "vllm_deployment", deployment, check=True, diff=True),
        Case("deployment", "vllm_deployment", deployment, diff=True),
        Case("deployment again", "vllm_deployment", deployment, diff=True),
        Case("upgrade of a deployment", "vllm_deployment", upgraded),
        Case("plan of a rollback", "vllm_rollback", rollback, check=True, diff=True),
        Case("rollback", "vllm_rollback", rollback, diff=True),
        Case("rollback again", "vllm_rollback", rollback),
        Case("rollback to nowhere", "vllm_rollback", {**rollback, "to": "99"}, error_class="invalid"),
        Case("gates of a promotion", "vllm_gate_info", promotion),
        Case("gates in check mode", "vllm_gate_info", promotion, check=True, diff=True),
        Case("plan of a promotion", "vllm_promotion", promotion, check=True, diff=True),
        Case("promotion", "vllm_promotion", promotion, diff=True),
        Case("promotion again", "vllm_promotion", promotion),
        Case(
            "promotion from nowhere",
            "vllm_promotion",
            {**promotion, "source": {"environment": "nowhere"}},
            error_class="invalid",
        ),
        Case(
            "deployment that could not be verified",
            "vllm_deployment",
            {**deployment, "verification": {"max_latency_s": 0}},
            error_class="invalid",
        ),
        Case(
            "removal of a deployment",
            "vllm_deployment",
            {**database, **removal, "environment": "staging", "drain_timeout": 0},
            diff=True,
        ),
        Case("plan of an account's file", "service_account_kubeconfig", account, check=True, diff=True),
        Case("account's file", "service_account_kubeconfig", account),
        Case("account's file again", "service_account_kubeconfig", account),
        Case("file of nobody", "service_account_kubeconfig", {**account, "path": "x"}, error_class="invalid"),
        Case("removed file", "service_account_kubeconfig", {**account, "state": "absent"}),
        Case("plan of a withdrawal", "registry_approval", approval, check=True, diff=True),
        Case("withdrawal of nothing", "registry_approval", approval, diff=True),
        Case(
            "approval of nothing",
            "registry_approval",
            {**approval, "state": "approved"},
            error_class="invalid",
        ),
        # Without a database, which is another one for each way.
        Case("doctor", "platform_doctor_info", {**cluster, "helm_binary": release["helm_binary"]}),
        Case("doctor in check mode", "platform_doctor_info", cluster, check=True),
        Case("doctor without time", "platform_doctor_info", {"timeout": 0}, error_class="invalid"),
        Case("plan of a site", "site_repository", site, check=True, diff=True),
        Case("site of nowhere", "site_repository", {**site, "environments": ["qa"]}, error_class="invalid"),
        Case("plan of files for Git", "gitops_files", files, check=True, diff=True),
        Case("no files to remove", "gitops_files", {**files, "state": "absent"}, diff=True),
        Case(
            "files with a secret",
            "gitops_files",
            {**files, "chart_values": {"secrets": {"apiKey": "not to be seen"}}},
            error_class="invalid",
        ),
        Case(
            "files for a program",
            "gitops_files",
            {**files, "directory": None, "repository": "ext::true"},
            error_class="invalid",
        ),
        Case("plan of a lock", "lock", locking, check=True, diff=True),
        Case("lock", "lock", locking),
        Case(
            "end of a lock that never was",
            "lock",
            {**locking, "state": "released", "lock": {"id": NOBODY, "fence": 1}},
            error_class="invalid",
        ),
        Case(
            "release under a lock that is not held",
            "vllm_release",
            {**removal, **database, "lock": {"id": NOBODY, "fence": 1}},
            error_class="fenced",
        ),
        Case("plan of a removal", "vllm_release", removal, check=True, diff=True),
        Case("removal", "vllm_release", removal, diff=True),
        Case("removal again", "vllm_release", removal),
        Case("plan of objects", "kubernetes_objects", objects, check=True, diff=True),
        Case("objects", "kubernetes_objects", objects, diff=True),
        Case("objects again", "kubernetes_objects", objects, diff=True),
        Case(
            "an object without a name",
            "kubernetes_objects",
            {**objects, "objects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {}}]},
            error_class="invalid",
        ),
        Case("plan of a sync", "argocd_sync", {**following, "revision": NEXT}, check=True, diff=True),
        Case("application that is synced", "argocd_sync", following, diff=True),
        Case(
            "application that does not get there",
            "argocd_sync",
            {**following, "revision": NEXT, "timeout": 1},
            error_class="timeout",
        ),
        Case("commit by a branch", "argocd_sync", {**following, "revision": "main"}, error_class="invalid"),
        Case("removed objects", "kubernetes_objects", {**objects, "state": "absent"}, diff=True),
        Case("removed export", "litellm_models", {**export, "state": "absent"}, diff=True),
        Case(
            "export without a proxy",
            "litellm_models",
            {**export, "url": "http://127.0.0.1:9", "timeout": 1},
            error_class="infrastructure",
        ),
        Case(
            "lab in check mode",
            "lab_cluster",
            {"lab_dir": place.lab_folder, "files_dir": str(ROOT / "roles/lab/files")},
            check=True,
        ),
    ]


def _lab_values() -> dict[str, Any]:
    """Return the chart's values for the lab's model server, as the local inventory has them."""
    values: dict[str, Any] = load_yaml(ROOT / "inventories/local/group_vars/models/values.yml")
    # No router sends requests here, so nothing has to be waited for when a pod goes away.
    drain = {"preStopSeconds": 0, "shutdownTimeoutSeconds": 1}
    return {**values["vllm_environment_values"], "model": {"sizeBillions": 7}, "drain": drain}


def _endpoint(place: Place, model: str) -> dict[str, Any]:
    return {
        "kubeconfig": place.kubeconfig,
        "model": model,
        "service": release_name(MODEL, "development"),
        "namespace": place.namespace,
        "access": "proxy",
        "timeout": 20,
    }


NAMES = [case.name for case in cases(Place())]


@pytest.fixture(scope="module")
def results(
    lab: Lab,
    api: ClusterClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, TaskResult]]:
    """Return the tasks' results by way of running and by case."""
    found = {}
    with (
        argocd_definitions(api),
        fresh_namespace(api, "agree") as namespace,
        fresh_database(lab) as models,
        proxy_with_database(models, tmp_path_factory.mktemp("litellm")) as proxy,
    ):
        synced = {**operation("Succeeded", COMMIT, finished=1), **compared(COMMIT, at=2)}
        followed = application(FOLLOWING, automated=False, status=synced)
        for way in ("action", "module"):
            # Nobody does the refresh that is asked for, so the second has an Application of its own.
            api.delete(f"{applications(namespace)}/{FOLLOWING}")
            api.create(applications(namespace), followed)
            with fresh_database(lab) as dsn:
                place = Place(namespace, dsn, str(lab.kubeconfig), str(lab.folder), proxy.url)
                found[way] = _run(place, way, tmp_path_factory.mktemp(way))
    return found


def _run(place: Place, way: str, folder: Path) -> dict[str, TaskResult]:
    tasks = []
    for case in cases(place):
        (play,) = module_play(
            case.module,
            case.arguments,
            in_process=way == "action",
            check=case.check,
            diff=case.diff,
            ignore_errors=True,
        )
        tasks.append({**play["tasks"][0], "name": case.name})
    runner = PlayRunner(folder, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"})
    finished = runner.run([{**play, "tasks": tasks}]).check()
    return {
        task.task: replace(task, result=_without(task.result, VOLATILE | OF_ANSIBLE))
        for task in finished.tasks
    }


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    if isinstance(value, list):
        return [_without(item, keys) for item in value]
    return value


def test_every_module_has_a_case_that_works_and_one_in_check_mode() -> None:
    listed = cases(Place())
    assert {case.module for case in listed if case.error_class is None} == set(modules())
    assert {case.module for case in listed if case.check} == set(modules())


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_both_ways_return_the_same(results: dict[str, dict[str, TaskResult]], name: str) -> None:
    assert results["action"][name].status == results["module"][name].status
    assert results["action"][name].result == results["module"][name].result


@pytest.mark.full
@pytest.mark.parametrize("case", cases(Place()), ids=NAMES)
def test_result_is_what_the_case_expects(results: dict[str, dict[str, TaskResult]], case: Case) -> None:
    """Two results that agree because both are wrong would prove nothing."""
    outcome = results["action"][case.name]
    if case.error_class is None:
        assert outcome.status == "ok", outcome.result
    else:
        assert outcome.status == "failed"
        assert outcome.result["error_class"] == case.error_class, outcome.result


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("plan of an installation", True),
        ("installation", True),
        ("installation again", False),
        ("plan of an upgrade", True),
        ("plan of a schema", True),
        ("schema", True),
        ("schema again", False),
        ("plan of an entry", True),
        ("entry", True),
        ("entry again", False),
        ("entry becomes ready", True),
        ("disabled entry", True),
        ("deployment of a disabled entry", False),
        ("rows", False),
        ("plan of a removed entry", True),
        ("removed entry", True),
        ("plan of a rollback", True),
        ("rollback", True),
        ("rollback again", False),
        ("plan of an account's file", True),
        ("account's file", True),
        ("account's file again", False),
        ("plan of a lock", True),
        ("lock", True),
        ("plan of a removal", True),
        ("removal", True),
        ("removal again", False),
        ("plan of objects", True),
        ("plan of a sync", True),
        ("application that is synced", False),
        ("objects", True),
        ("objects again", False),
        ("removed objects", True),
    ],
)
@pytest.mark.parametrize("way", ["action", "module"])
def test_changed_is_told_both_ways(
    results: dict[str, dict[str, TaskResult]], way: str, name: str, changed: bool
) -> None:
    assert results[way][name].changed is changed
