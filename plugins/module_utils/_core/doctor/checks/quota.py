# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the namespace as a whole may use, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator

from ...cluster.client import JSONObject
from ...common.quantity import parse_quantity
from ..finding import Finding, Verdict
from ..site import Cluster

CHECK = "quota"
_NEARLY = 0.9


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look at each ResourceQuota. What a single model asks for is judged by its placement."""
    quotas = cluster.listed("resourcequotas")
    if not quotas:
        yield Finding(CHECK, Verdict.SKIPPED, f"{cluster.site.namespace} has none.")
    for quota in quotas:
        yield judge(quota)


def judge(quota: JSONObject) -> Finding:
    """Judge one by its fullest line."""
    name = str(quota["metadata"]["name"])
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    if not hard:
        advice = "See whether the controller manager runs."
        return Finding(CHECK, Verdict.UNKNOWN, "the cluster has not counted it yet.", advice, name)
    shares = {resource: _share(resource, used.get(resource, 0), limit) for resource, limit in hard.items()}
    fullest = max(shares, key=lambda resource: (shares[resource], resource))
    seen = f"{fullest}: {used.get(fullest, 0)} of {hard[fullest]} used."
    if shares[fullest] < _NEARLY:
        return Finding(CHECK, Verdict.PASS, seen, subject=name)
    advice = "Remove what is not needed any more, or raise environment_quota."
    return Finding(CHECK, Verdict.WARN, seen, advice, name)


def _share(resource: str, used: object, hard: object) -> float:
    limit = parse_quantity(hard, resource)
    return float(parse_quantity(used, resource) / limit) if limit else 1.0
