# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every node still has free, read from the API server page by page.

Only sums by node are kept: memory follows the number of nodes, not of pods.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cluster.client import ClusterClient
from ..cluster.reading import list_or_unknown, read_or_unknown
from ..cluster.shared_lists import Lister
from ..common.quantity import Amounts
from .pod_resources import pod_limits, pod_requests
from .scheduling import (
    JSONObject,
    Node,
    PodShape,
    add_amounts,
    claim_names,
    exclusion,
    host_ports,
    mounted_claims,
    slots,
)
from .topology import Topology

# The scheduler forgets finished pods; so does the server before it sends them.
_UNFINISHED = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass
class Waiting:
    """Pending pods of one kind that come before ours in the scheduler's queue."""

    shape: PodShape
    since: str
    names: list[str] = field(default_factory=list)
    count: int = 0
    #: The scheduler tried and found no place: rules that are not checked here may be the reason.
    refused: bool = False


@dataclass
class Occupancy:
    """Nodes with what their pods hold, and what else was seen on the way."""

    shape: PodShape
    releasing: Mapping[str, str] | None
    nodes: dict[str, Node]
    topology: Topology
    resource: str | None
    #: Quota charges that go away with the released pods; ``pods`` counts them.
    released_requests: Amounts = field(default_factory=dict)
    released_limits: Amounts = field(default_factory=dict)
    released_pods: int = 0
    terminating: list[dict[str, Any]] = field(default_factory=list)
    terminating_pods: int = 0
    pending_pods: int = 0
    waiting: dict[str, Waiting] = field(default_factory=dict)
    #: PersistentVolumeClaim of the shape -> nodes on which other pods mount it
    claim_users: dict[str, set[str]] = field(default_factory=dict)
    #: Node -> claims (namespace, name) that its pods mount; only for a shape with volumes of its own
    mounted: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    pods_read: int = 0

    @classmethod
    def read(
        cls,
        client: ClusterClient,
        shape: PodShape,
        releasing: Mapping[str, str] | None,
        resource: str | None,
        lists: Lister | None = None,
    ) -> Occupancy:
        """Read all nodes and all unfinished pods. A missing right is an ``auth`` error: not "0 free"."""
        lists = lists or client
        nodes = {
            item["metadata"]["name"]: Node.from_object(item)
            for item in list_or_unknown(lists, "/api/v1/nodes", "nodes", what="the nodes")
        }
        topology = Topology(shape, nodes, _NamespaceLabels(client))
        occupancy = cls(shape, releasing, nodes, topology, resource)
        pages = list_or_unknown(
            lists, "/api/v1/pods", "pods", what="the pods of all namespaces", query=_UNFINISHED
        )
        for pod in pages:
            occupancy._count(pod)
        occupancy._reserve_for_waiting()
        return occupancy

    def _count(self, pod: JSONObject) -> None:
        self.pods_read += 1
        spec = pod["spec"]
        node_name = spec.get("nodeName")
        if not node_name:
            self._count_pending(pod)
            return
        node = self.nodes.get(node_name)
        if node is None:
            return
        metadata = pod["metadata"]
        requests = pod_requests(spec, pod.get("status"))
        if self._is_released(metadata):
            self.released_pods += 1
            add_amounts(self.released_requests, requests)
            add_amounts(self.released_limits, pod_limits(spec))
            return
        node.take(requests)
        self.topology.observe(pod, node)
        if self.shape.host_ports:
            node.host_ports |= host_ports(spec)
        if (spec.get("priority") or 0) < self.shape.priority:
            add_amounts(node.lower, {**requests, "pods": 1})
        if "deletionTimestamp" in metadata:
            self._count_terminating(metadata, node, requests)
        held = requests.get(self.resource, 0) if self.resource else 0
        if held:
            holder = f"{metadata['namespace']}/{_holder(metadata)}"
            node.holders[holder] = node.holders.get(holder, 0) + held
        if self.shape.brings_volumes:
            claims = {(metadata["namespace"], claim) for claim in mounted_claims(pod)}
            self.mounted.setdefault(node.name, set()).update(claims)
        if self.shape.claims and metadata["namespace"] == self.shape.namespace:
            for claim in claim_names(spec.get("volumes")):
                if claim in self.shape.claims:
                    self.claim_users.setdefault(claim, set()).add(node.name)

    def _is_released(self, metadata: JSONObject) -> bool:
        if not self.releasing or metadata["namespace"] != self.shape.namespace:
            return False
        labels = metadata.get("labels") or {}
        return all(labels.get(key) == value for key, value in self.releasing.items())

    def _count_terminating(self, metadata: JSONObject, node: Node, requests: Amounts) -> None:
        add_amounts(node.terminating, {**requests, "pods": 1})
        self.terminating_pods += 1
        amount = requests.get(self.resource, 0) if self.resource else 0
        if len(self.terminating) < _LISTED and (amount or not self.resource):
            self.terminating.append(
                {
                    "namespace": metadata["namespace"],
                    "pod": metadata["name"],
                    "node": node.name,
                    "amount": amount,
                    "since": metadata["deletionTimestamp"],
                }
            )

    def _count_pending(self, pod: JSONObject) -> None:
        metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
        if "deletionTimestamp" in metadata or spec.get("schedulingGates") or self._is_released(metadata):
            return
        self.pending_pods += 1
        if (spec.get("priority") or 0) < self.shape.priority:
            return
        shape = PodShape.from_pod_template(pod, metadata["namespace"])
        nominated = self.nodes.get(status.get("nominatedNodeName") or "")
        if nominated is not None:
            nominated.take(shape.requests)
            nominated.host_ports |= shape.host_ports
            self.topology.observe_nominated(pod, nominated)
            return
        # Pods of one kind are kept once, so that a queue of ten thousand costs no more than one pod.
        key = json.dumps(
            [shape.namespace, shape.priority, shape.requests, spec.get("nodeSelector"), spec.get("affinity"),
             spec.get("tolerations"), sorted(shape.host_ports), shape.claims],
            sort_keys=True,
        )  # fmt: skip
        since = metadata["creationTimestamp"]
        kind = self.waiting.setdefault(key, Waiting(shape, since))
        kind.count += 1
        kind.since = min(kind.since, since)
        kind.refused = kind.refused or any(
            condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable"
            for condition in status.get("conditions") or ()
        )
        if len(kind.names) < _NAMED:
            kind.names.append(f"{metadata['namespace']}/{metadata['name']}")

    def _reserve_for_waiting(self) -> None:
        """Give pending pods of equal or higher priority what the scheduler is about to give them.

        The scheduler serves them before a pod that does not exist yet. One that it has refused stays
        pending for as long as nothing changes, so what it asks for takes nothing away. For the others the
        node with the most free CPU and memory is assumed, which is what the default scoring prefers.
        """
        for kind in sorted(self.waiting.values(), key=lambda item: (-item.shape.priority, item.since)):
            if kind.refused:
                continue
            nodes = [node for node in self.nodes.values() if exclusion(kind.shape, node) is None]
            for _pod in range(kind.count):
                roomy = max(
                    (node for node in nodes if slots(kind.shape, node) > 0), key=emptiness, default=None
                )
                if roomy is None:
                    break
                roomy.take(kind.shape.requests)


_LISTED = 20
_NAMED = 5


def emptiness(node: Node) -> float:
    """Return the free share of CPU and memory, which the scheduler's default scoring prefers."""
    shares = [
        node.free(name) / node.allocatable[name]
        for name in ("cpu", "memory")
        if node.allocatable.get(name, 0) > 0
    ]
    return sum(shares) / len(shares) if shares else 0.0


def _holder(metadata: JSONObject) -> str:
    """Name who a pod belongs to: its release, else its controller, else itself."""
    instance = (metadata.get("labels") or {}).get("app.kubernetes.io/instance")
    if instance:
        return str(instance)
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["name"])
    return str(metadata["name"])


class _NamespaceLabels:
    """Labels of namespaces, read when a term with a ``namespaceSelector`` first needs them."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._known: dict[str, Mapping[str, str]] = {}

    def __call__(self, namespace: str) -> Mapping[str, str]:
        if namespace not in self._known:
            item = read_or_unknown(
                self._client, f"/api/v1/namespaces/{namespace}", "namespaces", what=f"namespace {namespace}"
            )
            self._known[namespace] = ((item or {}).get("metadata") or {}).get("labels") or {}
        return self._known[namespace]
