# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Will N replicas of a pod shape be placed now, and if not, why not, and can that change?

The question is put to one picture of the cluster, with the scheduler's own rules. The scheduler stays the
judge: this answers before anything is written, and says what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Protocol

from ..cluster.client import ClusterClient, segment
from ..cluster.reading import list_or_unknown
from ..cluster.shared_lists import Lister
from ..common.errors import invalid
from .admission import admitted
from .attachments import limit_attachments
from .devices import check_countable, device_source, whole_device_misfit
from .occupancy import Occupancy, emptiness
from .quota import Released, evaluate_quotas
from .report import write_verdict
from .scheduling import Misfit, Node, PodShape, exclusion, shortage, slots
from .topology import Topology
from .verdict import Assessment, Verdict
from .volumes import read_claim_rules

__all__ = ["NodeDemand", "Verdict", "assess"]


class NodeDemand(Protocol):
    """An extra demand on nodes, such as enough memory on each GPU."""

    def __call__(self, node: Node, /) -> Misfit | None:
        """Return why the node does not meet it, if so."""


def assess(
    client: ClusterClient,
    shape: PodShape,
    replicas: int,
    namespace: str,
    *,
    releasing: Mapping[str, str] | None = None,
    planned_claims: Collection[str] = (),
    node_demand: NodeDemand | None = None,
    whole_devices: bool | None = None,
    lists: Lister | None = None,
) -> Verdict:
    """Judge whether ``replicas`` more pods of ``shape`` would be placed in ``namespace`` now.

    ``releasing`` are labels of pods in the namespace whose place counts as free, because the update removes
    them first. ``planned_claims`` are PersistentVolumeClaims that the release creates where they are missing.
    ``whole_devices`` refuses nodes that share one device among pods; by default for more than one a pod.
    ``lists`` yields nodes and pods instead of the client.

    Raises ``auth`` where a right is missing (capacity is unknown then), ``invalid`` for bad input.
    """
    if replicas < 0:
        raise invalid("replicas", replicas, "is negative", "Give the number of pods, 0 or more.")
    shape = replace(shape, namespace=namespace)
    check_countable(shape)
    shape, refusals = admitted(client, shape)
    resource = shape.device_resource()
    if whole_devices is None:
        whole_devices = resource is not None and shape.requests[resource] > 1
    occupancy = Occupancy.read(client, shape, releasing, resource, lists)
    quotas = list_or_unknown(
        client,
        f"/api/v1/namespaces/{segment(namespace)}/resourcequotas",
        "resourcequotas",
        what=f"the ResourceQuotas of namespace {namespace}",
        namespace=namespace,
    )
    released = Released(occupancy.released_pods, occupancy.released_requests, occupancy.released_limits)
    claims = read_claim_rules(client, shape, planned_claims)
    limit_attachments(client, lists or client, claims, occupancy)
    assessment = Assessment(
        shape=shape,
        replicas=replicas,
        occupancy=occupancy,
        claims=claims,
        quota=evaluate_quotas(quotas, shape, released),
        refusals=refusals,
        api=device_source(client, resource, occupancy.nodes.values()),
    )
    _judge(assessment, node_demand, whole_devices)
    return write_verdict(assessment)


def _judge(found: Assessment, node_demand: NodeDemand | None, whole_devices: bool) -> None:
    shape, nodes = found.shape, found.occupancy.nodes
    topology = found.occupancy.topology
    found.exact = not (topology.order_matters or topology.is_overlooked) and not any(
        not kind.refused for kind in found.occupancy.waiting.values()
    )
    eligible: list[Node] = []
    some_day: list[Node] = []
    for node in nodes.values():
        misfit = (
            exclusion(shape, node)
            or found.claims.misfit(node)
            or (whole_device_misfit(shape, node) if whole_devices else None)
            or (node_demand(node) if node_demand else None)
        )
        if misfit is None or misfit.heals:
            some_day.append(node)
        if misfit is not None:
            found.misfits[node.name] = misfit
            continue
        eligible.append(node)
        lacking = shortage(shape, node) or topology.misfit(node)
        if lacking is None:
            found.room[node.name] = slots(shape, node)
        else:
            found.misfits[node.name] = lacking
    wanted = found.replicas
    in_use = any(found.occupancy.claim_users.get(claim) for claim in found.claims.single_pod)
    blocked = in_use or bool(found.claims.blocked)
    # In this order: placing replicas in thought changes the counts of the topology.
    reachable = [node for node in eligible if topology.misfit(node) is None]
    stay_apart = replace(shape, affinity_terms=())
    unpopulated = Topology(stay_apart, nodes, lambda namespace: {})
    found.placeable_when_empty = _place(found, [node.emptied() for node in some_day], unpopulated, stay_apart)
    if found.claims.choices and not found.exact:
        # What is not certain is not impossible either.
        found.placeable_when_empty = found.replicas
    if not all(found.claims.blocked.values()):
        found.placeable_when_empty = 0
    found.placeable = 0 if blocked else _place(found, eligible, topology, shape)
    if found.placeable >= wanted or blocked:
        return
    # Replicas keep their distance from each other whoever goes away; what keeps others away is not foretold.
    among = replace(shape, affinity_terms=(), spread=())
    apart_only = Topology(among, nodes, lambda namespace: {})
    after = [node.without(node.terminating) for node in reachable]
    found.placeable_after_termination = _place(found, after, apart_only.copy(), among)
    if shape.preempts:
        # Foretold from resources alone; whose eviction would lift a rule between pods is not followed.
        found.preemption_nodes = [node.name for node in reachable if node.lower]
        apart = {node.name for node in reachable}
        found.exact = found.exact and not any(node.lower and node.name not in apart for node in eligible)
        if found.preemption_nodes:
            relieved = [node.without(node.lower) for node in reachable]
            found.placeable_by_preemption = _place(found, relieved, apart_only.copy(), among)


def _place(found: Assessment, nodes: list[Node], topology: Topology, shape: PodShape) -> int:
    """Return how many replicas find a place on the nodes, at most as many as are wanted."""
    wanted = min(found.replicas, 1) if found.claims.single_pod else found.replicas
    choices = found.claims.choices
    if not choices:
        return _spread_out(found, nodes, topology, shape, wanted)
    if len(choices) > 1:
        # Which volume one claim gets decides what the other can have: only the first pod is certain.
        found.exact = False
        return _spread_out(found, nodes, topology, shape, min(wanted, 1))
    ways, known = choices[0].shares(nodes, wanted)
    outcomes: list[int] = []
    for way in ways:
        placed = 0
        for share in way:
            members = [node for node in nodes if node.name in share.nodes]
            most = min(share.pods, wanted - placed)
            placed += _spread_out(found, members, topology.copy(), shape, most)
        if topology.restricts_replicas and len(way) > 1 and placed > 1:
            # The shares are not independent of each other then.
            placed, known = 1, False
        outcomes.append(placed)
    possible = [outcome for outcome in outcomes if outcome]
    found.exact = found.exact and known and len(set(possible)) <= 1
    return min(possible, default=0)


def _spread_out(
    found: Assessment, nodes: list[Node], topology: Topology, shape: PodShape, wanted: int
) -> int:
    room = {node.name: slots(shape, node) for node in nodes}
    if not topology.restricts_replicas:
        free = (room[node.name] for node in nodes if room[node.name] and topology.misfit(node) is None)
        return min(wanted, sum(free))
    candidates = sorted((node for node in nodes if room[node.name]), key=lambda node: -emptiness(node))
    if not topology.follows_first:
        return _fill(wanted, candidates, room, topology)
    # Nobody knows which node the first replica gets. What is promised has to hold for each of them.
    domains: dict[object, list[Node]] = {}
    for node in candidates:
        domains.setdefault(topology.domain(node), []).append(node)
    outcomes = [_fill(wanted, members, dict(room), topology.copy()) for members in domains.values()]
    possible = [outcome for outcome in outcomes if outcome]
    found.exact = found.exact and len(set(possible)) <= 1
    return min(possible, default=0)


def _fill(wanted: int, candidates: list[Node], room: dict[str, int], topology: Topology) -> int:
    """Place replicas one by one, each on the emptiest node that takes it; return how many found a place."""
    placed = 0
    while placed < wanted:
        chosen = next(
            (node for node in candidates if room[node.name] and topology.misfit(node) is None), None
        )
        if chosen is None:
            break
        room[chosen.name] -= 1
        topology.place(chosen)
        placed += 1
    return placed
