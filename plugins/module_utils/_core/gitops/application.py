# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Argo CD Application of a target. No I/O.

Its name is that of the release, and so is Helm's ``releaseName``: Argo CD makes the objects that
``vllm_release`` makes, under the same names, and can take over what that has made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cluster.client import JSONObject
from ..common.names import slug_in
from .count import Count
from .layout import values_from_chart
from .wanted import Wanted

#: Who may write this Application; whoever is not named leaves it alone.
WRITER = "llmops.platform/writer"
#: The full name of the model, as on the objects of the chart.
MODEL = "llmops.platform/model-name"
#: Argo CD's own, by the one of its names to which no API server objects.
_FINALIZER = "resources-finalizer.argocd.argoproj.io/foreground"
_RETRY: JSONObject = {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}


@dataclass(frozen=True, kw_only=True)
class ApplicationOptions:
    """What an Application says beyond its target. None is for the tier: production is left to people."""

    source_repository: str  #: as Argo CD reaches it
    source_revision: str = "main"
    namespace: str = "argocd"
    project: str = "default"
    destination_server: str = "https://kubernetes.default.svc"
    destination_name: str = ""  #: wins over the server
    automated: bool | None = None
    prune: bool = True
    self_heal: bool = True
    cascade: bool | None = None  #: whether the objects go with the Application
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    writer: str = "llmops.platform"


def application(
    wanted: Wanted,
    options: ApplicationOptions,
    chart_path: str,
    tier_file: str | None,
    count: Count | None = None,
) -> JSONObject:
    """Return the Application of a target whose chart is in a folder of the repository."""
    name = wanted.target.name
    values = values_from_chart(name)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": _metadata(wanted, options, values, count or Count()),
        "spec": {
            "project": options.project,
            "destination": _destination(wanted, options),
            "source": {
                "repoURL": options.source_repository,
                "targetRevision": options.source_revision,
                "path": chart_path,
                "helm": {
                    "releaseName": name,
                    # The later one wins, as with vllm_release.
                    "valueFiles": [*([tier_file] if tier_file else []), values],
                    # The pod of "helm test" is Helm's; Argo CD has no such hook.
                    "skipTests": True,
                },
            },
            "syncPolicy": _sync_policy(wanted, options),
            **_ignored(wanted),
        },
    }


def _metadata(wanted: Wanted, options: ApplicationOptions, values: str, count: Count) -> JSONObject:
    target = wanted.target
    metadata: dict[str, Any] = {
        "name": target.name,
        "namespace": options.namespace,
        "labels": {
            **options.labels,
            "app.kubernetes.io/part-of": "llmops-platform",
            "llmops.platform/environment": target.environment,
            "llmops.platform/tier": wanted.tier,
            "llmops.platform/model": slug_in(target.model, target.environment),
        },
        "annotations": {
            **options.annotations,
            MODEL: target.model,
            WRITER: options.writer,
            **count.annotations,
            # Commits of other targets are no news for this one.
            "argocd.argoproj.io/manifest-generate-paths": f".;{values}",
        },
    }
    if _by_tier(options.cascade, wanted):
        metadata["finalizers"] = [_FINALIZER]
    return metadata


def _destination(wanted: Wanted, options: ApplicationOptions) -> JSONObject:
    if options.destination_name:
        return {"name": options.destination_name, "namespace": wanted.target.namespace}
    return {"server": options.destination_server, "namespace": wanted.target.namespace}


def _sync_policy(wanted: Wanted, options: ApplicationOptions) -> JSONObject:
    policy: dict[str, Any] = {}
    if _by_tier(options.automated, wanted):
        policy["automated"] = {"prune": options.prune, "selfHeal": options.self_heal}
    policy["retry"] = _RETRY
    # The namespace is the environment's. Applying on the server is what Helm 4 does.
    policy["syncOptions"] = ["CreateNamespace=false", "ServerSideApply=true", "FailOnSharedResource=true"]
    if wanted.autoscaled:
        policy["syncOptions"].append("RespectIgnoreDifferences=true")
    return policy


def _ignored(wanted: Wanted) -> JSONObject:
    if not wanted.autoscaled:
        return {}
    ignored = {
        "group": "apps",
        "kind": "Deployment",
        "name": wanted.target.name,
        "jsonPointers": ["/spec/replicas"],
    }
    return {"ignoreDifferences": [ignored]}


def _by_tier(choice: bool | None, wanted: Wanted) -> bool:
    return wanted.tier != "production" if choice is None else choice
