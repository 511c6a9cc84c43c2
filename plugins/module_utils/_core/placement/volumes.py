# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a pod's PersistentVolumeClaims let it run: volume node affinity, zones, binding modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..cluster.client import ClusterClient, segment
from ..cluster.reading import list_or_unknown, read_or_unknown
from ..common.quantity import thousandths
from .scheduling import JSONObject, Misfit, Node, PodShape, unknown
from .selectors import label_selector_matches, node_selector_matches

_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
_DEFAULTS = ("storageclass", "storageclass.beta")
UNPROVISIONED = "kubernetes.io/no-provisioner"


@dataclass(frozen=True)
class Choice:
    """Volumes of which a claim that is not bound yet gets one."""

    volumes: list[JSONObject]
    #: Whether each pod brings such a claim, and so uses up a volume
    each: bool
    #: Whether the smallest is bound before anybody looks for a node
    early: bool = False

    def shares(self, nodes: Collection[Node], wanted: int) -> tuple[list[list[Share]], bool]:
        """Return the ways in which the volumes may come to be used, and whether that is all of them."""
        reaches = {id(volume): self._reach(volume, nodes) for volume in self.volumes}
        if not self.each:
            return [[Share(reach, wanted)] for reach in set(reaches.values())], True
        used, known = self._smallest(wanted, reaches) if self.early else (self.volumes, True)
        counts = Counter(reaches[id(volume)] for volume in used)
        if sum(len(reach) for reach in counts) == len(frozenset().union(*counts)):
            return [[Share(reach, count) for reach, count in counts.items()]], known
        # Which volume goes to whom decides how many of the rest are of use.
        return ([[]] if self.early else [[Share(frozenset().union(*counts), 1)]]), False

    def _smallest(self, wanted: int, reaches: Mapping[int, frozenset[str]]) -> tuple[list[JSONObject], bool]:
        """Return the volumes that so many claims get for certain, and whether there is no doubt."""
        ordered = sorted(self.volumes, key=_size)
        used, rest = ordered[:wanted], ordered[wanted:]
        if not used or not rest or _size(used[-1]) != _size(rest[0]):
            return used, True
        alike = [volume for volume in ordered if _size(volume) == _size(rest[0])]
        if len({reaches[id(volume)] for volume in alike}) == 1:
            return used, True
        return [volume for volume in used if _size(volume) != _size(rest[0])], False

    @staticmethod
    def _reach(volume: JSONObject, nodes: Collection[Node]) -> frozenset[str]:
        return frozenset(node.name for node in nodes if volume_allows(volume, node))


class Share(NamedTuple):
    """So many pods may go to these nodes."""

    nodes: frozenset[str]
    pods: int


def _size(volume: JSONObject) -> tuple[int, int]:
    """Order volumes as the binder does: those that can do the least first, then the smallest."""
    spec = volume["spec"]
    capacity = thousandths((spec.get("capacity") or {}).get("storage", "0"))
    return len(spec.get("accessModes") or ()), capacity


@dataclass
class ClaimRules:
    """What the claims of a shape demand of nodes."""

    #: claim -> alternatives of which one must accept the node
    volumes: dict[str, list[JSONObject]] = field(default_factory=dict)
    #: Of ``volumes``: those of which one is still to be picked
    choices: list[Choice] = field(default_factory=list)
    #: CSI volumes (driver, handle) that all pods of the shape share, and drivers of which each pod takes more
    shared: set[tuple[str, str]] = field(default_factory=set)
    fresh: list[str] = field(default_factory=list)
    #: Nodes on which a driver is not installed that its pods cannot do without
    without_driver: dict[str, str] = field(default_factory=dict)
    #: StorageClass topologies: (claim, terms) of which one must match
    topologies: list[tuple[str, list[JSONObject]]] = field(default_factory=list)
    #: Claims that only one pod in the cluster may use, and those that only one node may mount
    single_pod: list[str] = field(default_factory=list)
    single_node: list[str] = field(default_factory=list)
    #: Claims for which no pod can be scheduled at all: text -> whether that may heal
    blocked: dict[str, bool] = field(default_factory=dict)

    def misfit(self, node: Node) -> Misfit | None:
        """Return why the node cannot reach one of the volumes, if so."""
        for claim, volumes in self.volumes.items():
            if not any(volume_allows(volume, node) for volume in volumes):
                return Misfit("volume", f"cannot reach the volume of claim {claim}", False, needs=claim)
        if node.name in self.without_driver:
            driver = self.without_driver[node.name]
            return Misfit("volume", f"does not run the volume driver {driver}", True, needs=driver)
        for claim, terms in self.topologies:
            if not any(_topology_term_matches(term, node) for term in terms):
                reason = f"is outside the topology in which claim {claim} can be provisioned"
                return Misfit("volume", reason, False, needs=claim)
        return None


def read_claim(client: ClusterClient, name: str, namespace: str) -> JSONObject | None:
    """Read a PersistentVolumeClaim, ``None`` if it does not exist."""
    return read_or_unknown(
        client,
        f"/api/v1/namespaces/{segment(namespace)}/persistentvolumeclaims/{segment(name)}",
        "persistentvolumeclaims",
        what=f"PersistentVolumeClaim {name}",
        namespace=namespace,
    )


def mounted_by_many(claim: JSONObject) -> bool:
    """Tell whether several nodes may mount the volume of a claim at the same time."""
    return bool({"ReadWriteMany", "ReadOnlyMany"} & set(claim["spec"].get("accessModes") or ()))


def read_claim_rules(client: ClusterClient, shape: PodShape, planned: Collection[str] = ()) -> ClaimRules:
    """Read the claims of a shape. ``planned`` are claims that the release itself creates where missing.

    Of those, one that was kept from before binds its pods like any other.
    """
    rules = ClaimRules()
    for claim in shape.claims:
        item = read_claim(client, claim, shape.namespace)
        if item is None and claim in planned:
            continue
        if item is None:
            text = f"PersistentVolumeClaim {claim} does not exist in namespace {shape.namespace}"
            rules.blocked[text] = False
        elif "deletionTimestamp" in item["metadata"]:
            # One that the release brings is made anew once this one is gone.
            rules.blocked[f"PersistentVolumeClaim {claim} is being deleted"] = claim in planned
        else:
            _read_claim(client, claim, item, rules)
    for volume in shape.template.get("spec", {}).get("volumes") or ():
        if volume.get("ephemeral"):
            _read_ephemeral(client, volume["name"], volume["ephemeral"]["volumeClaimTemplate"]["spec"], rules)
    picked = [volume["metadata"]["name"] for choice in rules.choices for volume in choice.volumes]
    if len(set(picked)) < len(picked):
        raise unknown("several claims of the pod are to get volumes out of the same PersistentVolumes")
    return rules


def _read_ephemeral(client: ClusterClient, name: str, spec: JSONObject, rules: ClaimRules) -> None:
    """Read what a claim that each pod brings for itself demands: first of all a StorageClass that exists."""
    wanted = spec.get("storageClassName")
    classes = list_or_unknown(
        client,
        "/apis/storage.k8s.io/v1/storageclasses",
        "storageclasses",
        what=f"the StorageClasses, one of which volume {name} needs",
    )
    found = storage_class_of(classes, wanted)
    if found is not None and found.get("provisioner") != UNPROVISIONED:
        if found.get("allowedTopologies"):
            rules.topologies.append((name, found["allowedTopologies"]))
        rules.fresh.append(found["provisioner"])
        return
    # Nobody makes a volume: one that is there has to do.
    usable = _bindable(client, spec if found is None else {**spec, "storageClassName": _name(found)})
    if usable or found is not None:
        early = found is None or found.get("volumeBindingMode") != "WaitForFirstConsumer"
        rules.volumes[name] = usable
        rules.choices.append(Choice(usable, each=True, early=early))
        return
    if wanted == "":
        what = "no volume without a class is free, and nobody makes one"
    else:
        what = f"StorageClass {wanted} does not exist" if wanted else "there is no default StorageClass"
    rules.blocked[f"volume {name} cannot be provisioned: {what}"] = True


def _name(item: JSONObject) -> str:
    return str(item["metadata"]["name"])


def storage_class_of(classes: Iterable[JSONObject], wanted: str | None) -> JSONObject | None:
    """Return the class that a claim names by ``wanted``: None is the default, an empty text is none."""
    suitable = [item for item in classes if _is_class(item, wanted)] if wanted != "" else []
    # Of several defaults the newest counts.
    return max(suitable, key=lambda item: item["metadata"].get("creationTimestamp") or "", default=None)


def _is_class(item: JSONObject, wanted: str | None) -> bool:
    metadata = item["metadata"]
    if wanted is not None:
        return bool(metadata["name"] == wanted)
    annotations = metadata.get("annotations") or {}
    return "true" in (annotations.get(f"{prefix}.kubernetes.io/is-default-class") for prefix in _DEFAULTS)


def _read_claim(client: ClusterClient, claim: str, item: JSONObject, rules: ClaimRules) -> None:
    spec, status = item["spec"], item.get("status") or {}
    if status.get("phase") == "Lost":
        rules.blocked[f"PersistentVolumeClaim {claim} has lost its volume"] = False
        return
    if "ReadWriteOncePod" in (spec.get("accessModes") or ()):
        rules.single_pod.append(claim)
    elif not mounted_by_many(item):
        rules.single_node.append(claim)
    volume_name = spec.get("volumeName")
    if volume_name:
        path = f"/api/v1/persistentvolumes/{segment(volume_name)}"
        what = f"PersistentVolume {volume_name}"
        volume = read_or_unknown(client, path, "persistentvolumes", what=what)
        if volume is None:
            rules.blocked[f"PersistentVolume {volume_name} of claim {claim} does not exist"] = False
        else:
            rules.volumes[claim] = [volume]
            if csi := volume["spec"].get("csi"):
                rules.shared.add((csi["driver"], csi["volumeHandle"]))
        return
    _read_unbound(client, claim, item, rules)


def _read_unbound(client: ClusterClient, claim: str, item: JSONObject, rules: ClaimRules) -> None:
    name = item["spec"].get("storageClassName")
    path = f"/apis/storage.k8s.io/v1/storageclasses/{segment(name or '')}"
    found = read_or_unknown(client, path, "storageclasses", what=f"StorageClass {name}") if name else None
    if found is None or found.get("volumeBindingMode") != "WaitForFirstConsumer":
        rules.blocked[f"PersistentVolumeClaim {claim} is not bound to a volume yet"] = True
        return
    if found.get("provisioner") != UNPROVISIONED:
        if found.get("allowedTopologies"):
            rules.topologies.append((claim, found["allowedTopologies"]))
        rules.shared.add((found["provisioner"], claim))
        return
    rules.volumes[claim] = _bindable(client, item["spec"])
    rules.choices.append(Choice(rules.volumes[claim], each=False))


def _bindable(client: ClusterClient, spec: Mapping[str, Any]) -> list[JSONObject]:
    """Read the volumes that a claim of this spec could be bound to."""
    volumes = list_or_unknown(
        client, "/api/v1/persistentvolumes", "persistentvolumes", what="the PersistentVolumes"
    )
    return [volume for volume in volumes if can_bind(volume, spec)]


def can_bind(volume: JSONObject, claim: Mapping[str, Any]) -> bool:
    """Tell whether an unbound volume satisfies a claim's spec."""
    spec, labels = volume["spec"], volume["metadata"].get("labels") or {}
    asked = thousandths(((claim.get("resources") or {}).get("requests") or {}).get("storage", "0"))
    return bool(
        (volume.get("status") or {}).get("phase") == "Available"
        and not spec.get("claimRef")
        and "deletionTimestamp" not in volume["metadata"]
        and (spec.get("storageClassName") or "") == (claim.get("storageClassName") or "")
        and (not claim.get("selector") or label_selector_matches(claim["selector"], labels))
        and (spec.get("volumeMode") or "Filesystem") == (claim.get("volumeMode") or "Filesystem")
        and set(claim.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and thousandths((spec.get("capacity") or {}).get("storage", "0")) >= asked
    )


def volume_allows(volume: JSONObject, node: Node) -> bool:
    """Tell whether a node can reach a volume, by its node affinity and its zone labels."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required is not None and not node_selector_matches(required, node.labels, node.name):
        return False
    if not any(label in node.labels for label in _ZONE_LABELS):
        return True
    labels = volume["metadata"].get("labels") or {}
    return all(
        node.labels.get(label) in labels[label].split("__") for label in _ZONE_LABELS if label in labels
    )


def _topology_term_matches(term: JSONObject, node: Node) -> bool:
    return all(
        node.labels.get(item["key"]) in item["values"] for item in term.get("matchLabelExpressions") or ()
    )
