# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claims of models, and the storage classes or volumes that they get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...cluster.client import JSONObject
from ...common.errors import PlatformError
from ...placement.volumes import UNPROVISIONED, can_bind, storage_class_of
from ..finding import Finding, Verdict, some, unread
from ..site import Cluster, Model

CHECK = "storage"


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look at each claim of each model."""
    if not cluster.site.models:
        yield cluster.site.without_models(CHECK)
        return
    claims = [(model.host, *wanted) for model in cluster.site.models for wanted in claims_of(model)]
    if not claims:
        yield Finding(CHECK, Verdict.SKIPPED, "no model asks for a claim (persistence.enabled).")
        return
    classes = list(cluster.list_pages("/apis/storage.k8s.io/v1/storageclasses"))
    present = {item["metadata"]["name"]: item for item in cluster.listed("persistentvolumeclaims")}
    for host, name, brought in claims:
        there = present.get(name)
        claim = brought or there
        if claim is None:
            yield Finding(
                CHECK, Verdict.SKIPPED, f"it does not bring claim {name}: see secrets.", subject=host
            )
            continue
        try:
            wanted = (there or claim)["spec"].get("storageClassName")
            by_hand = _is_made_by_hand(wanted, storage_class_of(classes, wanted))
            volumes = list(cluster.list_pages("/api/v1/persistentvolumes")) if by_hand else []
        except PlatformError as error:
            yield unread(CHECK, error, host)
        else:
            yield judge(claim, there, classes, volumes, host)


def claims_of(model: Model) -> list[tuple[str, JSONObject | None]]:
    """Return the claims of a model by name: those that it brings, and those of others that its pods name."""
    brought = {
        str(item["metadata"]["name"]): item
        for item in model.rendered.objects
        if item["kind"] == "PersistentVolumeClaim"
    }
    sources = [volume.get("persistentVolumeClaim") or {} for volume in model.pod.get("volumes") or ()]
    named = [str(source["claimName"]) for source in sources if source]
    return [(name, brought.get(name)) for name in dict.fromkeys([*brought, *named])]


def judge(
    claim: JSONObject,
    present: JSONObject | None,
    classes: Sequence[JSONObject],
    volumes: Sequence[JSONObject],
    host: str,
) -> Finding:
    """Judge a claim by the class or the volume that would serve it, or by what has become of it.

    ``volumes`` are those of the cluster, which count where nobody makes them on demand.
    """
    name = str(claim["metadata"]["name"])
    phase = ((present or {}).get("status") or {}).get("phase")
    if phase == "Bound":
        return Finding(CHECK, Verdict.PASS, f"claim {name} is bound.", subject=host)
    if phase == "Lost":
        advice = "Bring its PersistentVolume back, or delete the claim, and what it held is gone for good."
        return Finding(CHECK, Verdict.FAIL, f"claim {name} has lost its volume.", advice, host)
    # One that is there keeps what it was made with.
    claim = present or claim
    wanted = claim["spec"].get("storageClassName")
    found = storage_class_of(classes, wanted)
    if _is_made_by_hand(wanted, found):
        return _judge_volumes(claim, found, classes, volumes, host)
    if found is None:
        advice = "Name one in persistence.storageClass, or make one the default."
        seen = f"claim {name} asks for the default class, and no class is: {_there_are(classes)}."
        return Finding(CHECK, Verdict.FAIL, seen, advice, host)
    mode = found.get("volumeBindingMode", "Immediate")
    grows = "expandable" if found.get("allowVolumeExpansion") else "not expandable"
    seen = f"claim {name}: class {found['metadata']['name']}, {mode}, {grows}."
    if mode == "Immediate":
        advice = "Use a class with WaitForFirstConsumer: else the volume may be where no GPU is."
        return Finding(CHECK, Verdict.WARN, seen, advice, host)
    return Finding(CHECK, Verdict.PASS, seen, subject=host)


def _there_are(classes: Sequence[JSONObject]) -> str:
    names = sorted(str(item["metadata"]["name"]) for item in classes)
    return f"there are {some(names)}" if names else "there are none"


def _judge_volumes(
    claim: JSONObject,
    of_class: Mapping[str, Any] | None,
    classes: Sequence[JSONObject],
    volumes: Sequence[JSONObject],
    host: str,
) -> Finding:
    name, wanted = claim["metadata"]["name"], claim["spec"].get("storageClassName") or ""
    class_name = of_class["metadata"]["name"] if of_class else wanted
    kind = f"of class {class_name}" if class_name else "without a class"
    spec = {**claim["spec"], "storageClassName": class_name}
    usable = [item for item in volumes if can_bind(_unreserved(item, claim), spec)]
    if any(spec.get("volumeName") in (None, item["metadata"]["name"]) for item in usable):
        seen = f"claim {name}: a volume {kind} that was made by hand is free."
        return Finding(CHECK, Verdict.PASS, seen, subject=host)
    if of_class is None and wanted:
        advice = "Name one that exists in persistence.storageClass."
        seen = f"claim {name} asks for class {wanted}, which does not exist: {_there_are(classes)}."
        return Finding(CHECK, Verdict.FAIL, seen, advice, host)
    advice = "Make a PersistentVolume that fits, or name a class that makes them in persistence.storageClass."
    seen = f"claim {name} takes a volume {kind}, which nobody makes on demand, and none that fits is free."
    return Finding(CHECK, Verdict.FAIL, seen, advice, host)


def _unreserved(volume: JSONObject, claim: JSONObject) -> JSONObject:
    """Return a volume that is kept for a claim as a free one."""
    reserved = volume["spec"].get("claimRef") or {}
    metadata = claim["metadata"]
    if (reserved.get("name"), reserved.get("namespace")) != (metadata["name"], metadata.get("namespace")):
        return volume
    return {**volume, "spec": {key: value for key, value in volume["spec"].items() if key != "claimRef"}}


def _is_made_by_hand(wanted: str | None, found: Mapping[str, Any] | None) -> bool:
    """Tell whether nobody makes the volume of a claim on demand that names a class, and finds it or not."""
    # A name that volumes and claims share needs no class of that name.
    return wanted is not None if found is None else bool(found.get("provisioner") == UNPROVISIONED)
