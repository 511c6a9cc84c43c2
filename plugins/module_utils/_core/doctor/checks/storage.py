# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The storage classes of the claims that models bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...cluster.client import JSONObject
from ..finding import Finding, Verdict, some
from ..site import Cluster

CHECK = "storage"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look at each claim of each model."""
    if not cluster.site.models:
        yield cluster.site.without_models(CHECK)
        return
    claims = [
        (model.host, item)
        for model in cluster.site.models
        for item in model.rendered.objects
        if item["kind"] == "PersistentVolumeClaim"
    ]
    if not claims:
        yield Finding(CHECK, Verdict.SKIPPED, "no model asks for a claim (persistence.enabled).")
        return
    classes = list(cluster.list_pages("/apis/storage.k8s.io/v1/storageclasses"))
    present = {item["metadata"]["name"]: item for item in cluster.listed("persistentvolumeclaims")}
    for host, claim in claims:
        yield judge(claim, present.get(claim["metadata"]["name"]), classes, host)


def judge(claim: JSONObject, present: JSONObject | None, classes: Sequence[JSONObject], host: str) -> Finding:
    """Judge a claim by the class that would serve it, or by what has become of it."""
    name = str(claim["metadata"]["name"])
    if present is not None and (present.get("status") or {}).get("phase") == "Bound":
        return Finding(CHECK, Verdict.PASS, f"claim {name} is bound.", subject=host)
    wanted = claim["spec"].get("storageClassName")
    names = sorted(str(item["metadata"]["name"]) for item in classes)
    there = f"there are {some(names)}" if names else "there are none"
    if wanted == "":
        return Finding(
            CHECK, Verdict.PASS, f"claim {name} takes a volume that was made by hand.", subject=host
        )
    if wanted is None:
        found = next((item for item in classes if _is_default(item)), None)
        if found is None:
            advice = "Name one in persistence.storageClass, or make one the default."
            seen = f"claim {name} asks for the default class, and no class is: {there}."
            return Finding(CHECK, Verdict.FAIL, seen, advice, host)
    else:
        found = next((item for item in classes if item["metadata"]["name"] == wanted), None)
        if found is None:
            advice = "Name one that exists in persistence.storageClass."
            seen = f"claim {name} asks for class {wanted}, which does not exist: {there}."
            return Finding(CHECK, Verdict.FAIL, seen, advice, host)
    mode = found.get("volumeBindingMode", "Immediate")
    grows = "expandable" if found.get("allowVolumeExpansion") else "not expandable"
    seen = f"claim {name}: class {found['metadata']['name']}, {mode}, {grows}."
    if mode == "Immediate":
        advice = "Use a class with WaitForFirstConsumer: else the volume may be where no GPU is."
        return Finding(CHECK, Verdict.WARN, seen, advice, host)
    return Finding(CHECK, Verdict.PASS, seen, subject=host)


def _is_default(item: JSONObject) -> bool:
    return (item["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"
