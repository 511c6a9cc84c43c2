# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules between pods: affinity, anti-affinity in both directions, topology spread."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.placement.capacity import Verdict, assess
from tests.support.kubernetes_objects import Cluster, node, pod, shape

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
APP = {"app": "vllm"}


def term(key: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}, **more}


def apart(key: str, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"affinity": {"podAntiAffinity": {REQUIRED: [term(key, labels or APP, **more)]}}}


def near(key: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"affinity": {"podAffinity": {REQUIRED: [term(key, labels)]}}}


def spread(key: str, skew: int = 1, **more: Any) -> dict[str, Any]:
    constraint = {**term(key, APP), "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", **more}
    return {"topologySpreadConstraints": [constraint]}


def zones(*names: str | None) -> list[dict[str, Any]]:
    return [node(f"n{index}", labels={ZONE: name} if name else {}) for index, name in enumerate(names)]


def judge(cluster: Cluster, replicas: int, spec: dict[str, Any]) -> Verdict:
    return assess(cluster, shape(1, labels=APP, **spec), replicas, "mine")


@pytest.mark.parametrize(
    ("key", "placeable"), [(HOST, 3), (ZONE, 2)], ids=["one a node", "one a zone, and it needs none"]
)
def test_replicas_that_stay_apart(key: str, placeable: int) -> None:
    verdict = judge(Cluster(*zones("z1", "z1", "z2")), 4, apart(key))
    assert verdict.placeable == placeable
    assert verdict.permanent
    assert verdict.exact


def test_nobody_is_evicted_for_replicas_that_stay_apart_anyway() -> None:
    classes = [{"metadata": {"name": "high"}, "value": 100}]
    held = pod("theirs", "c", 8)
    held["spec"]["priority"] = 1000
    cluster = Cluster(
        *(node(name) for name in "abc"),
        pods=[pod("low-a", "a", 1), pod("low-b", "b", 1), held],
        others={"/apis/scheduling.k8s.io/v1/priorityclasses": classes},
    )
    verdict = judge(cluster, 3, apart(HOST) | {"priorityClassName": "high"})
    # Two have room, and the third would have to go where one of them is.
    assert (verdict.verdict, verdict.placeable) == ("no_room", 2)
    assert judge(cluster, 2, apart(HOST) | {"priorityClassName": "high"}).fits


def test_nodes_without_the_key_are_not_limited_by_anti_affinity() -> None:
    assert judge(Cluster(*zones("z1", None)), 9, apart(ZONE)).placeable == 9


def test_existing_pods_of_the_own_namespace_are_avoided() -> None:
    there = pod("old", "n0", namespace="mine", labels=APP)
    elsewhere = pod("old", "n1", namespace="other", labels=APP)
    verdict = judge(Cluster(*zones("z1", "z2"), pods=[there, elsewhere]), 1, apart(HOST))
    assert [item["node"] for item in verdict.nodes_fit] == ["n1"]
    everywhere = judge(
        Cluster(*zones("z1", "z2"), pods=[there, elsewhere]), 1, apart(HOST, namespaceSelector={})
    )
    assert everywhere.nodes_fit == []
    assert everywhere.excluded_by == {"anti_affinity": 2}


def test_others_may_avoid_us() -> None:
    hermit = pod("hermit", "n0", namespace="mine", **apart(ZONE))
    verdict = judge(Cluster(*zones("z1", "z1", "z2"), pods=[hermit]), 1, {})
    assert [item["node"] for item in verdict.nodes_fit] == ["n2"]
    stranger = pod("hermit", "n0", namespace="other", **apart(ZONE))
    assert len(judge(Cluster(*zones("z1", "z1"), pods=[stranger]), 1, {}).nodes_fit) == 2


def test_namespace_selector_reads_the_namespace() -> None:
    spec = apart(ZONE, namespaceSelector={"matchLabels": {"team": "a"}})
    hermit = pod("hermit", "n0", namespace="other", **spec)
    namespaces = [{"metadata": {"name": "mine", "labels": {"team": "a"}}}]
    cluster = Cluster(*zones("z1", "z2"), pods=[hermit], others={"/api/v1/namespaces": namespaces})
    assert [item["node"] for item in judge(cluster, 1, {}).nodes_fit] == ["n1"]


def test_affinity_to_others() -> None:
    cache = pod("cache", "n2", namespace="mine", labels={"app": "cache"})
    verdict = judge(Cluster(*zones("z1", None, "z2", "z2"), pods=[cache]), 1, near(ZONE, {"app": "cache"}))
    assert [item["node"] for item in verdict.nodes_fit] == ["n2", "n3"]
    alone = judge(Cluster(*zones("z1")), 1, near(ZONE, {"app": "cache"}))
    assert (alone.fits, alone.permanent) == (False, False)


def test_replicas_that_follow_the_first_one() -> None:
    verdict = judge(Cluster(*zones("z1", "z2")), 9, near(ZONE, APP))
    assert verdict.placeable == 8
    assert verdict.exact
    assert judge(Cluster(*zones("z1", "z2")), 8, near(ZONE, APP)).fits
    assert judge(Cluster(*zones("z1", "z1")), 9, near(ZONE, APP)).fits


def test_the_worst_place_of_the_first_replica_counts() -> None:
    cluster = Cluster(*zones("z1", "z2", None))
    cluster.lists["/api/v1/nodes"][1]["status"]["allocatable"]["nvidia.com/gpu"] = "3"
    verdict = judge(cluster, 5, near(ZONE, APP))
    assert (verdict.placeable, verdict.fits, verdict.permanent, verdict.exact) == (3, False, False, False)


def test_spread_stops_at_the_fullest_zone() -> None:
    cluster = Cluster(*zones("z1", "z2"))
    cluster.lists["/api/v1/nodes"][1]["status"]["allocatable"]["nvidia.com/gpu"] = "1"
    assert judge(cluster, 9, spread(ZONE)).placeable == 3
    assert judge(cluster, 9, spread(ZONE, skew=2)).placeable == 4


def test_spread_counts_what_is_there_but_not_what_goes() -> None:
    there = [pod(f"old-{index}", "n0", namespace="mine", labels=APP) for index in range(2)]
    nodes = zones("z1", "z2")
    verdict = judge(Cluster(*nodes, pods=there), 1, spread(ZONE))
    assert [item["node"] for item in verdict.nodes_fit] == ["n1"]
    assert verdict.excluded_by == {"spread": 1}
    going = [{**item, "metadata": {**item["metadata"], "deletionTimestamp": "now"}} for item in there]
    assert len(judge(Cluster(*nodes, pods=going), 1, spread(ZONE)).nodes_fit) == 2


def test_cordoned_zone_holds_the_minimum_down_unless_taints_are_honoured() -> None:
    taint = [{"key": "x", "effect": "NoSchedule"}]
    nodes = [*zones("z1"), node("n9", labels={ZONE: "z9"}, taints=taint)]
    assert judge(Cluster(*nodes), 9, spread(ZONE)).placeable == 1
    assert judge(Cluster(*nodes), 8, spread(ZONE, nodeTaintsPolicy="Honor")).fits


def test_too_few_domains() -> None:
    assert judge(Cluster(*zones("z1", "z2")), 4, spread(ZONE, minDomains=3)).placeable == 2


def test_spread_needs_the_key() -> None:
    verdict = judge(Cluster(*zones("z1", None)), 1, spread(ZONE))
    assert [item["node"] for item in verdict.nodes_fit] == ["n0"]


def test_label_keys_tell_a_new_revision_from_the_old_one() -> None:
    old = [pod(f"o{n}", "n0", namespace="mine", labels={**APP, "pod-template-hash": "a"}) for n in range(3)]
    cluster = Cluster(*zones("z1", "z2"), pods=old)
    assert len(judge(cluster, 1, spread(HOST)).nodes_fit) == 1
    assert len(judge(cluster, 1, spread(HOST, matchLabelKeys=["pod-template-hash"])).nodes_fit) == 2


def test_two_rules_over_two_keys_are_an_estimate() -> None:
    both = {"affinity": {"podAntiAffinity": {REQUIRED: [term(ZONE, APP), term("rack", APP)]}}}
    verdict = judge(Cluster(*zones("z1", "z2")), 2, both)
    assert not verdict.exact
    assert "estimate" in verdict.warnings[0]
