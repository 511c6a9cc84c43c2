# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random small clusters with one question each: would these replicas be placed?

Every case lives on nodes of its own, told apart by a label, so that many share one real cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

JSONObject = dict[str, Any]

#: Keeps everybody else's pods off the nodes of the test.
FENCE = {"key": "llmops.platform/capacity-test", "effect": "NoSchedule"}
CASE = "llmops.platform/case"
RUN = "llmops.platform/capacity-run"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-1g.10gb"
_TAINTS = (
    {"key": "team", "value": "a", "effect": "NoSchedule"},
    {"key": "team", "value": "b", "effect": "NoExecute"},
    {"key": "spot", "effect": "NoSchedule"},
    {"key": "spot", "effect": "PreferNoSchedule"},
)
_TOLERATIONS = (
    {"key": "team", "operator": "Equal", "value": "a", "effect": "NoSchedule"},
    {"key": "team", "operator": "Exists"},
    {"key": "spot", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
)
_CPU = ("100m", "250m", "0.5", "1", "1500m", "2", "3")
_MEMORY = ("128Mi", "500M", "1Gi", "2Gi", "4G", "1.5Gi")
_DISK = ("1Gi", "2G", "5Gi")

_RESIZED = 0.08
#: The share of each among cases without limits of their own, which have at most one of those below the first
SHARES = {
    "nominated": 0.1,
    "gated": 0.03,
    "foreign": 0.03,
    "devices": 0.04,
    "attachments": 0.09,
    "volumes": 0.15,
}
STORAGE = "/apis/storage.k8s.io/v1"
CSI_NODES = f"{STORAGE}/csinodes"
CLASSES = f"{STORAGE}/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
_DEVICES = "/apis/resource.k8s.io/v1"
SLICES = f"{_DEVICES}/resourceslices"
#: A resource of which a node has one, so that who wants it has to evict who has it
SEAT = "llmops.platform/seat"
DRIVER = "capacity.llmops.platform"
UNPROVISIONED = "kubernetes.io/no-provisioner"


@dataclass
class Case:
    """One cluster, and pods that want a place in it."""

    name: str
    run: str
    namespace: str
    nodes: list[JSONObject] = field(default_factory=list)
    #: Bound pods, created in this order; ``finished`` and ``terminating`` name some of them
    pods: list[JSONObject] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    terminating: list[str] = field(default_factory=list)
    releasing: dict[str, str] | None = None
    template: JSONObject = field(default_factory=dict)
    replicas: int = 1
    quota: JSONObject | None = None
    limit_range: JSONObject | None = None
    #: What has to be there before the pods: (path of the list, object)
    objects: list[tuple[str, JSONObject]] = field(default_factory=list)
    #: Bound pod -> what its node says of a resize in place
    resized: dict[str, JSONObject] = field(default_factory=dict)
    #: Pods that evict one which never ends, so that their place is kept for them
    nominated: list[JSONObject] = field(default_factory=list)
    #: Classes of which the test makes the volumes, as a driver does -> whether it waits for the pod's node
    provisioned: dict[str, bool] = field(default_factory=dict)

    @property
    def own_namespace(self) -> bool:
        """Whether the case has limits and therefore a namespace of its own."""
        return self.quota is not None or self.limit_range is not None


def make_case(rng: Random, run: str, number: int, shared_namespace: str) -> Case:
    """Return a random case; the same generator state makes the same case."""
    name = f"{run}-{number}"
    case = Case(name, run, shared_namespace, replicas=rng.choice((1, 1, 2, 2, 3, 4)))
    if rng.random() < 0.14:
        case.namespace = f"capacity-{name}"
        _limit(case, rng)
    for index in range(rng.choice((1, 2, 3, 3, 4, 5))):
        _add_node(case, rng, f"ct-{name}-{index}")
    for item in list(case.nodes):
        for _ in range(rng.choice((0, 1, 2, 3, 4))):
            _add_pod(case, rng, item["metadata"]["name"])
    if not case.own_namespace and rng.random() < 0.1:
        case.releasing = {"app": f"{case.name}-old"}
        case.terminating = []
        for pod in case.pods:
            pod["metadata"].pop("finalizers", None)
    case.template = _template(case, rng)
    if not case.own_namespace:
        _add_rarer(case, rng, number)
    return case


def _add_rarer(case: Case, rng: Random, number: int) -> None:
    """Add what only some clusters have.

    Which of the kinds that exclude each other it is goes by the number: a run has its share of each, and
    never none by chance.
    """
    for pod in case.pods:
        if rng.random() < _RESIZED:
            case.resized[pod["metadata"]["name"]] = _resize(rng, pod["spec"])
    if rng.random() < SHARES["nominated"]:
        _add_nominated(case, rng)
    choice = number * 61 % 100 / 100
    for kind, add in _ONE_OF.items():
        if choice < SHARES[kind]:
            spec = case.template["spec"]
            if rng.random() < 0.7:
                # Else it is mostly the other rules that decide.
                for rule in ("affinity", "topologySpreadConstraints", "initContainers"):
                    spec.pop(rule, None)
                spec["nodeSelector"] = {CASE: case.name}
                spec["containers"][0]["resources"] = {"requests": {"cpu": "100m"}, "limits": {}}
            add(case, rng)
            # Evictions are foretold from resources only.
            spec["priorityClassName"] = f"capacity-quiet-{case.run}"
            return
        choice -= SHARES[kind]


def kinds(case: Case) -> set[str]:
    """Return which of the rarer things a case has, read from the case itself."""
    spec = case.template["spec"]
    volumes = spec.get("volumes") or ()
    limits = [path for path, _item in case.objects if path == CSI_NODES]
    found = {
        "resized": bool(case.resized),
        "nominated": bool(case.nominated),
        "gated": bool(spec.get("schedulingGates")),
        "foreign": "schedulerName" in spec,
        "devices": any(path == SLICES for path, _item in case.objects),
        "attachments": bool(limits),
        "volumes": bool(volumes) and not limits,
    }
    return {kind for kind, there in found.items() if there}


def _limit(case: Case, rng: Random) -> None:
    if rng.random() < 0.7:
        hard = {
            "pods": str(rng.randint(1, 8)),
            "requests.cpu": str(rng.randint(2, 12)),
            "limits.memory": f"{rng.randint(2, 16)}Gi",
            f"requests.{GPU}": str(rng.randint(0, 10)),
            "requests.ephemeral-storage": f"{rng.randint(2, 20)}Gi",
        }
        chosen = rng.sample(sorted(hard), rng.randint(1, 2))
        spec: JSONObject = {"hard": {name: hard[name] for name in chosen}}
        if set(chosen) <= {"pods", "requests.cpu", "limits.memory"} and rng.random() < 0.2:
            spec["scopes"] = [rng.choice(("NotBestEffort", "NotTerminating"))]
        case.quota = {"metadata": {"name": "quota"}, "spec": spec}
    if case.quota is None or rng.random() < 0.4:
        rule = {
            "type": "Container",
            "default": {"cpu": "2", "memory": "2Gi"},
            "defaultRequest": {"cpu": "700m", "memory": "1Gi"},
        }
        if rng.random() < 0.4:
            rule["max"] = {"cpu": "2500m"}
        case.limit_range = {"metadata": {"name": "range"}, "spec": {"limits": [rule]}}


def _add_node(case: Case, rng: Random, name: str) -> None:
    labels = {CASE: case.name, RUN: case.run, HOSTNAME: name}
    if rng.random() < 0.85:
        labels[ZONE] = f"{case.name}-{rng.choice('abc')}"
    if rng.random() < 0.7:
        labels["pool"] = rng.choice(("a", "b"))
    if rng.random() < 0.7:
        labels["generation"] = rng.choice(("1", "5", "9", "03", "ampere"))
    amounts = {
        "cpu": rng.choice(("4", "7920m", "16", "16")),
        "memory": rng.choice(("8G", "16Gi", "32Gi", "64Gi")),
        "ephemeral-storage": rng.choice(("6Gi", "20Gi", "100Gi")),
        "pods": str(rng.choice((3, 5, 8, 110, 110, 110))),
        GPU: str(rng.choice((0, 2, 4, 8, 8, 8))),
    }
    if rng.random() < 0.3:
        amounts[MIG] = str(rng.randint(1, 7))
    ready = rng.random() > 0.08
    taints = [FENCE, *rng.sample(_TAINTS, 1 if rng.random() < 0.3 else 0)]
    # KWOK keeps the nodes that carry its annotation Ready; the others stay as they are made.
    annotations = {"kwok.x-k8s.io/node": "fake"} if ready else {}
    status = "True" if ready else "False"
    case.nodes.append(
        {
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {"taints": taints, "unschedulable": rng.random() < 0.1},
            "status": {
                "allocatable": amounts,
                "capacity": amounts,
                "conditions": [{"type": "Ready", "status": status, "reason": "Test"}],
            },
        }
    )


def _resources(rng: Random, *, main: bool) -> JSONObject:
    requests: dict[str, str] = {}
    if rng.random() < 0.8:
        requests["cpu"] = rng.choice(_CPU)
    if rng.random() < 0.7:
        requests["memory"] = rng.choice(_MEMORY)
    if rng.random() < 0.3:
        requests["ephemeral-storage"] = rng.choice(_DISK)
    limits = dict(requests) if rng.random() < 0.5 else {}
    if main and rng.random() < 0.7:
        name = MIG if rng.random() < 0.15 else GPU
        limits[name] = str(rng.choice((1, 1, 1, 2, 2, 4)))
    if limits and rng.random() < 0.3:
        # The API server turns a limit without request into a request.
        requests = {}
    else:
        requests |= {name: amount for name, amount in limits.items() if "/" in name}
    return {"requests": requests, "limits": limits}


def _containers(rng: Random, *, ports: bool) -> JSONObject:
    spec: JSONObject = {
        "containers": [{"name": "main", "image": "none", "resources": _resources(rng, main=True)}]
    }
    if rng.random() < 0.2:
        extra = {"name": "second", "image": "none", "resources": _resources(rng, main=False)}
        spec["containers"].append(extra)
    if rng.random() < 0.35:
        spec["initContainers"] = [
            {
                "name": f"init-{index}",
                "image": "none",
                "resources": _resources(rng, main=rng.random() < 0.3),
                **({"restartPolicy": "Always"} if rng.random() < 0.5 else {}),
            }
            for index in range(rng.randint(1, 3))
        ]
    if ports:
        port = {
            "containerPort": 80,
            "hostPort": rng.choice((8000, 8001)),
            "protocol": rng.choice(("TCP", "UDP")),
        }
        if rng.random() < 0.3:
            port["hostIP"] = rng.choice(("127.0.0.1", "127.0.0.2"))
        spec["containers"][0]["ports"] = [port]
    return spec


def _add_pod(case: Case, rng: Random, node: str) -> None:
    name = f"p-{case.name}-{len(case.pods)}"
    labels = {CASE: case.name, RUN: case.run, "app": f"{case.name}-{rng.choice(('old', 'cache', 'db'))}"}
    spec = {
        **_containers(rng, ports=rng.random() < 0.15),
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    low = rng.random() < 0.3
    if not low and rng.random() < 0.12:
        # Existing pods may keep the new ones away.
        spec["affinity"] = {"podAntiAffinity": {_REQUIRED: [_pod_term(rng, f"{case.name}-new")]}}
    metadata: JSONObject = {"name": name, "labels": labels}
    if low:
        spec["priorityClassName"] = f"capacity-low-{case.run}"
    elif not case.own_namespace:
        fate = rng.random()
        if fate < 0.12:
            case.finished.append(name)
        elif fate < 0.24:
            case.terminating.append(name)
            metadata["finalizers"] = ["llmops.platform/capacity-test"]
    if rng.random() < 0.1:
        spec["runtimeClassName"] = f"capacity-{case.run}"
    case.pods.append({"metadata": metadata, "spec": spec})


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _pod_term(rng: Random, app: str) -> JSONObject:
    selector = rng.choice(
        (
            {"matchLabels": {"app": app}},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": [app, "nobody"]}]},
        )
    )
    return {"topologyKey": rng.choice((HOSTNAME, ZONE)), "labelSelector": selector}


def _node_expression(rng: Random, case: Case) -> JSONObject:
    kind = rng.random()
    if kind < 0.35:
        operator = rng.choice(("Gt", "Lt"))
        return {"key": "generation", "operator": operator, "values": [rng.choice(("0", "4", "7"))]}
    if kind < 0.7:
        return {"key": "pool", "operator": rng.choice(("In", "NotIn")), "values": [rng.choice("ab")]}
    return {
        "key": rng.choice(("pool", "generation", ZONE)),
        "operator": rng.choice(("Exists", "DoesNotExist")),
    }


def _template(case: Case, rng: Random) -> JSONObject:
    app = f"{case.name}-new"
    spec: JSONObject = {
        **_containers(rng, ports=rng.random() < 0.08),
        "nodeSelector": {CASE: case.name},
        "tolerations": [{**FENCE, "operator": "Exists"}, *rng.sample(_TOLERATIONS, rng.choice((0, 0, 1, 2)))],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    if rng.random() < 0.2:
        spec["nodeSelector"]["pool"] = rng.choice("ab")
    affinity: JSONObject = {}
    if rng.random() < 0.25:
        terms: list[JSONObject] = [
            {"matchExpressions": [_node_expression(rng, case) for _ in range(rng.randint(1, 2))]}
            for _ in range(rng.randint(1, 2))
        ]
        if rng.random() < 0.2:
            named = rng.choice(case.nodes)["metadata"]["name"]
            terms.append({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [named]}]})
        affinity["nodeAffinity"] = {_REQUIRED: {"nodeSelectorTerms": terms}}
    rule = rng.random()
    if rule < 0.1:
        affinity["podAntiAffinity"] = {_REQUIRED: [_pod_term(rng, app)]}
    elif rule < 0.16:
        affinity["podAntiAffinity"] = {_REQUIRED: [_pod_term(rng, f"{case.name}-cache")]}
    elif rule < 0.24:
        affinity["podAffinity"] = {_REQUIRED: [_pod_term(rng, f"{case.name}-{rng.choice(('cache', 'new'))}")]}
    elif rule < 0.36:
        spec["topologySpreadConstraints"] = [_spread(rng, app)]
    if affinity:
        spec["affinity"] = affinity
    if rng.random() < 0.1:
        spec["runtimeClassName"] = f"capacity-{case.run}"
    repelled = any("affinity" in pod["spec"] for pod in case.pods)
    # Here terminating pods never end, and the scheduler would wait for them after an eviction.
    if rule < 0.36 or repelled or case.terminating or "ports" in spec["containers"][0]:
        # Evictions are foretold from resources only: with rules between pods nobody is evicted.
        spec["priorityClassName"] = f"capacity-quiet-{case.run}"
    elif rng.random() < 0.35:
        spec["priorityClassName"] = f"capacity-high-{case.run}"
    return {"metadata": {"labels": {CASE: case.name, RUN: case.run, "app": app}}, "spec": spec}


def _spread(rng: Random, app: str) -> JSONObject:
    constraint: JSONObject = {
        "maxSkew": rng.choice((1, 1, 2)),
        "topologyKey": rng.choice((HOSTNAME, ZONE)),
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": app}},
    }
    if rng.random() < 0.25:
        constraint["minDomains"] = rng.randint(1, 3)
    if rng.random() < 0.3:
        constraint["nodeTaintsPolicy"] = "Honor"
    return constraint


def _resize(rng: Random, spec: JSONObject) -> JSONObject:
    """Return the status of a pod that is resized in place: granted and held differ from what is wanted."""
    status: JSONObject = {}
    for key, containers in (
        ("containerStatuses", spec["containers"]),
        ("initContainerStatuses", spec.get("initContainers") or ()),
    ):
        status[key] = [_container_status(rng, container) for container in containers]
    if rng.random() < 0.25:
        # Newer nodes say it of the pod as a whole too, and that counts.
        status["allocatedResources"] = {"cpu": rng.choice(_CPU), "memory": rng.choice(_MEMORY)}
        held = {"cpu": rng.choice(_CPU), "memory": rng.choice(_MEMORY)}
        status["resources"] = {"requests": held}
    reason = rng.choice(("Infeasible", "Infeasible", "Deferred", ""))
    if reason:
        status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    return status


def _container_status(rng: Random, container: JSONObject) -> JSONObject:
    resources = container["resources"]
    wanted = {**resources["limits"], **resources["requests"]}
    status: JSONObject = {"name": container["name"], "image": "none", "imageID": "none"}
    for key in ("allocatedResources", "resources"):
        amounts = dict(wanted)
        if rng.random() < 0.7:
            amounts |= {"cpu": rng.choice(_CPU), "memory": rng.choice(_MEMORY)}
        if rng.random() < 0.85:
            status[key] = {"requests": amounts} if key == "resources" else amounts
    return status


def _add_nominated(case: Case, rng: Random) -> None:
    node = rng.choice(case.nodes)
    node["status"]["allocatable"][SEAT] = "1"
    name = node["metadata"]["name"]
    common = {"tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": False}
    seat = {"requests": {SEAT: "1"}, "limits": {SEAT: "1"}}
    victim = {
        **common,
        "nodeName": name,
        "containers": [{"name": "main", "image": "none", "resources": seat}],
        "terminationGracePeriodSeconds": 0,
        "priorityClassName": f"capacity-low-{case.run}",
    }
    labels = {CASE: case.name, RUN: case.run}
    metadata = {
        "name": f"p-{case.name}-victim",
        "labels": {**labels, "app": "victim"},
        "finalizers": ["llmops.platform/capacity-test"],
    }
    case.pods.append({"metadata": metadata, "spec": victim})
    amounts = {SEAT: "1", "cpu": rng.choice(_CPU), GPU: str(rng.choice((0, 1, 2, 2)))}
    resources = {"requests": amounts, "limits": amounts}
    spec: JSONObject = {
        **common,
        "nodeSelector": {HOSTNAME: name},
        "containers": [{"name": "main", "image": "none", "resources": resources}],
        "priorityClassName": f"capacity-high-{case.run}",
    }
    if rng.random() < 0.3:
        spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": rng.choice((8000, 8001))}]
    if rng.random() < 0.3:
        spec["affinity"] = {"podAntiAffinity": {_REQUIRED: [_pod_term(rng, f"{case.name}-new")]}}
    app = f"{case.name}-{rng.choice(('old', 'cache', 'db'))}"
    metadata = {"name": f"n-{case.name}", "labels": {**labels, "app": app}}
    case.nominated.append({"metadata": metadata, "spec": spec})
    # The evicted pod never ends, as those that are terminating.
    case.template["spec"]["priorityClassName"] = f"capacity-quiet-{case.run}"


def _gate(case: Case, rng: Random) -> None:
    case.template["spec"]["schedulingGates"] = [{"name": "llmops.platform/capacity-test"}]


def _give_to_another_scheduler(case: Case, rng: Random) -> None:
    case.template["spec"]["schedulerName"] = "capacity-nobody"


def _ask_for_devices(case: Case, rng: Random) -> None:
    """Let each pod ask for a device through a claim of its own, one claim for all, or by the class's name."""
    name, spec = f"capacity-{case.name}", case.template["spec"]
    _add_object(case, f"{_DEVICES}/deviceclasses", name, {})
    for node in case.nodes:
        pool = {"name": node["metadata"]["name"], "generation": 1, "resourceSliceCount": 1}
        devices = [{"name": f"device-{index}"} for index in range(rng.randint(1, 3))]
        body = {"driver": DRIVER, "nodeName": pool["name"], "pool": pool, "devices": devices}
        _add_object(case, SLICES, pool["name"], body)
    way = rng.choice(("resourceClaimTemplateName", "resourceClaimName", ""))
    container = spec["containers"][0]
    if not way:
        resources = container["resources"]
        container["resources"] = {
            kind: {**resources[kind], f"deviceclass.resource.kubernetes.io/{name}": "1"} for kind in resources
        }
        return
    wanted = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": name}}]}}
    base = f"{_DEVICES}/namespaces/{case.namespace}"
    if way == "resourceClaimName":
        _add_object(case, f"{base}/resourceclaims", name, wanted)
    else:
        _add_object(case, f"{base}/resourceclaimtemplates", name, {"spec": {"spec": wanted}}, "")
    spec["resourceClaims"] = [{"name": "device", way: name}]
    container["resources"] = {**container["resources"], "claims": [{"name": "device"}]}


def _bring_volumes(case: Case, rng: Random) -> None:
    """Let the pods bring a volume each, or share one that is picked when the first of them comes."""
    name, spec = f"capacity-{case.name}", case.template["spec"]
    way = rng.choice(
        ("provisioned", "late", "late", "early", "early", "no class", "nameless", "shared", "shared")
    )
    wanted: JSONObject = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "" if way == "nameless" else name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    if way == "provisioned":
        mode = rng.choice(("WaitForFirstConsumer", "Immediate"))
        case.provisioned[name] = late = mode == "WaitForFirstConsumer"
        zones = [f"{case.name}-{zone}" for zone in rng.sample("abc", 2)]
        places = {"allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": zones}]}]}
        more = places if late and rng.random() < 0.4 else {}
        _add_object(case, CLASSES, name, {"provisioner": DRIVER, "volumeBindingMode": mode, **more}, "")
    elif way in ("late", "early", "shared"):
        mode = "Immediate" if way == "early" else "WaitForFirstConsumer"
        _add_object(case, CLASSES, name, {"provisioner": UNPROVISIONED, "volumeBindingMode": mode}, "")
    if way == "nameless":
        # Other cases may have volumes without a class too.
        wanted["selector"] = {"matchLabels": {CASE: case.name}}
    if way != "provisioned" and rng.random() < 0.9:
        _add_volumes(case, rng, wanted["storageClassName"])
    if way == "shared":
        path = f"/api/v1/namespaces/{case.namespace}/persistentvolumeclaims"
        _add_object(case, path, name, wanted)
        spec["volumes"] = [{"name": "cache", "persistentVolumeClaim": {"claimName": name}}]
        return
    claim = {"metadata": {"labels": {CASE: case.name, RUN: case.run}}, "spec": wanted}
    spec["volumes"] = [{"name": "cache", "ephemeral": {"volumeClaimTemplate": claim}}]


def _add_volumes(case: Case, rng: Random, storage_class: str) -> None:
    """Add volumes on single nodes, in zones or everywhere: all of one sort, as of one driver."""
    sort = rng.choice((HOSTNAME, HOSTNAME, ZONE, ""))
    for index in range(rng.randint(1, 4)):
        body: JSONObject = {
            "capacity": {"storage": rng.choice(("500Mi", "1Gi", "1Gi", "2Gi", "3Gi"))},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "nfs": {"server": "localhost", "path": "/"},
        }
        if sort:
            names = [node["metadata"]["name"] for node in case.nodes]
            place = rng.choice(names) if sort == HOSTNAME else f"{case.name}-{rng.choice('abc')}"
            match = {"key": sort, "operator": "In", "values": [place]}
            body["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [match]}]}}
        _add_object(case, VOLUMES, f"capacity-{case.name}-{index}", body)


def _limit_attachments(case: Case, rng: Random) -> None:
    """Give the nodes a driver that attaches only so many volumes, some of which are attached already."""
    for node in case.nodes:
        if rng.random() < 0.85:
            driver = {"name": DRIVER, "nodeID": "node", "allocatable": {"count": rng.randint(1, 4)}}
            _add_object(case, CSI_NODES, node["metadata"]["name"], {"drivers": [driver]})
    claims = [f"capacity-{case.name}-{index}" for index in range(4)]
    for name in claims:
        reference = {"kind": "PersistentVolumeClaim", "namespace": case.namespace, "name": name}
        common = {"accessModes": ["ReadWriteMany"], "storageClassName": f"none-{case.name}"}
        volume = {
            **common,
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"apiVersion": "v1", **reference},
            "csi": {"driver": DRIVER, "volumeHandle": name},
        }
        _add_object(case, VOLUMES, name, volume)
        wanted = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
        _add_object(case, f"/api/v1/namespaces/{case.namespace}/persistentvolumeclaims", name, wanted)
    for pod in case.pods:
        taken = rng.sample(claims, rng.choice((0, 0, 1, 1, 2)))
        pod["spec"]["volumes"] = [_mounted(claim, index) for index, claim in enumerate(taken)]
    taken = rng.sample(claims, rng.choice((0, 1, 2)))
    spec = case.template["spec"]
    spec["volumes"] = [_mounted(claim, index) for index, claim in enumerate(taken)]
    if not taken or rng.random() < 0.4:
        name = f"capacity-{case.name}"
        case.provisioned[name] = True
        body = {"provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer"}
        _add_object(case, CLASSES, name, body, "")
        wanted = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        claim = {"metadata": {"labels": {CASE: case.name, RUN: case.run}}, "spec": wanted}
        spec["volumes"].append({"name": "own", "ephemeral": {"volumeClaimTemplate": claim}})


def _mounted(claim: str, index: int) -> JSONObject:
    return {"name": f"shared-{index}", "persistentVolumeClaim": {"claimName": claim}}


def _add_object(case: Case, path: str, name: str, body: JSONObject, under: str = "spec") -> None:
    """Add an object; a StorageClass has no ``spec``."""
    content = {under: body} if under else body
    metadata = {"name": name, "labels": {CASE: case.name, RUN: case.run}}
    case.objects.append((path, {"metadata": metadata, **content}))


_ONE_OF: dict[str, Callable[[Case, Random], None]] = {
    "gated": _gate,
    "foreign": _give_to_another_scheduler,
    "devices": _ask_for_devices,
    "attachments": _limit_attachments,
    "volumes": _bring_volumes,
}
