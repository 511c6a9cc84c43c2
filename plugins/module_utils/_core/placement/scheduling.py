# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes' placement rules for one pod on one node, without I/O.

``PodShape`` is everything about a pod that decides where it may run, ``Node`` is what is left of a node.
The rules are those of kube-scheduler's filter plugins; rules between pods are in ``topology.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.quantity import Amounts, amounts, format_amount, parse_quantity
from .pod_resources import pod_limits, pod_requests
from .selectors import (
    BLOCKING_EFFECTS,
    OPERATORS,
    describe_node_selector,
    describe_taint,
    node_selector_matches,
    tolerates,
)

__all__ = [
    "HostPort",
    "Misfit",
    "Node",
    "PodShape",
    "computing_device",
    "exclusion",
    "parse_quantity",
    "shortage",
    "slots",
    "unknown",
]

#: (host address, protocol, port)
HostPort = tuple[str, str, int]
JSONObject = Mapping[str, Any]

#: A pod of a ReplicaSet gets this label with a value that nobody knows before it exists.
NEW_TEMPLATE_HASH = "(new)"

# What GPUs and their like are called. Beside them a pod may ask for more network cards than it has GPUs.
_COMPUTES = re.compile(r"gpu|/mig-|gaudi|tpu|neuron|ascend|/(dcu|mlu|npu|xpu)$", re.IGNORECASE)

# Taints that a controller or an autoscaler sets for a while; all others are somebody's decision.
_PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
)


@dataclass(frozen=True)
class PodShape:
    """What placement needs to know about a pod. ``template`` is what it was read from."""

    namespace: str
    labels: Mapping[str, str]
    requests: Amounts
    limits: Amounts
    node_selector: Mapping[str, str] = field(default_factory=dict)
    node_affinity: JSONObject | None = None
    node_name: str | None = None
    tolerations: tuple[JSONObject, ...] = ()
    host_ports: frozenset[HostPort] = frozenset()
    affinity_terms: tuple[JSONObject, ...] = ()
    anti_affinity_terms: tuple[JSONObject, ...] = ()
    spread: tuple[JSONObject, ...] = ()
    claims: tuple[str, ...] = ()
    resource_claims: tuple[str, ...] = ()
    priority: int = 0
    priority_class: str = ""
    preempts: bool = True
    template: JSONObject = field(default_factory=dict)

    @classmethod
    def from_pod_template(cls, template: JSONObject, namespace: str) -> PodShape:
        """Read a pod template (``metadata`` and ``spec``) or a whole pod.

        Raise an ``invalid`` error that names the field where a template cannot be one.
        """
        spec = template.get("spec") if isinstance(template, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(spec.get("containers"), (list, tuple)):
            raise invalid(
                "pod_template",
                template,
                "has no spec.containers",
                "Give a pod template as it stands in a Deployment: a map with metadata and spec.",
            )
        try:
            labels = dict((template.get("metadata") or {}).get("labels") or {})
            labels.setdefault("pod-template-hash", NEW_TEMPLATE_HASH)
            affinity = spec.get("affinity") or {}
            node_affinity = (affinity.get("nodeAffinity") or {}).get(_REQUIRED)
            shape = cls(
                namespace=namespace,
                labels=labels,
                requests=pod_requests(spec),
                limits=pod_limits(spec),
                node_selector=spec.get("nodeSelector") or {},
                node_affinity=node_affinity,
                node_name=spec.get("nodeName") or None,
                tolerations=tuple(spec.get("tolerations") or ()),
                host_ports=host_ports(spec),
                affinity_terms=_terms(affinity.get("podAffinity"), labels),
                anti_affinity_terms=_terms(affinity.get("podAntiAffinity"), labels),
                spread=tuple(
                    _with_label_keys(constraint, labels)
                    for constraint in spec.get("topologySpreadConstraints") or ()
                    if constraint.get("whenUnsatisfiable") == "DoNotSchedule"
                ),
                claims=tuple(dict.fromkeys(claim_names(spec.get("volumes")))),
                resource_claims=tuple(claim["name"] for claim in spec.get("resourceClaims") or ()),
                priority=int(spec.get("priority") or 0),
                priority_class=spec.get("priorityClassName") or "",
                preempts=spec.get("preemptionPolicy") != "Never",
                template=template,
            )
            shape._check_rules()
            return shape
        except (AttributeError, KeyError, TypeError) as error:
            raise invalid(
                "pod_template",
                template,
                f"is not shaped like a pod template ({type(error).__name__}: {error})",
                "Check it with: kubectl apply --dry-run=server",
            ) from error

    def _check_rules(self) -> None:
        """Raise where a rule lacks what the API server demands, before a node is compared with it."""
        requirements: list[JSONObject] = []
        for term in (self.node_affinity or {}).get("nodeSelectorTerms") or ():
            requirements += [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
        for rule in (*self.affinity_terms, *self.anti_affinity_terms, *self.spread):
            if not rule["topologyKey"]:
                raise KeyError("topologyKey")
            requirements += (rule.get("labelSelector") or {}).get("matchExpressions") or ()
        for constraint in self.spread:
            int(constraint["maxSkew"])
        for requirement in requirements:
            if not requirement["key"] or requirement["operator"] not in OPERATORS:
                advice = f"Use one of {', '.join(OPERATORS)}, as the Kubernetes API spells them."
                raise invalid("operator", requirement["operator"], "is not an operator", advice)

    def needs(self) -> Amounts:
        """Return the requests that are not zero: only those are checked against a node."""
        return {name: amount for name, amount in self.requests.items() if amount > 0}

    @property
    def brings_volumes(self) -> bool:
        """Whether the pod mounts claims, of the namespace or its own."""
        volumes = self.template.get("spec", {}).get("volumes") or ()
        return bool(self.claims) or any(volume.get("ephemeral") for volume in volumes)

    def device_resource(self) -> str | None:
        """Return the extended resource that the pod asks for to compute with, if any."""
        return computing_device(self.needs())

    def with_priority(self, priority: int, priority_class: str, preempts: bool) -> PodShape:
        """Return the shape as admission would complete it from its PriorityClass."""
        return replace(self, priority=priority, priority_class=priority_class, preempts=preempts)


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def unknown(what: str, otherwise: str = "") -> PlatformError:
    """Return the error that says what the capacity check cannot judge."""
    return PlatformError(
        ErrorClass.INVALID,
        f"Capacity is unknown: {what}, which this check does not count.",
        f"Deploy without the capacity check and let the scheduler decide{otherwise and f', {otherwise}'}.",
        {"verdict": "unknown"},
    )


def required_terms(kind: JSONObject | None) -> list[JSONObject]:
    """Return the required terms of a ``podAffinity`` or ``podAntiAffinity``."""
    return list((kind or {}).get(_REQUIRED) or ())


def _terms(kind: JSONObject | None, labels: Mapping[str, str]) -> tuple[JSONObject, ...]:
    return tuple(_with_label_keys(term, labels) for term in required_terms(kind))


def _with_label_keys(term: JSONObject, labels: Mapping[str, str]) -> JSONObject:
    """Merge ``matchLabelKeys`` and ``mismatchLabelKeys`` into the selector, as the API server does."""
    added = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for name, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(name) or ()
        if key in labels
    ]
    if not added or term.get("labelSelector") is None:
        return term
    selector = term["labelSelector"]
    expressions = [*(selector.get("matchExpressions") or ()), *added]
    return {**term, "labelSelector": {**selector, "matchExpressions": expressions}}


def is_extended_resource(name: str) -> bool:
    """Tell devices such as ``nvidia.com/gpu`` from Kubernetes' own resources."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def computing_device(requests: Amounts) -> str | None:
    """Return the extended resource that tells GPUs, if any: those before others, then the largest amount."""
    devices = sorted(
        (_COMPUTES.search(name) is None, -amount, name)
        for name, amount in requests.items()
        if amount > 0 and is_extended_resource(name)
    )
    return devices[0][2] if devices else None


def host_ports(spec: JSONObject) -> frozenset[HostPort]:
    """Return the ports of the node that a pod takes; with ``hostNetwork`` that is every container port."""
    starting = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    on_host = bool(spec.get("hostNetwork"))
    taken: set[HostPort] = set()
    for container in [*(spec.get("containers") or ()), *starting]:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if on_host else 0)
            if number:
                taken.add((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(number)))  # noqa: S104
    return frozenset(taken)


def claim_names(volumes: Any) -> list[str]:
    """Return the names of the PersistentVolumeClaims among a pod's volumes."""
    return [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes or ()
        if volume.get("persistentVolumeClaim")
    ]


def mounted_claims(pod: JSONObject) -> list[str]:
    """Return the claims that a pod mounts, with those that were made for it alone."""
    volumes = pod["spec"].get("volumes") or ()
    own = [f"{pod['metadata']['name']}-{volume['name']}" for volume in volumes if volume.get("ephemeral")]
    return [*claim_names(volumes), *own]


@dataclass
class Node:
    """A node and what its pods hold. Only sums are kept, so that memory follows nodes and not pods."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[JSONObject, ...]
    cordoned: bool
    ready: bool
    allocatable: Amounts
    capacity: Amounts
    used: Amounts = field(default_factory=dict)
    pods: int = 0
    host_ports: set[HostPort] = field(default_factory=set)
    #: Of ``used``: what goes with pods that are being deleted, and what pods of lower priority hold.
    terminating: Amounts = field(default_factory=dict)
    lower: Amounts = field(default_factory=dict)
    #: ``namespace/release`` -> devices, of the resource that is asked for
    holders: dict[str, int] = field(default_factory=dict)
    #: How many more pods it can attach the volumes of, now and without its pods; ``None`` for any number
    attachable: int | None = None
    attachable_when_empty: int | None = None

    @classmethod
    def from_object(cls, item: JSONObject) -> Node:
        """Read a Node object."""
        spec, status = item.get("spec") or {}, item.get("status") or {}
        conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
        taints = tuple(taint for taint in spec.get("taints") or () if taint["effect"] in BLOCKING_EFFECTS)
        return cls(
            name=item["metadata"]["name"],
            labels=item["metadata"].get("labels") or {},
            taints=taints,
            cordoned=bool(spec.get("unschedulable")),
            ready=conditions.get("Ready") == "True",
            allocatable=amounts(status.get("allocatable") or {}),
            capacity=amounts(status.get("capacity") or {}),
        )

    def free(self, resource: str) -> int:
        """Return what is left of a resource; negative where a node shrank below what its pods hold."""
        if resource == "pods":
            return self.allocatable.get("pods", 0) - self.pods
        return self.allocatable.get(resource, 0) - self.used.get(resource, 0)

    def take(self, requests: Amounts) -> None:
        """Count one more pod."""
        self.pods += 1
        add_amounts(self.used, requests)

    def emptied(self) -> Node:
        """Return the node as it would be without pods and with all its devices healthy."""
        devices = {
            name: max(amount, self.allocatable.get(name, 0))
            for name, amount in self.capacity.items()
            if is_extended_resource(name)
        }
        return replace(
            self,
            allocatable={**self.allocatable, **devices},
            used={},
            pods=0,
            host_ports=set(),
            attachable=self.attachable_when_empty,
        )

    def without(self, requests: Amounts) -> Node:
        """Return the node as it would be if pods that hold ``requests`` (with ``pods``) were gone."""
        used = {name: amount - requests.get(name, 0) for name, amount in self.used.items()}
        return replace(self, used=used, pods=self.pods - requests.get("pods", 0))


def add_amounts(total: Amounts, more: Amounts) -> None:
    """Add ``more`` to ``total`` in place."""
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


@dataclass(frozen=True)
class Misfit:
    """Why a node cannot take the pod. ``heals``: it may without anybody changing the configuration."""

    cause: str
    reason: str
    heals: bool
    resource: str | None = None
    has: str = ""
    needs: str = ""


def exclusion(shape: PodShape, node: Node) -> Misfit | None:
    """Return why the node is out of the question for the pod, whatever its load; ``None`` if it is not.

    Selectors come before taints, because "not the kind of node asked for" says more than a taint does.
    """
    if shape.node_name and shape.node_name != node.name:
        return Misfit("node_name", f"is not {shape.node_name}", False, has=node.name, needs=shape.node_name)
    for key, value in shape.node_selector.items():
        if node.labels.get(key) != value:
            has = f"{key}={node.labels[key]}" if key in node.labels else f"no label {key}"
            wanted = f"{key}={value}"
            reason = f"does not match node selector {wanted} ({has})"
            return Misfit("node_selector", reason, False, has=has, needs=wanted)
    if shape.node_affinity is not None and not node_selector_matches(
        shape.node_affinity, node.labels, node.name
    ):
        wanted = describe_node_selector(shape.node_affinity)
        reason = f"does not match required node affinity: {wanted}"
        return Misfit("node_affinity", reason, False, needs=wanted)
    if node.cordoned and not tolerates(shape.tolerations, _CORDON):
        return Misfit("cordoned", "is cordoned", True, has="unschedulable", needs="schedulable")
    for taint in node.taints:
        if not tolerates(shape.tolerations, taint):
            shown = describe_taint(taint)
            passing = taint["key"].startswith(_PASSING_TAINTS)
            state = "" if node.ready else " and is not Ready"
            reason = f"has taint {shown}, which is not tolerated,{state}".rstrip(",")
            return Misfit("taint", reason, passing, has=shown, needs=f"a toleration of {taint['key']}")
    return None


_CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def slots(shape: PodShape, node: Node) -> int:
    """Return how many such pods the node has room for now, as far as its own resources decide."""
    room = node.free("pods")
    for name, amount in shape.requests.items():
        if amount > 0:
            room = min(room, node.free(name) // amount)
            if room <= 0:
                return 0
    if shape.host_ports and room > 0:
        room = 0 if port_conflict(shape.host_ports, node.host_ports) else 1
    if node.attachable is not None:
        room = min(room, node.attachable)
    return max(room, 0)


def port_conflict(wanted: frozenset[HostPort], taken: set[HostPort]) -> HostPort | None:
    """Return a port that is already taken; the wildcard address collides with every other."""
    for address, protocol, number in sorted(wanted):
        for other, other_protocol, other_number in taken:
            same = (protocol, number) == (other_protocol, other_number)
            if same and (address == other or "0.0.0.0" in (address, other)):  # noqa: S104
                return (address, protocol, number)
    return None


def shortage(shape: PodShape, node: Node) -> Misfit | None:
    """Return what the node lacks for one more such pod; devices first, because they are what is scarce."""
    needs = sorted(shape.needs().items(), key=lambda item: (not is_extended_resource(item[0]), item[0]))
    for name, amount in [*needs, ("pods", 1)]:
        if node.free(name) >= amount:
            continue
        total = node.allocatable.get(name, 0)
        free, wanted = format_amount(name, max(node.free(name), 0)), format_amount(name, amount)
        could = max(total, node.capacity.get(name, 0) if is_extended_resource(name) else 0) >= amount
        reason = f"has {free} {name} free of {format_amount(name, total)}, needs {wanted}"
        if name == "pods":
            reason = f"already runs as many pods as it may ({total})"
        return Misfit("resource", reason, could, resource=name, has=free, needs=wanted)
    taken = port_conflict(shape.host_ports, node.host_ports)
    if taken:
        reason = f"host port {taken[2]}/{taken[1]} is taken"
        return Misfit("host_port", reason, True, has="taken", needs=str(taken[2]))
    if node.attachable == 0:
        could = node.attachable_when_empty != 0
        return Misfit("volume_limit", "has as many volumes attached as its driver allows", could)
    return None
