# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What checks say of what they read, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.checks import (
    cluster,
    database,
    dns,
    gpu_nodes,
    images,
    kinds,
    namespace,
    placement,
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
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.site import Site
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.verdict import Verdict
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.environment_groups import Group
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import (
    Applied,
    load,
)
from tests.support.playbooks import ROOT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIGRATIONS = load(str(ROOT / "roles/registry/files/migrations"))
APPLIED = [Applied(item.version, item.name, item.checksum) for item in MIGRATIONS]
GROUP = Group("deployer", "staging")


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
    assert namespace.judge("llm-staging", "staging", "staging", found).verdict == verdict


@pytest.mark.parametrize(
    ("level", "tier", "verdict"),
    [
        ("privileged", "production", "warn"),
        ("privileged", "staging", "warn"),
        ("privileged", "development", "pass"),
        ("baseline", "production", "pass"),
    ],
)
def test_pod_security(level: str, tier: str, verdict: str) -> None:
    found = namespace.judge("llm-eu", "eu", tier, labelled(owner="eu", level=level))
    assert found.verdict == verdict
    assert level in found.seen
    assert ("environment_pod_security" in found.advice) == (verdict == "warn")


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


def a_site(**more: Any) -> Site:
    """Return a site about which nothing is known."""
    nothing: dict[str, Any] = {
        "environment": "staging", "namespace": "llm-staging", "tier": None, "params": {}, "wanted": [],
        "chart": "", "migrations": "", "deployer": [], "helm_binary": "helm", "redis_url": "",
        "redis_ca_cert": "", "ansible_version": "2.18", "limit_s": 1.0,
    }  # fmt: skip
    return Site(**{**nothing, **more})


def claim(storage_class: str | None) -> dict[str, Any]:
    """Return a claim; None leaves the class to the cluster."""
    spec = {"storageClassName": storage_class, "resources": {"requests": {"storage": "100Gi"}}}
    return {"metadata": {"name": "weights", "namespace": "llm"}, "spec": spec}


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
        ("", [a_class("slow", default=True)], "fail"),
    ],
)
def test_storage_classes(asked: str | None, classes: list[dict[str, Any]], verdict: str) -> None:
    assert storage.judge(claim(asked), None, classes, [], "llama").verdict == verdict


def volume(size: str, storage_class: str = "", **more: Any) -> dict[str, Any]:
    """Return a volume that is free."""
    spec = {"capacity": {"storage": size}, "storageClassName": storage_class, **more}
    return {"metadata": {"name": "v"}, "spec": spec, "status": {"phase": "Available"}}


@pytest.mark.parametrize(
    ("asked", "volumes", "verdict"),
    [
        ("", [], "fail"),
        ("", [volume("100Gi")], "pass"),
        ("", [volume("99Gi")], "fail"),
        ("", [volume("100Gi", "local")], "fail"),
        ("", [{**volume("100Gi"), "status": {"phase": "Released"}}], "fail"),
        ("", [volume("100Gi", claimRef={"name": "weights", "namespace": "llm"})], "pass"),
        ("", [volume("100Gi", claimRef={"name": "weights", "namespace": "other"})], "fail"),
        ("local", [volume("100Gi")], "fail"),
        ("local", [volume("100Gi", "local")], "pass"),
        (None, [volume("100Gi")], "fail"),
        (None, [volume("100Gi", "local")], "pass"),
    ],
)
def test_volumes_that_nobody_makes(asked: str | None, volumes: list[dict[str, Any]], verdict: str) -> None:
    local = {**a_class("local", default=True), "provisioner": "kubernetes.io/no-provisioner"}
    assert storage.judge(claim(asked), None, [local], volumes, "llama").verdict == verdict


@pytest.mark.parametrize(
    ("volumes", "verdict", "said"),
    [
        ([volume("100Gi", "manual")], "pass", "of class manual"),
        ([volume("99Gi", "manual")], "fail", "does not exist: there are fast"),
        ([volume("100Gi", "other")], "fail", "does not exist: there are fast"),
    ],
)
def test_a_class_that_volumes_and_claims_name_and_nobody_made(
    volumes: list[dict[str, Any]], verdict: str, said: str
) -> None:
    found = storage.judge(claim("manual"), None, [a_class("fast")], volumes, "llama")
    assert found.verdict == verdict
    assert said in found.seen


def test_of_several_default_classes_the_newest_counts() -> None:
    old, new = a_class("old", default=True), a_class("new")
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    new["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    # Its first name, which Kubernetes still reads.
    new["metadata"]["annotations"] = {"storageclass.beta.kubernetes.io/is-default-class": "true"}
    assert "class new" in storage.judge(claim(None), None, [old, new], [], "llama").seen


def test_a_volume_that_a_claim_names() -> None:
    named = claim("")
    named["spec"]["volumeName"] = "v"
    assert storage.judge(named, None, [], [volume("100Gi")], "llama").verdict == "pass"
    named["spec"]["volumeName"] = "w"
    assert storage.judge(named, None, [], [volume("100Gi")], "llama").verdict == "fail"


@pytest.mark.parametrize(("phase", "verdict"), [("Bound", "pass"), ("Pending", "fail"), ("Lost", "fail")])
def test_a_claim_that_is_there(phase: str, verdict: str) -> None:
    there = {**claim("gone"), "status": {"phase": phase}}
    found = storage.judge(claim("gone"), there, [], [], "llama")
    assert found.verdict == verdict
    assert ("lost its volume" in found.seen) == (phase == "Lost")


def test_a_claim_keeps_the_class_that_it_has() -> None:
    there = {**claim("slow"), "status": {"phase": "Pending"}}
    assert "class slow" in storage.judge(claim("fast"), there, [a_class("fast")], [], "llama").seen


def test_kinds_that_a_cluster_lacks() -> None:
    version = "monitoring.coreos.com/v1"
    assert kinds.judge(version, {"ServiceMonitor"}, {"ServiceMonitor", "Probe"}).verdict == "pass"
    lacking = kinds.judge(version, {"ServiceMonitor", "PrometheusRule"}, {"ServiceMonitor"})
    assert lacking.verdict == "fail"
    assert "no PrometheusRule," in lacking.seen
    assert "serviceMonitor.enabled" in lacking.advice


IMAGE = "registry.example/vllm:1"


def pod(
    state: dict[str, Any], image: str = IMAGE, told: str = "sha256:1", *, early: bool = False
) -> dict[str, Any]:
    """Return a pod whose container is in a state; ``told`` is what the runtime calls the image.

    With ``early`` it is a container that starts before the server.
    """
    status = {"name": "vllm", "image": told, "state": state}
    return {
        "spec": {"initContainers" if early else "containers": [{"name": "vllm", "image": image}]},
        "status": {"initContainerStatuses" if early else "containerStatuses": [status]},
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
        ([pod({"waiting": {"reason": "ContainerCreating"}})], [], "unknown"),
        ([pod(BACK_OFF, early=True)], [KEEPS], "fail"),
        ([pod({"terminated": {"exitCode": 0}}, early=True)], [], "pass"),
    ],
)
def test_images(pods: list[dict[str, Any]], nodes: list[dict[str, Any]], verdict: str) -> None:
    assert images.judge(IMAGE, pods, nodes).verdict == verdict


def test_images_of_all_containers() -> None:
    proxy = {"name": "proxy", "image": "ghcr.io/org/proxy:1"}
    server = {"name": "vllm", "image": IMAGE}
    login = [{"name": "ghcr"}]
    first = {"containers": [server, proxy], "initContainers": [{"name": "fetch", "image": "busybox:1"}]}
    assert images.wanted([first]) == {"busybox:1": [], proxy["image"]: [], IMAGE: []}
    assert images.wanted([{**first, "imagePullSecrets": login}])[IMAGE] == ["ghcr"]
    # One pod of two has no login for it.
    second = {"containers": [server], "imagePullSecrets": login}
    assert images.wanted([first, second])[IMAGE] == []


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
    assert images.judge_answer(images.judge(IMAGE, [], []), IMAGE, answer, []).verdict == verdict


def test_a_private_image_needs_a_pull_secret() -> None:
    unknown = images.judge(IMAGE, [], [])
    without = images.judge_answer(unknown, IMAGE, Answer(401), [])
    assert "nobody without a login" in without.seen
    assert "image.pullSecrets" in without.advice
    named = images.judge_answer(unknown, IMAGE, Answer(401), ["ghcr"])
    # It is not tried: its login stays in the cluster.
    assert named.verdict == "unknown"
    assert "Secret ghcr" in named.seen
    assert "image.pullSecrets" not in named.advice


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
    ("way", "tier", "verdict"),
    [
        (database.Way(encrypted=False, local=False, mode="prefer"), "production", "fail"),
        (database.Way(encrypted=False, local=False, mode="prefer"), "staging", "warn"),
        (database.Way(encrypted=False, local=True, mode="prefer"), "production", "pass"),
        (database.Way(encrypted=True, local=False, mode="prefer"), "production", "fail"),
        (database.Way(encrypted=True, local=False, mode="require"), "production", "fail"),
        (database.Way(encrypted=True, local=False, mode="require"), "development", "warn"),
        # An unknown name is no reason to be careless.
        (database.Way(encrypted=True, local=False, mode="require"), "qa", "fail"),
        (database.Way(encrypted=True, local=False, mode="require", authority=True), "production", "pass"),
        (database.Way(encrypted=True, local=False, mode="prefer", authority=True), "production", "fail"),
        (database.Way(encrypted=True, local=False, mode="verify-ca"), "production", "pass"),
        (database.Way(encrypted=True, local=False, mode="verify-full"), "production", "pass"),
    ],
)
def test_ways_to_the_database(way: database.Way, tier: str, verdict: str) -> None:
    found = database.judge_tls(way, tier)
    assert (found.verdict, found.subject) == (verdict, "tls")


@pytest.mark.parametrize(
    ("answers", "verdict", "advice"),
    [
        (["+OK", "+PONG"], "pass", ""),
        (["+PONG"], "pass", ""),
        (["-WRONGPASS no"], "fail", "user and password"),
        (["-NOAUTH"], "fail", "user and password"),
        (["-ERR AUTH <password> called without any password configured."], "fail", "user and password"),
        (["-NOPERM this user has no permissions"], "fail", "user and password"),
        (["-DENIED Redis is running in protected mode"], "fail", "as it says"),
        (["-ERR max number of clients reached"], "fail", "as it says"),
        (["+OK", "-LOADING Redis is loading the dataset in memory"], "warn", "Wait"),
        (["-BUSY Redis is busy running a script."], "warn", "Wait"),
        (["-MASTERDOWN Link with MASTER is down"], "warn", "Wait"),
        (["HTTP/1.1 400"], "fail", "host and port"),
        ([""], "fail", "host and port"),
    ],
)
def test_answers_of_redis(answers: list[str], verdict: str, advice: str) -> None:
    found = redis.judge("redis port 6379", answers)
    assert found.verdict == verdict
    assert advice in found.advice


def test_a_redis_that_repeats_what_it_was_sent_repeats_it_to_nobody() -> None:
    answers = ["-ERR unknown command `AUTH`, with args beginning with: `hunter2`"]
    assert "hunter2" not in redis.judge("redis port 6379", answers).seen


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hun/ter2@host:6379",
        "redis://:hun#ter2@host:6379",
        "redis://:hun?ter2@host:6379",
        "redis://user:hun/ter2@host:6379",
        "redis://user:7/hunter2@host:6379",
        "redis://user:hun#ter2@host:6379",
        "redis://user:hun?ter2@host:6379",
        "redis://:hun@ter2/x@host:6379",
        "redis://:hun[ter2@host:6379",
        "redis://:hun\u2100ter2@host:6379",
        "redis://:x@host:hunter2",
        "redis://:x@host:77777",
        "redis://",
        "http://:hunter2@host",
    ],
)
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    (found,) = redis.look(a_site(redis_url=url))
    assert found.verdict == "fail"
    assert "percent-encoded" in found.advice
    assert not any(part in found.seen + found.advice for part in ("hun", "ter2", "77777"))


@pytest.mark.parametrize(
    ("url", "tier", "verdict"),
    [
        ("rediss://:secret@redis", "production", "pass"),
        ("rediss://:secret@redis", "staging", "pass"),
        ("redis://:secret@redis", "production", "fail"),
        ("redis://:secret@redis", "staging", "warn"),
        ("rediss://redis", "production", "fail"),
        ("rediss://user@redis", "production", "fail"),
        ("rediss://redis?password=secret", "production", "pass"),
        ("redis://redis", "development", "warn"),
        ("redis://127.0.0.1", "production", "pass"),
        ("redis://localhost", "production", "pass"),
        ("redis://[::1]", "production", "pass"),
    ],
)
def test_what_keeps_others_out_of_redis(url: str, tier: str, verdict: str) -> None:
    found = redis.judge_protection(urlsplit(url), tier)
    assert (found.verdict, found.subject) == (verdict, "protection")


def test_what_a_redis_lacks_is_said() -> None:
    assert (
        redis.judge_protection(urlsplit("redis://redis"), "production").seen
        == "without TLS, without a password."
    )
