# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What checks say of what they read, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import dump_manifest
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.checks import (
    cluster,
    database,
    dns,
    gpu_nodes,
    images,
    kinds,
    namespace,
    placement,
    policies,
    quota,
    redis,
    rights,
    storage,
    tools,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.image_registry import (
    Answer,
    Place,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.site import Model
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import ReleaseSpec
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.verdict import Verdict
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.environment_groups import Group
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import (
    Applied,
    load,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import Rendered
from tests.support.playbooks import ROOT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIGRATIONS = load(str(ROOT / "roles/registry/files/migrations"))
APPLIED = [Applied(item.version, item.name, item.checksum) for item in MIGRATIONS]
GROUP = Group("deployer", "staging")
EVERYBODY: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("28.1.0", "fail"), ("29.0.0", "pass"), ("100.0", "pass"), (None, "fail"), ("29.0.0rc1", "pass")],
)
def test_versions_of_libraries(version: str | None, verdict: str) -> None:
    assert tools.judge("kubernetes", version).verdict == verdict


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("v1.29.9", "fail"),
        ("v1.30.0", "pass"),
        ("v1.34.1-eks-113", "pass"),
        ("v2.0", "pass"),
        ("", "unknown"),
    ],
)
def test_versions_of_the_api_server(version: str, verdict: str) -> None:
    assert cluster.judge_version(version).verdict == verdict


@pytest.mark.parametrize(
    ("ahead_s", "verdict"),
    [(0, "pass"), (4, "pass"), (-4, "pass"), (8, "warn"), (-9, "warn"), (90, "fail"), (-90, "fail")],
)
def test_clocks(ahead_s: float, verdict: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=ahead_s))
    found = cluster.judge_clock(date, NOW, NOW + timedelta(milliseconds=50))
    assert found.verdict == verdict
    if verdict != "pass":
        assert ("ahead of" if ahead_s > 0 else "behind") in found.seen


def test_a_slow_answer_is_no_skew() -> None:
    date = format_datetime(NOW + timedelta(seconds=30))
    assert cluster.judge_clock(date, NOW, NOW + timedelta(seconds=60)).verdict == "pass"


def test_no_date_is_unknown() -> None:
    assert cluster.judge_clock("", NOW, NOW).verdict == "unknown"


def rule(verbs: list[str], resources: list[str], group: str = "", **more: Any) -> dict[str, Any]:
    """Return a rule of a role."""
    return {"apiGroups": [group], "resources": resources, "verbs": verbs, **more}


GET_SECRETS = rights.Right(False, "", "secrets", "get")


@pytest.mark.parametrize(
    ("rules", "covered"),
    [
        ([], False),
        ([rule(["get"], ["secrets"])], True),
        ([rule(["*"], ["*"], "*")], True),
        ([rule(["list"], ["secrets"])], False),
        ([rule(["get"], ["secrets"], "apps")], False),
        ([rule(["get"], ["secrets"], resourceNames=["one"])], False),
    ],
)
def test_rules_that_cover_a_right(rules: list[dict[str, Any]], covered: bool) -> None:
    assert rights.covers(rules, GET_SECRETS) is covered


def test_rights_come_from_both_kinds_of_roles() -> None:
    objects: list[dict[str, Any]] = [
        {"kind": "Role", "rules": [rule(["get", "list"], ["secrets"])]},
        {"kind": "ClusterRole", "rules": [rule(["list"], ["nodes"])]},
        {"kind": "RoleBinding"},
    ]
    assert [(right.everywhere, right.verb, right.name) for right in rights.rights_of(objects)] == [
        (False, "get", "secrets"),
        (False, "list", "secrets"),
        (True, "list", "nodes"),
    ]


def test_a_missing_right_is_named_with_what_it_breaks() -> None:
    wanted = [GET_SECRETS, rights.Right(True, "", "nodes", "list")]
    found = rights.judge(wanted, wanted[:1])
    assert [item.verdict for item in found] == ["fail", "fail"]
    assert "1 of 2" in found[0].seen
    assert "may not get: secrets in the namespace" in found[1].seen
    assert "Helm" in found[1].seen


def test_rights_of_one_kind_are_said_together() -> None:
    rules = [
        rule(["get", "list"], ["pods", "services"]),
        rule(["get"], ["events"]),
        rule(["get"], ["jobs"], "batch"),
    ]
    missing = rights.rights_of([{"kind": "Role", "rules": rules}])
    assert rights.said(missing) == "get: events, jobs.batch; get, list: pods, services"


def test_a_right_that_few_need_is_a_warning() -> None:
    wanted = [rights.Right(False, "monitoring.coreos.com", "servicemonitors", "create")]
    assert [item.verdict for item in rights.judge(wanted, wanted)] == ["warn", "warn"]


def labelled(**labels: str) -> dict[str, Any]:
    """Return a namespace with labels, ``__`` meaning a slash."""
    names = {"owner": "llmops.platform/environment", "level": "pod-security.kubernetes.io/enforce"}
    return {"metadata": {"labels": {names[name]: value for name, value in labels.items()}}}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, "fail"),
        ({**labelled(), "status": {"phase": "Terminating"}}, "fail"),
        (labelled(owner="production", level="restricted"), "fail"),
        (labelled(level="restricted"), "warn"),
        (labelled(owner="staging"), "warn"),
        (labelled(owner="staging", level="restricted"), "pass"),
    ],
)
def test_namespaces(found: dict[str, Any] | None, verdict: str) -> None:
    assert namespace.judge("llm-staging", "staging", found).verdict == verdict


def node(gpus: int, *, ready: bool = True, cordoned: bool = False, **labels: str) -> dict[str, Any]:
    """Return a node."""
    return {
        "metadata": {"name": f"node-{gpus}", "labels": labels},
        "spec": {"unschedulable": cordoned, "taints": [{"key": "gpu", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"nvidia.com/gpu": str(gpus)},
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


@pytest.mark.parametrize(
    ("nodes", "wanted", "verdict"),
    [
        ([], True, "fail"),
        ([], False, "warn"),
        ([node(0)], True, "fail"),
        ([node(8)], True, "pass"),
        ([node(8), node(4, cordoned=True)], True, "warn"),
        ([node(8, ready=False)], True, "fail"),
    ],
)
def test_gpu_nodes(nodes: list[dict[str, Any]], wanted: bool, verdict: str) -> None:
    assert gpu_nodes.judge(nodes, "nvidia.com/gpu", wanted=wanted).verdict == verdict


def test_gpu_nodes_count_what_can_be_used() -> None:
    seen = gpu_nodes.judge([node(8), node(4, ready=False)], "nvidia.com/gpu", wanted=True).seen
    assert seen == "8 on 1 node, tainted gpu:NoSchedule; not ready or cordoned: node-4."


CAPACITY = Verdict("fits", 1, 1, "Room.", "", True, "nvidia.com/gpu", {}, {}, nodes_total=3)


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("fits", "pass"),
        ("no_room", "warn"),
        ("fits_by_preemption", "warn"),
        ("fits_after_termination", "warn"),
        ("never_fits", "fail"),
    ],
)
def test_placement(word: str, verdict: str) -> None:
    assert placement.judge(replace(CAPACITY, verdict=word), "llama").verdict == verdict


@pytest.mark.parametrize(
    ("hard", "used", "verdict"),
    [
        ("8", "7", "pass"),
        ("8", "8", "warn"),
        ("0", "0", "warn"),
        ("100Gi", "95Gi", "warn"),
        ("1", "500m", "pass"),
    ],
)
def test_quotas(hard: str, used: str, verdict: str) -> None:
    counted = {"hard": {"requests.cpu": hard, "pods": "10"}, "used": {"requests.cpu": used}}
    found = quota.judge({"metadata": {"name": "q"}, "status": counted})
    assert (found.verdict, found.subject) == (verdict, "q")


def test_a_quota_that_nobody_counted_is_unknown() -> None:
    assert quota.judge({"metadata": {"name": "q"}}).verdict == "unknown"


def policy(kinds_of: list[str], *, selector: dict[str, Any] = EVERYBODY, **more: Any) -> dict[str, Any]:
    """Return a network policy."""
    spec = {"podSelector": selector, "policyTypes": kinds_of, **more}
    return {"metadata": {"name": "p"}, "spec": spec}


BOTH = ["Ingress", "Egress"]
DNS = {"ports": [{"port": 53, "protocol": "UDP"}]}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], "warn"),
        ([policy(["Ingress"])], "warn"),
        ([policy(BOTH, selector={"matchLabels": {"app": "vllm"}})], "warn"),
        ([policy(BOTH)], "pass"),
        ([policy(["Ingress"]), policy(["Egress"])], "pass"),
    ],
)
def test_fences(found: list[dict[str, Any]], verdict: str) -> None:
    assert policies.judge_fence(found).verdict == verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([policy(BOTH)], "fail"),
        ([policy(BOTH), policy(["Egress"], egress=[DNS])], "pass"),
        ([policy(BOTH, egress=[{}])], "pass"),
        ([policy(["Egress"], egress=[{"ports": [{"port": 443}]}])], "fail"),
        ([policy(BOTH), policy(["Egress"], selector={"matchLabels": {"a": "b"}}, egress=[DNS])], "fail"),
    ],
)
def test_name_resolution_through_a_fence(found: list[dict[str, Any]], verdict: str) -> None:
    assert policies.judge_dns(found).verdict == verdict


def claim(storage_class: str | None) -> dict[str, Any]:
    """Return a claim; None leaves the class to the cluster."""
    return {"metadata": {"name": "weights"}, "spec": {"storageClassName": storage_class}}


def a_class(name: str, mode: str = "WaitForFirstConsumer", *, default: bool = False) -> dict[str, Any]:
    """Return a storage class."""
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {"metadata": {"name": name, "annotations": annotations}, "volumeBindingMode": mode}


@pytest.mark.parametrize(
    ("asked", "classes", "verdict"),
    [
        ("fast", [], "fail"),
        ("fast", [a_class("slow", default=True)], "fail"),
        ("fast", [a_class("fast")], "pass"),
        ("fast", [a_class("fast", "Immediate")], "warn"),
        (None, [a_class("slow")], "fail"),
        (None, [a_class("slow", default=True)], "pass"),
        ("", [], "pass"),
    ],
)
def test_storage_classes(asked: str | None, classes: list[dict[str, Any]], verdict: str) -> None:
    assert storage.judge(claim(asked), None, classes, "llama").verdict == verdict


def test_a_bound_claim_needs_no_class() -> None:
    assert storage.judge(claim("gone"), {"status": {"phase": "Bound"}}, [], "llama").verdict == "pass"
    assert storage.judge(claim("gone"), {"status": {"phase": "Pending"}}, [], "llama").verdict == "fail"


def test_kinds_that_a_cluster_lacks() -> None:
    version = "monitoring.coreos.com/v1"
    assert kinds.judge(version, {"ServiceMonitor"}, {"ServiceMonitor", "Probe"}).verdict == "pass"
    lacking = kinds.judge(version, {"ServiceMonitor", "PrometheusRule"}, {"ServiceMonitor"})
    assert lacking.verdict == "fail"
    assert "no PrometheusRule," in lacking.seen
    assert "serviceMonitor.enabled" in lacking.advice


@pytest.mark.parametrize(
    ("pod_spec", "others", "verdict", "said"),
    [
        ({}, [], "fail", "no router reaches it"),
        ({}, [{"kind": "NetworkPolicy", "spec": {"policyTypes": ["Ingress"]}}], "pass", "lets routers"),
        ({}, [{"kind": "NetworkPolicy", "spec": {"policyTypes": ["Egress"]}}], "fail", "no router"),
        ({"hostNetwork": True}, [], "warn", "in the network of its node"),
    ],
)
def test_who_reaches_a_model(
    pod_spec: dict[str, Any], others: list[dict[str, Any]], verdict: str, said: str
) -> None:
    deployment = {"kind": "Deployment", "spec": {"template": {"spec": pod_spec}}}
    rendered = Rendered(cast("ReleaseSpec", None), dump_manifest([deployment, *others]), "")
    found = policies.judge_model(Model("m", rendered))
    assert (found.verdict, found.subject) == (verdict, "m")
    assert said in found.seen


IMAGE = "registry.example/vllm:1"


def pod(state: dict[str, Any], image: str = IMAGE, told: str = "sha256:1") -> dict[str, Any]:
    """Return a pod whose container is in a state; ``told`` is what the runtime calls the image."""
    status = {"name": "vllm", "image": told, "state": state}
    return {
        "spec": {"containers": [{"name": "vllm", "image": image}]},
        "status": {"containerStatuses": [status]},
    }


def before(state: dict[str, Any]) -> dict[str, Any]:
    """Return a pod whose init container is in a state."""
    found = pod(state)
    return {
        "spec": {"containers": [], "initContainers": found["spec"]["containers"]},
        "status": {"initContainerStatuses": found["status"]["containerStatuses"]},
    }


BACK_OFF = {"waiting": {"reason": "ImagePullBackOff", "message": "denied"}}
KEEPS = {"status": {"images": [{"names": [IMAGE]}]}}


@pytest.mark.parametrize(
    ("pods", "nodes", "verdict"),
    [
        ([], [], "unknown"),
        ([pod({"running": {}})], [], "pass"),
        ([pod({"running": {}}, "other:1", "other:1")], [], "unknown"),
        ([], [KEEPS], "pass"),
        ([pod(BACK_OFF)], [KEEPS], "fail"),
        ([before(BACK_OFF)], [KEEPS], "fail"),
        ([before({"running": {}})], [], "pass"),
        ([before({"terminated": {"exitCode": 0}})], [], "pass"),
        ([pod({"waiting": {"reason": "ContainerCreating"}})], [], "unknown"),
    ],
)
def test_image(pods: list[dict[str, Any]], nodes: list[dict[str, Any]], verdict: str) -> None:
    assert images.judge(IMAGE, pods, nodes).verdict == verdict


def test_images_of_a_model_are_those_of_all_its_containers() -> None:
    spec = {
        "initContainers": [{"image": "fetch:1"}],
        "containers": [{"name": "vllm", "image": IMAGE}, {"image": "log:1"}],
    }
    assert images.images_of(spec) == {IMAGE, "fetch:1", "log:1"}
    assert images.images_of({"containers": [{"image": IMAGE}]}) == {IMAGE}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(200), "pass"),
        (Answer(404), "fail"),
        (Answer(401), "unknown"),
        (Answer(403), "unknown"),
        (Answer(500), "unknown"),
        (Answer(0, "refused"), "unknown"),
    ],
)
def test_answers_of_registries(answer: Answer, verdict: str) -> None:
    assert images.judge_answer(images.judge(IMAGE, [], []), IMAGE, answer).verdict == verdict


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("busybox", Place("registry-1.docker.io", "library/busybox", "latest")),
        ("vllm/vllm-openai:v0.11.0", Place("registry-1.docker.io", "vllm/vllm-openai", "v0.11.0")),
        ("docker.io/library/redis:8", Place("registry-1.docker.io", "library/redis", "8")),
        ("ghcr.io/a/b/c:1@sha256:ab", Place("ghcr.io", "a/b/c", "sha256:ab")),
        ("localhost:5000/x", Place("localhost:5000", "x", "latest")),
        ("localhost/x:1", Place("localhost", "x", "1")),
    ],
)
def test_names_of_images(image: str, place: Place) -> None:
    assert Place.of(image) == place


@pytest.mark.parametrize(
    ("servers", "verdict"),
    [([], "unknown"), ([True, True], "pass"), ([True, False], "warn"), ([False], "fail")],
)
def test_name_servers(servers: list[bool], verdict: str) -> None:
    assert dns.judge(servers).verdict == verdict


@pytest.mark.parametrize(
    ("applied", "verdict"),
    [
        ([], "fail"),
        (APPLIED, "pass"),
        (APPLIED[:-1], "fail"),
        ([*APPLIED, Applied(len(APPLIED) + 1, "of_tomorrow", "x")], "fail"),
        ([*APPLIED[:-1], replace(APPLIED[-1], checksum="other")], "fail"),
    ],
)
def test_schemas(applied: list[Applied], verdict: str) -> None:
    assert database.judge_schema(MIGRATIONS, applied).verdict == verdict


@pytest.mark.parametrize(
    ("groups", "owns", "verdict"),
    [
        ([], False, "fail"),
        (["llmops_deployer_staging"], False, "pass"),
        (["llmops_deployer"], False, "pass"),
        (["llmops_deployer_staging"], True, "warn"),
    ],
)
def test_logins(groups: list[str], owns: bool, verdict: str) -> None:
    assert database.judge_login(GROUP, groups, owns).verdict == verdict


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (["+OK", "+PONG"], "pass"),
        (["+PONG"], "pass"),
        (["-WRONGPASS no"], "fail"),
        (["-NOAUTH"], "fail"),
        (["HTTP/1.1 400"], "fail"),
    ],
)
def test_answers_of_redis(answers: list[str], verdict: str) -> None:
    assert redis.judge("redis port 6379", answers, encrypted=False).verdict == verdict
