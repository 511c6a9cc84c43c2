# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many more volumes a node can attach: the limit that its CSI drivers state, less what is attached.

Nothing of this is read for pods whose volumes no CSI driver attaches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..cluster.client import ClusterClient, segment
from ..cluster.reading import list_or_unknown, read_or_unknown
from ..cluster.shared_lists import Lister
from .occupancy import Occupancy
from .scheduling import JSONObject
from .volumes import ClaimRules

_STORAGE = "/apis/storage.k8s.io/v1"
#: (driver, handle)
_Volume = tuple[str, str]


def limit_attachments(client: ClusterClient, lists: Lister, rules: ClaimRules, occupancy: Occupancy) -> None:
    """Set on each node how many more pods it can attach the volumes of. ``lists`` yields whole lists."""
    wanted = {*rules.fresh, *(driver for driver, _handle in rules.shared)}
    if not wanted:
        return
    installed: dict[str, Mapping[str, int | None]] = {}
    for item in list_or_unknown(lists, f"{_STORAGE}/csinodes", "csinodes", what="the CSINodes"):
        drivers = item["spec"].get("drivers") or ()
        counts = {driver["name"]: (driver.get("allocatable") or {}).get("count") for driver in drivers}
        installed[item["metadata"]["name"]] = counts
    for driver in sorted(wanted):
        path = f"{_STORAGE}/csidrivers/{segment(driver)}"
        found = read_or_unknown(client, path, "csidrivers", what=f"CSIDriver {driver}")
        if found is not None and found["spec"].get("preventPodSchedulingIfMissing"):
            missing = [name for name in occupancy.nodes if driver not in installed.get(name, {})]
            rules.without_driver.update(dict.fromkeys(missing, driver))
    limits = {
        name: {driver: counts[driver] for driver in wanted if counts.get(driver) is not None}
        for name, counts in installed.items()
        if name in occupancy.nodes
    }
    if not any(limits.values()):
        return
    pods, attached = _attached(lists, occupancy)
    each = Counter(rules.fresh)
    for name, own in limits.items():
        node = occupancy.nodes[name]
        for driver, limit in own.items():
            shared = {volume for volume in rules.shared if volume[0] == driver}
            there = {volume for volume in pods.get(name, ()) if volume[0] == driver}
            others = {volume for volume in attached.get(name, ()) if volume[0] == driver}
            room = _room(limit or 0, len(there | others), len(shared - there), each[driver])
            when_empty = _room(limit or 0, 0, len(shared), each[driver])
            node.attachable = _least(node.attachable, room)
            node.attachable_when_empty = _least(node.attachable_when_empty, when_empty)


def _room(limit: int, attached: int, shared: int, each: int) -> int | None:
    """Return how many pods find a place for their volumes; ``None`` for any number."""
    free = limit - attached - shared
    if not each:
        # What is attached already does no harm, even where there are more than there may be.
        return 0 if shared and free < 0 else None
    return max(0, free // each)


def _least(one: int | None, other: int | None) -> int | None:
    return min((number for number in (one, other) if number is not None), default=None)


def _attached(lists: Lister, occupancy: Occupancy) -> tuple[dict[str, set[_Volume]], dict[str, set[_Volume]]]:
    """Return the volumes on each node: those that its pods mount, and those attached to it."""
    volumes: dict[str, _Volume] = {}
    listed = list_or_unknown(
        lists, "/api/v1/persistentvolumes", "persistentvolumes", what="the PersistentVolumes"
    )
    for item in listed:
        if csi := item["spec"].get("csi"):
            volumes[item["metadata"]["name"]] = (csi["driver"], csi["volumeHandle"])
    claims = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): volumes.get(_volume_of(item))
        for item in list_or_unknown(
            lists,
            "/api/v1/persistentvolumeclaims",
            "persistentvolumeclaims",
            what="the PersistentVolumeClaims of all namespaces",
        )
    }
    mounted = {
        name: {volume for claim in taken if (volume := claims.get(claim)) is not None}
        for name, taken in occupancy.mounted.items()
    }
    attached: dict[str, set[_Volume]] = {}
    path = f"{_STORAGE}/volumeattachments"
    for item in list_or_unknown(lists, path, "volumeattachments", what="the VolumeAttachments"):
        spec = item["spec"]
        volume = volumes.get((spec.get("source") or {}).get("persistentVolumeName") or "")
        if volume is not None:
            attached.setdefault(spec["nodeName"], set()).add(volume)
    return mounted, attached


def _volume_of(claim: JSONObject) -> str:
    return claim["spec"].get("volumeName") or ""
