# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random small clusters with one question each: would these replicas be placed?

Every case lives on nodes of its own, told apart by a label, so that many share one real cluster.
"""

from __future__ import annotations

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
    return case


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
