# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on small clusters in memory: fits, does not and why, may later, unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.capacity import Verdict, assess
from tests.support.kubernetes_objects import GPU, Cluster, container, node, pod, shape

QUOTAS = "/api/v1/namespaces/mine/resourcequotas"
INSTANCE = "app.kubernetes.io/instance"
HOSTNAME = "kubernetes.io/hostname"


def judge(
    cluster: Cluster, gpus: int = 1, replicas: int = 1, spec: dict[str, Any] | None = None, **more: Any
) -> Verdict:
    verdict = assess(cluster, shape(gpus, **(spec or {})), replicas, "mine", **more)
    json.dumps(verdict.as_result())
    return verdict


def gpu_quota(hard: str, used: str) -> dict[str, Any]:
    resource = f"requests.{GPU}"
    return {
        "metadata": {"name": "limits"},
        "spec": {"hard": {resource: hard}},
        "status": {"used": {resource: used}},
    }


def test_fits_and_says_where() -> None:
    verdict = judge(Cluster(node("a"), node("b", gpus=2), pods=[pod("p", "a", 6)]), gpus=2, replicas=2)
    assert verdict.fits
    assert verdict.placeable == 2
    assert [(item["node"], item["slots"], item["free"][GPU]) for item in verdict.nodes_fit] == [
        ("a", 1, "2"),
        ("b", 1, "2"),
    ]


def test_two_and_two_free_do_not_make_four() -> None:
    cluster = Cluster(
        node("gpu-06"), node("gpu-07"), node("cpu", gpus=0),
        pods=[
            pod("x", "gpu-06", 6, namespace="team-b"),
            pod("p1", "gpu-07", 4, namespace="team-a", labels={INSTANCE: "llama"}),
            pod("y", "gpu-07", 2, namespace="team-b"),
        ],
    )  # fmt: skip
    verdict = judge(cluster, gpus=4)
    assert (verdict.verdict, verdict.fits, verdict.permanent) == ("no_room", False, False)
    assert verdict.message == (
        "No room for 1 replica: 4 nvidia.com/gpu needed on one node. 2 nodes have nvidia.com/gpu, "
        "most free is 2 on gpu-07, held by team-a/llama (4), team-b/y (2)."
    )
    assert verdict.holders[0] == {"namespace": "team-b", "release": "x", "amount": 6}
    assert verdict.excluded_by == {"resource": 3}
    assert {"node": "gpu-06", "has": "2", "needs": "4"}.items() <= verdict.nodes_excluded[1].items()


def test_replicas_are_placed_together_not_one_by_one() -> None:
    verdict = judge(Cluster(node("a", gpus=4), node("b", gpus=4)), gpus=3, replicas=3)
    assert not verdict.fits
    assert verdict.placeable == 2
    assert verdict.permanent


def test_finished_pods_do_not_count_terminating_do() -> None:
    cluster = Cluster(
        node("a", gpus=2),
        pods=[pod("done", "a", 2, phase="Succeeded"), pod("failed", "a", 2, phase="Failed"),
              pod("going", "a", 1, deleted=True)],
    )  # fmt: skip
    assert judge(cluster, gpus=1).fits
    verdict = judge(cluster, gpus=2)
    assert verdict.verdict == "fits_after_termination"
    assert not verdict.permanent
    assert [item["pod"] for item in verdict.terminating] == ["going"]
    assert "1 nvidia.com/gpu come free when terminating pods end" in verdict.message


@pytest.mark.parametrize(
    ("spec", "gpus"),
    [({"nodeSelector": {"pool": "none"}}, 1), ({}, 9), ({"cpu": "33"}, 1), ({}, 16)],
)
def test_what_waiting_cannot_heal_is_permanent(spec: dict[str, Any], gpus: int) -> None:
    verdict = judge(Cluster(node("a"), pods=[pod("p", "a", 8)]), gpus=gpus, spec=spec)
    assert verdict.permanent
    assert "Waiting does not help" in verdict.resolution


@pytest.mark.parametrize(
    "made",
    [
        node("a", cordoned=True),
        node("a", ready=False, taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]),
    ],
)
def test_cordons_and_lost_nodes_may_heal(made: dict[str, Any]) -> None:
    verdict = judge(Cluster(made))
    assert (verdict.verdict, verdict.nodes_fit) == ("no_room", [])


def test_taint_of_somebody_does_not_heal_and_is_named() -> None:
    verdict = judge(Cluster(node("a", taints=[{"key": "team", "value": "b", "effect": "NoSchedule"}])))
    assert verdict.permanent
    assert "1 x has taint team=b:NoSchedule, which is not tolerated" in verdict.message


def test_devices_that_are_unhealthy_now_may_come_back() -> None:
    ill = node("a", gpus=7)
    ill["status"]["capacity"][GPU] = "8"
    verdict = judge(Cluster(ill), gpus=8)
    assert verdict.verdict == "no_room"
    shrinking = Cluster(node("a", gpus=8))
    assert judge(shrinking, gpus=8).fits
    shrinking.lists["/api/v1/nodes"] = [ill]
    assert not judge(shrinking, gpus=8).fits


def test_no_nodes_and_no_gpus_read_differently() -> None:
    assert "The cluster has no nodes" in judge(Cluster()).message
    verdict = judge(Cluster(node("a", gpus=0)))
    assert verdict.api["source"] == "none"
    assert "None of 1 eligible node has nvidia.com/gpu" in verdict.message


def test_update_without_surge_reuses_its_own_gpus_and_quota() -> None:
    mine = {"app.kubernetes.io/instance": "x"}
    old = pod("old", "a", 4, namespace="mine", labels=mine)
    cluster = Cluster(node("a", gpus=4), pods=[old], others={QUOTAS: [gpu_quota("4", "4")]})
    assert judge(cluster, gpus=4, releasing=mine).fits
    surging = judge(cluster, gpus=4)
    assert not surging.fits
    assert "ResourceQuota limits of namespace mine leaves room for 0 of 1 replica" in surging.message


def test_releasing_does_not_reach_into_other_namespaces() -> None:
    mine = {"app.kubernetes.io/instance": "x"}
    cluster = Cluster(node("a", gpus=4), pods=[pod("theirs", "a", 4, labels=mine)])
    assert not judge(cluster, gpus=4, releasing=mine).fits


@pytest.mark.parametrize(("hard", "word"), [("1", "never_fits"), ("2", "no_room"), ("3", "fits")])
def test_quota(hard: str, word: str) -> None:
    cluster = Cluster(node("a"), others={QUOTAS: [gpu_quota(hard, "1")]})
    verdict = judge(cluster, gpus=2)
    assert verdict.verdict == word
    assert verdict.quota[0]["hard"] == hard


def test_pending_pods_of_equal_priority_come_first_unless_the_scheduler_refused_them() -> None:
    waiting = pod("w", None, 2, phase="Pending")
    assert not judge(Cluster(node("a", gpus=2), pods=[waiting]), gpus=1).fits
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    refused = pod("w", None, 2, phase="Pending", status={"conditions": [condition]})
    verdict = judge(Cluster(node("a", gpus=2), pods=[refused]), gpus=1)
    assert verdict.fits
    assert verdict.pending[0]["ahead"] is False


@pytest.mark.parametrize(
    "waiting",
    [
        pod("low", None, 2, phase="Pending", priority=-10),
        pod("elsewhere", None, 2, phase="Pending", nodeSelector={"pool": "b"}),
        pod("gated", None, 2, phase="Pending", schedulingGates=[{"name": "kueue"}]),
        pod("going", None, 2, phase="Pending", deleted=True),
    ],
)
def test_pending_pods_that_cannot_take_our_place(waiting: dict[str, Any]) -> None:
    assert judge(Cluster(node("a", gpus=2), pods=[waiting]), gpus=2).fits


def test_nominated_pod_holds_its_node() -> None:
    nominated = pod("n", None, 2, phase="Pending", status={"nominatedNodeName": "a"})
    assert not judge(Cluster(node("a", gpus=2), pods=[nominated]), gpus=1).fits


def test_nominated_pod_keeps_others_away_already() -> None:
    term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": "llm"}}}
    rule: dict[str, Any] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    port: dict[str, Any] = {"containers": [container(ports=[{"containerPort": 80, "hostPort": 8000}])]}
    avoiding: dict[str, Any] = {"affinity": rule}
    for theirs, own in ((port, port), (avoiding, {})):
        nominated = pod(
            "n", None, 0, namespace="mine", phase="Pending", status={"nominatedNodeName": "a"}, **theirs
        )
        cluster = Cluster(node("a"), pods=[nominated])
        verdict = judge(cluster, spec={**own, "labels": {"app": "llm"}})
        assert not verdict.fits
        # The scheduler looks at no anti-affinity where nobody who is bound has any: it may place the pod.
        assert verdict.exact is (theirs is port)
    ours: dict[str, Any] = {"affinity": rule, "labels": {"app": "other"}}
    nominated = pod(
        "n", None, 0, namespace="mine", phase="Pending", status={"nominatedNodeName": "a"},
        labels={"app": "llm"},
    )  # fmt: skip
    assert not judge(Cluster(node("a"), pods=[nominated]), spec=ours).fits


def test_preemption_is_told_and_is_not_room() -> None:
    classes = [
        {"metadata": {"name": "high"}, "value": 100},
        {"metadata": {"name": "quiet"}, "value": 100, "preemptionPolicy": "Never"},
    ]
    others = {"/apis/scheduling.k8s.io/v1/priorityclasses": classes}
    cluster = Cluster(node("a", gpus=2), pods=[pod("low", "a", 2)], others=others)
    verdict = judge(cluster, gpus=2, spec={"priorityClassName": "high"})
    assert (verdict.verdict, verdict.fits, verdict.preemption) == ("fits_by_preemption", False, ["a"])
    assert judge(cluster, gpus=2, spec={"priorityClassName": "quiet"}).verdict == "no_room"
    missing = judge(cluster, gpus=2, spec={"priorityClassName": "nobody"})
    assert missing.permanent
    assert "PriorityClass nobody does not exist" in missing.message


def test_limit_range_defaults_and_bounds_change_the_pod() -> None:
    limits = {
        "limits": [
            {
                "type": "Container",
                "defaultRequest": {"cpu": "20"},
                "default": {"cpu": "20"},
                "max": {"memory": "1Gi"},
            }
        ]
    }
    ranges = [{"metadata": {"name": "r"}, "spec": limits}]
    cluster = Cluster(node("a"), others={"/api/v1/namespaces/mine/limitranges": ranges})
    verdict = judge(cluster)
    assert verdict.needs["cpu"] == "20"
    assert verdict.permanent
    assert "LimitRange r: container c has no memory limit, the maximum is 1Gi" in verdict.message


def test_runtime_class_overhead_and_selector() -> None:
    kata = {
        "metadata": {"name": "kata"},
        "overhead": {"podFixed": {"cpu": "1"}},
        "scheduling": {"nodeSelector": {"kata": "yes"}},
    }
    others = {"/apis/node.k8s.io/v1/runtimeclasses": [kata]}
    cluster = Cluster(node("a"), node("b", labels={"kata": "yes"}), others=others)
    verdict = judge(cluster, spec={"runtimeClassName": "kata"})
    assert [item["node"] for item in verdict.nodes_fit] == ["b"]
    assert verdict.needs["cpu"] == "1"


def test_not_ready_without_taint_is_what_the_scheduler_would_use_and_is_warned_of() -> None:
    verdict = judge(Cluster(node("a", ready=False)))
    assert verdict.fits
    assert "not Ready" in verdict.warnings[0]


@pytest.mark.parametrize(
    "labels",
    [
        {"nvidia.com/gpu.product": "NVIDIA-A100-SHARED"}, {"nvidia.com/gpu.replicas": "4"},
        {"nvidia.com/gpu.sharing-strategy": "time-slicing"},
        {"nvidia.com/gpu.product": "NVIDIA-A100-MIG-1g.10gb"},
    ],
)  # fmt: skip
def test_shared_gpus_are_refused_for_tensor_parallelism_only(labels: dict[str, str]) -> None:
    cluster = Cluster(node("a", labels=labels))
    assert judge(cluster, gpus=1).fits
    assert judge(cluster, gpus=2, whole_devices=False).fits
    verdict = judge(cluster, gpus=2)
    assert verdict.permanent
    assert verdict.excluded_by == {"shared_gpu": 1}
    assert not judge(cluster, gpus=1, whole_devices=True).fits


def test_mig_slices_have_their_own_name() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    cluster = Cluster(node("a", gpus=7, resource=mig))
    asked = {"containers": [container(limits={mig: "1"})]}
    assert judge(cluster, spec=asked, replicas=7).fits
    assert not judge(cluster).fits
    two = {"containers": [container(limits={mig: "2"})]}
    assert judge(cluster, spec=two).excluded_by == {"shared_gpu": 1}


def test_dynamic_resource_allocation_is_told_apart_from_nothing_free() -> None:
    slices = [{"spec": {"driver": "gpu.nvidia.com", "devices": [{}, {}]}}]
    dra = "/apis/resource.k8s.io/v1"
    others: dict[str, list[dict[str, Any]]] = {
        f"{dra}/deviceclasses": [],
        f"{dra}/resourceslices": slices,
        dra: [],
    }
    verdict = judge(Cluster(node("a", gpus=0), others=others))
    assert verdict.api["source"] == "dra"
    assert "2 of gpu.nvidia.com" in verdict.message
    both = judge(Cluster(node("a", gpus=1), others=others))
    assert both.api["source"] == "device-plugin"
    assert both.fits
    others[f"{dra}/deviceclasses"] = [{"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": GPU}}]
    with pytest.raises(PlatformError, match="Capacity is unknown") as caught:
        judge(Cluster(node("a", gpus=0), others=others))
    assert caught.value.details["verdict"] == "unknown"
    with pytest.raises(PlatformError, match="resource claims"):
        judge(Cluster(node("a")), spec={"resourceClaims": [{"name": "gpu"}]})


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"), ("/api/v1/pods", "pods"), (QUOTAS, "resourcequotas"),
        ("/api/v1/namespaces/mine/limitranges", "limitranges"),
    ],
)  # fmt: skip
def test_missing_right_is_unknown_and_never_zero(path: str, resource: str) -> None:
    with pytest.raises(PlatformError, match="Capacity is unknown") as caught:
        judge(Cluster(node("a"), forbidden=(path,)))
    assert caught.value.error_class.value == "auth"
    assert caught.value.details["missing_right"]["resource"] == resource
    assert f"list {resource}" in caught.value.resolution


def test_negative_replicas() -> None:
    with pytest.raises(PlatformError, match="replicas: -1 is negative"):
        judge(Cluster(node("a")), replicas=-1)


def test_no_replicas_always_fit() -> None:
    assert judge(Cluster(), replicas=0).fits


CLAIMS = "/api/v1/namespaces/mine/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
WITH_CLAIM: dict[str, Any] = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "weights"}}]}


def claim(volume: str | None = None, mode: str = "ReadWriteMany", **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": [mode], **({"volumeName": volume} if volume else {}), **spec}
    return {"metadata": {"name": "weights"}, "spec": wanted}


def local_volume(on: str, **spec: Any) -> dict[str, Any]:
    match = {"key": HOSTNAME, "operator": "In", "values": [on]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [match]}]}}
    return {
        "metadata": {"name": "pv"},
        "spec": {"nodeAffinity": affinity, **spec},
        "status": {"phase": "Available"},
    }


def test_volume_binds_the_pod_to_its_node() -> None:
    others = {CLAIMS: [claim("pv")], VOLUMES: [local_volume("b")]}
    verdict = judge(Cluster(node("a"), node("b"), others=others), spec=WITH_CLAIM)
    assert [item["node"] for item in verdict.nodes_fit] == ["b"]
    assert verdict.excluded_by == {"volume": 1}


def test_volume_zone_label() -> None:
    zone = "topology.kubernetes.io/zone"
    volume = {"metadata": {"name": "pv", "labels": {zone: "z1__z2"}}, "spec": {}}
    nodes = [node("a", labels={zone: "z1"}), node("b", labels={zone: "z3"}), node("c")]
    verdict = judge(Cluster(*nodes, others={CLAIMS: [claim("pv")], VOLUMES: [volume]}), spec=WITH_CLAIM)
    assert [item["node"] for item in verdict.nodes_fit] == ["a", "c"]


def test_claim_that_is_missing_unless_the_release_brings_it() -> None:
    verdict = judge(Cluster(node("a")), spec=WITH_CLAIM)
    assert verdict.permanent
    assert "PersistentVolumeClaim weights does not exist in namespace mine" in verdict.message
    assert judge(Cluster(node("a")), spec=WITH_CLAIM, planned_claims=("weights",)).fits


def test_claim_that_an_earlier_release_left_binds_the_pod_like_any_other() -> None:
    others = {CLAIMS: [claim("pv")], VOLUMES: [local_volume("b")]}
    cluster = Cluster(node("a"), node("b"), others=others)
    verdict = judge(cluster, spec=WITH_CLAIM, planned_claims=("weights",))
    assert [item["node"] for item in verdict.nodes_fit] == ["b"]


def test_claim_that_goes_away_is_waited_for_only_where_the_release_brings_the_next() -> None:
    going = claim("pv")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = Cluster(node("a"), others={CLAIMS: [going]})
    verdict = judge(cluster, spec=WITH_CLAIM, planned_claims=("weights",))
    assert (verdict.verdict, verdict.permanent) == ("no_room", False)
    assert judge(cluster, spec=WITH_CLAIM).permanent


def storage_class(name: str, *, default: bool = False, beta: bool = False, **more: Any) -> dict[str, Any]:
    kind = "storageclass.beta" if beta else "storageclass"
    annotations = {f"{kind}.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": "csi.example", **more}


@pytest.mark.parametrize(
    ("wanted", "classes", "said"),
    [
        ({"storageClassName": "fast"}, [storage_class("fast")], ""),
        (
            {"storageClassName": "fast"},
            [storage_class("slow", default=True)],
            "StorageClass fast does not exist",
        ),
        ({}, [storage_class("slow", default=True)], ""),
        ({}, [storage_class("slow")], "there is no default StorageClass"),
        ({}, [storage_class("old", default=True, beta=True)], ""),
        ({"storageClassName": ""}, [], "no volume without a class is free"),
    ],
)
def test_a_volume_that_each_pod_brings_needs_a_class_that_exists(
    wanted: dict[str, Any], classes: list[dict[str, Any]], said: str
) -> None:
    spec = {"volumes": [{"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": wanted}}}]}
    verdict = judge(Cluster(node("a"), others={CLASSES: classes}), spec=spec)
    assert (verdict.verdict, verdict.permanent) == ("no_room" if said else "fits", False)
    assert said in verdict.message


def test_a_volume_that_nobody_makes_has_to_be_there() -> None:
    wanted = {"storageClassName": "manual", "accessModes": ["ReadWriteOnce"]}
    spec = {"volumes": [{"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": wanted}}}]}
    nodes = (node("a"), node("b"))
    volume = local_volume("b", storageClassName="manual", accessModes=["ReadWriteOnce"])
    local = storage_class("manual") | {"provisioner": "kubernetes.io/no-provisioner"}
    for classes in ([], [local]):
        verdict = judge(Cluster(*nodes, others={CLASSES: classes, VOLUMES: [volume]}), spec=spec)
        assert [item["node"] for item in verdict.nodes_fit] == ["b"]
    assert not judge(Cluster(*nodes, others={CLASSES: [local]}), spec=spec).fits


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}, "gates are gone"),
        ({"schedulerName": "volcano"}, "scheduler volcano places the pods"),
        (
            {"containers": [container(limits={"deviceclass.resource.kubernetes.io/gpu": "1"})]},
            "deviceclass.resource.kubernetes.io/gpu is served by dynamic resource allocation",
        ),
    ],
)
def test_what_the_scheduler_s_rules_for_nodes_do_not_decide_is_unknown(
    spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlatformError, match=said) as caught:
        judge(Cluster(node("a")), spec=spec)
    assert caught.value.details["verdict"] == "unknown"


def test_the_default_scheduler_may_be_named() -> None:
    assert judge(Cluster(node("a")), spec={"schedulerName": "default-scheduler"}).fits


def test_unbound_claims_by_binding_mode() -> None:
    waiting = claim(storageClassName="local", resources={"requests": {"storage": "1Gi"}})
    local = {
        "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    volume = local_volume(
        "b", storageClassName="local", accessModes=["ReadWriteMany"], capacity={"storage": "2Gi"}
    )
    others = {CLAIMS: [waiting], CLASSES: [local], VOLUMES: [volume]}
    verdict = judge(Cluster(node("a"), node("b"), others=others), spec=WITH_CLAIM)
    assert [item["node"] for item in verdict.nodes_fit] == ["b"]
    immediate = judge(
        Cluster(node("a"), others={**others, CLASSES: [{**local, "volumeBindingMode": "Immediate"}]}),
        spec=WITH_CLAIM,
    )
    assert (immediate.verdict, immediate.permanent) == ("no_room", False)
    zone = {"matchLabelExpressions": [{"key": "zone", "values": ["z1"]}]}
    provisioned = {**local, "provisioner": "csi", "allowedTopologies": [zone]}
    elsewhere = judge(
        Cluster(node("a"), node("b", labels={"zone": "z1"}), others={**others, CLASSES: [provisioned]}),
        spec=WITH_CLAIM,
    )
    assert [item["node"] for item in elsewhere.nodes_fit] == ["b"]


def own_volume(storage_class: str, **more: Any) -> dict[str, Any]:
    wanted = {"storageClassName": storage_class, "accessModes": ["ReadWriteOnce"], **more}
    return {"volumes": [{"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": wanted}}}]}


def local_volumes(**places: str) -> list[dict[str, Any]]:
    """Return volumes on nodes: name -> node."""
    common = {"storageClassName": "local", "accessModes": ["ReadWriteOnce"]}
    return [
        {**local_volume(on, **common, capacity={"storage": "1Gi"}), "metadata": {"name": name}}
        for name, on in places.items()
    ]


LOCAL = {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
LATE = {**LOCAL, "volumeBindingMode": "WaitForFirstConsumer"}


def test_each_pod_uses_up_a_volume_that_it_brings() -> None:
    others = {CLASSES: [LATE], VOLUMES: local_volumes(one="a", two="b")}
    cluster = Cluster(node("a"), node("b"), node("c"), others=others)
    assert judge(cluster, replicas=2, spec=own_volume("local")).fits
    verdict = judge(cluster, replicas=3, spec=own_volume("local"))
    assert (verdict.verdict, verdict.placeable, verdict.exact) == ("never_fits", 2, True)
    assert "Each pod needs a volume of its own, and 2 are there" in verdict.message


def test_two_claims_that_want_the_same_volumes_are_unknown() -> None:
    one = own_volume("local")["volumes"][0]
    spec = {"volumes": [one, {**one, "name": "adapters"}]}
    others = {CLASSES: [LATE], VOLUMES: local_volumes(one="a", two="b")}
    with pytest.raises(PlatformError, match="out of the same PersistentVolumes"):
        judge(Cluster(node("a"), node("b"), others=others), spec=spec)


def test_a_claim_that_is_mounted_twice_is_one() -> None:
    waiting = claim(storageClassName="local", resources={"requests": {"storage": "1Gi"}})
    volume = local_volume(
        "b", storageClassName="local", accessModes=["ReadWriteMany"], capacity={"storage": "2Gi"}
    )
    others = {CLAIMS: [waiting], CLASSES: [LATE], VOLUMES: [volume]}
    twice = {"volumes": [*WITH_CLAIM["volumes"], {**WITH_CLAIM["volumes"][0], "name": "adapters"}]}
    verdict = judge(Cluster(node("a"), node("b"), others=others), spec=twice)
    assert [item["node"] for item in verdict.nodes_fit] == ["b"]


def test_a_volume_that_is_bound_early_may_be_where_no_room_is() -> None:
    small, large = local_volumes(small="a", large="b")
    large["spec"]["capacity"] = {"storage": "2Gi"}
    others = {CLASSES: [LOCAL], VOLUMES: [large, small]}
    full = Cluster(node("a"), node("b"), pods=[pod("p", "a", 8)], others=others)
    assert (judge(full, spec=own_volume("local")).placeable) == 0
    assert judge(Cluster(node("a"), node("b"), others=others), spec=own_volume("local")).fits
    large["spec"]["capacity"] = {"storage": "1Gi"}
    either = judge(Cluster(node("a"), node("b"), others=others), spec=own_volume("local"))
    assert (either.verdict, either.placeable, either.exact) == ("no_room", 0, False)


def test_a_volume_has_to_be_what_the_claim_selects() -> None:
    spec = own_volume("", selector={"matchLabels": {"tier": "fast"}})
    volume = local_volumes(one="a")[0]
    del volume["spec"]["storageClassName"]
    cluster = Cluster(node("a"), others={VOLUMES: [volume]})
    assert not judge(cluster, spec=spec).fits
    volume["metadata"]["labels"] = {"tier": "fast"}
    assert judge(cluster, spec=spec).fits


def test_the_first_pod_decides_where_the_shared_volume_is() -> None:
    shared = claim(storageClassName="local", mode="ReadWriteOnce")
    others = {CLAIMS: [shared], CLASSES: [LATE], VOLUMES: local_volumes(one="a", two="b")}
    cluster = Cluster(node("a", gpus=2), node("b", gpus=1), others=others)
    verdict = judge(cluster, replicas=3, spec=WITH_CLAIM)
    assert (verdict.placeable, verdict.exact) == (1, False)
    assert judge(cluster, spec=WITH_CLAIM).fits


def csi_node(name: str, count: int | None) -> dict[str, Any]:
    allocatable = {} if count is None else {"allocatable": {"count": count}}
    return {"metadata": {"name": name}, "spec": {"drivers": [{"name": "csi.example", **allocatable}]}}


def csi_cluster(**counts: int | None) -> Cluster:
    """Return nodes with a volume limit each; a pod on ``a`` has attached one volume, ``weights`` another."""
    volumes = [
        {"metadata": {"name": name}, "spec": {"csi": {"driver": "csi.example", "volumeHandle": name}}}
        for name in ("old", "pv")
    ]
    taken = {"metadata": {"name": "old", "namespace": "other"}, "spec": {"volumeName": "old"}}
    ours = claim("pv")
    ours["metadata"]["namespace"] = "mine"
    others = {
        VOLUMES: volumes,
        CLAIMS: [ours],
        "/api/v1/persistentvolumeclaims": [taken, ours],
        CLASSES: [storage_class("fast")],
        "/apis/storage.k8s.io/v1/csinodes": [csi_node(name, count) for name, count in counts.items()],
        "/apis/storage.k8s.io/v1/csidrivers": [],
    }
    mounting: dict[str, Any] = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "old"}}]}
    return Cluster(
        *(node(name) for name in counts), pods=[pod("p", "a", 0, **mounting)] if counts else [], others=others
    )


def test_a_node_attaches_only_so_many_volumes() -> None:
    verdict = judge(csi_cluster(a=1), spec=WITH_CLAIM)
    assert (verdict.verdict, verdict.excluded_by) == ("no_room", {"volume_limit": 1})
    assert "has as many volumes attached as its driver allows" in verdict.message
    assert judge(csi_cluster(a=2), replicas=8, spec=WITH_CLAIM).fits
    assert judge(csi_cluster(a=None), replicas=8, spec=WITH_CLAIM).fits
    each = judge(csi_cluster(a=3, b=1), replicas=4, spec=own_volume("fast"))
    assert (each.placeable, [item["slots"] for item in each.nodes_fit]) == (3, [2, 1])


def test_what_is_attached_without_a_pod_counts_too() -> None:
    cluster = csi_cluster(b=1)
    spec = {"nodeName": "b", "source": {"persistentVolumeName": "old"}}
    cluster.lists["/apis/storage.k8s.io/v1/volumeattachments"] = [{"spec": spec}]
    assert judge(cluster, spec=WITH_CLAIM).excluded_by == {"volume_limit": 1}


def test_a_driver_that_its_pods_cannot_do_without() -> None:
    cluster = csi_cluster(a=9)
    cluster.lists["/api/v1/nodes"].append(node("without"))
    assert len(judge(cluster, spec=WITH_CLAIM).nodes_fit) == 2
    demanding = {"metadata": {"name": "csi.example"}, "spec": {"preventPodSchedulingIfMissing": True}}
    cluster.lists["/apis/storage.k8s.io/v1/csidrivers"].append(demanding)
    assert [item["node"] for item in judge(cluster, spec=WITH_CLAIM).nodes_fit] == ["a"]


def test_single_pod_and_single_node_claims() -> None:
    volume = {"metadata": {"name": "pv"}, "spec": {}}
    user = pod("u", "a", namespace="mine", **WITH_CLAIM)
    once = {CLAIMS: [claim("pv", "ReadWriteOncePod")], VOLUMES: [volume]}
    assert judge(Cluster(node("a"), others=once), spec=WITH_CLAIM).fits
    assert judge(Cluster(node("a"), others=once), spec=WITH_CLAIM, replicas=2).placeable == 1
    assert "ReadWriteOncePod" in judge(Cluster(node("a"), pods=[user], others=once), spec=WITH_CLAIM).message
    one_node = {CLAIMS: [claim("pv", "ReadWriteOnce")], VOLUMES: [volume]}
    verdict = judge(Cluster(node("a"), pods=[user], others=one_node), spec=WITH_CLAIM)
    assert verdict.fits
    assert "mounted on a" in verdict.warnings[0]


def test_result_is_bounded_on_large_clusters_but_counts_are_complete() -> None:
    nodes = [node(f"n{number}", gpus=number % 2 * 8) for number in range(500)]
    verdict = judge(Cluster(*nodes))
    assert len(verdict.nodes_fit) == len(verdict.nodes_excluded) == 50
    assert verdict.excluded_by == {"resource": 250}
    assert len(verdict.message) < 300
