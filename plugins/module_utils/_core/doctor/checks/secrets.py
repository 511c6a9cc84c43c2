# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pods cannot start without and a release does not bring: Secrets, ConfigMaps, claims, accounts."""

from __future__ import annotations

from collections.abc import Iterator

from ...release.references import missing, pull_secrets, references
from ..finding import Finding, Verdict
from ..site import Cluster, Model
from .rights import Right, is_allowed

CHECK = "secrets"
_PLURALS = {
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ServiceAccount": "serviceaccounts",
}


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look for what each model names."""
    if not cluster.site.models:
        yield cluster.site.without_models(CHECK)
    for model in cluster.site.models:
        yield _look_at(cluster, model)


def _look_at(cluster: Cluster, model: Model) -> Finding:
    template = model.rendered.deployment["spec"]["template"]
    brought = {(item["kind"], item["metadata"]["name"]) for item in model.rendered.objects}
    needed = {item for item in references(template) if (item.kind, item.name) not in brought}
    pulling = set(pull_secrets(template))
    if not needed | pulling:
        return Finding(CHECK, Verdict.SKIPPED, "it names none.", subject=model.host)
    for resource in sorted({_PLURALS[item.kind] for item in needed | pulling}):
        # Who may not look would find nothing missing.
        if not is_allowed(cluster, Right(False, "", resource, "get")):
            seen = f"not allowed to get {resource} in {cluster.site.namespace}."
            return Finding(CHECK, Verdict.UNKNOWN, seen, "See rights.", model.host)
    namespace, objects = cluster.site.namespace, model.rendered.objects
    lines = missing(cluster, objects, namespace)
    lines += missing(cluster, objects, namespace, pull_secrets)
    names = ", ".join(sorted({f"{item.kind} {item.name}" for item in needed | pulling}))
    if not lines:
        return Finding(CHECK, Verdict.PASS, f"{names}: there.", subject=model.host)
    advice = f"Create what is missing in namespace {namespace}, or leave it out of the values."
    return Finding(CHECK, Verdict.FAIL, f"{'; '.join(lines)}.", advice, model.host)
