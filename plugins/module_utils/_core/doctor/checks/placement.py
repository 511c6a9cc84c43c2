# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the cluster has a place for each model, as a deployment asks it: nodes, taints, quota, limits."""

from __future__ import annotations

from collections.abc import Iterator

from ...common.errors import PlatformError
from ...placement.capacity import assess
from ...placement.verdict import Verdict as Capacity
from ...release.request import server_labels
from ..finding import Finding, Verdict, unread
from ..site import Cluster

CHECK = "placement"


def look(cluster: Cluster) -> Iterator[Finding]:
    """Judge each model by itself, what runs of it already counting as free."""
    if not cluster.site.models:
        yield cluster.site.without_models(CHECK)
    for model in cluster.site.models:
        rendered = model.rendered
        try:
            capacity = assess(
                cluster.client,
                model.shape,
                rendered.replicas,
                rendered.spec.namespace,
                releasing=server_labels(rendered.spec.name),
                planned_claims=rendered.claims,
                lists=cluster,
            )
        except PlatformError as error:
            yield unread(CHECK, error, model.host)
        else:
            yield judge(capacity, model.host)


def judge(capacity: Capacity, host: str) -> Finding:
    """Judge an answer: what waiting can heal is a warning."""
    if capacity.fits:
        refused = sum(capacity.excluded_by.values())
        rest = f" {refused} of {capacity.nodes_total} nodes do not suit it." if refused else ""
        return Finding(CHECK, Verdict.PASS, f"{capacity.message}{rest}", subject=host)
    verdict = Verdict.FAIL if capacity.permanent else Verdict.WARN
    return Finding(CHECK, verdict, capacity.message, capacity.resolution, host)
