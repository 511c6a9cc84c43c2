# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of objects that models bring and only some clusters have, such as a ServiceMonitor."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding, Verdict, some
from ..site import Cluster

CHECK = "kinds"
_ADVICE = {
    "monitoring.coreos.com": (
        "Install the Prometheus operator, or set serviceMonitor.enabled and alerts.enabled to false in the "
        "values."
    ),
    "gateway.networking.k8s.io": "Install the Gateway API, or set httpRoute.enabled to false in the values.",
}


def look(cluster: Cluster) -> Iterator[Finding]:
    """Ask for each API that a model needs and not every cluster has."""
    if not cluster.site.models:
        yield cluster.site.without_models(CHECK)
        return
    wanted: dict[str, set[str]] = {}
    for model in cluster.site.models:
        for item in model.rendered.objects:
            # A name with a dot that is not the project's own belongs to somebody's definitions.
            group = str(item["apiVersion"]).partition("/")[0]
            if "." in group and not _is_built_in(group):
                wanted.setdefault(str(item["apiVersion"]), set()).add(str(item["kind"]))
    if not wanted:
        yield Finding(CHECK, Verdict.SKIPPED, "models bring only what every cluster has.")
    for version, kinds in sorted(wanted.items()):
        found = cluster.client.find(f"/apis/{version}")
        there = {str(item["kind"]) for item in (found or {}).get("resources") or ()}
        yield judge(version, kinds, there)


def _is_built_in(group: str) -> bool:
    return group.endswith(".k8s.io") and group != "gateway.networking.k8s.io"


def judge(version: str, wanted: set[str], there: set[str]) -> Finding:
    """Judge which kinds of an API there are."""
    group = version.partition("/")[0]
    lacking = sorted(wanted - there)
    if not lacking:
        return Finding(CHECK, Verdict.PASS, f"{some(sorted(wanted))}: there.", subject=group)
    seen = f"the cluster has no {some(lacking)}, which models bring."
    advice = _ADVICE.get(group, "Install what defines it, or leave it out of the values.")
    return Finding(CHECK, Verdict.FAIL, seen, advice, group)
