# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes with GPUs of the kinds that models ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ...cluster.client import JSONObject
from ...common.quantity import parse_quantity
from ..finding import Finding, Verdict, several, some
from ..site import Cluster

CHECK = "gpu nodes"
_USUAL = "nvidia.com/gpu"
_PRODUCT = "nvidia.com/gpu.product"
_OPERATOR = "Install the GPU operator or the device plugin of the GPUs' maker, and add nodes with GPUs."


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look for each kind."""
    asked = {model.shape.device_resource() for model in cluster.site.models} - {None}
    for resource in sorted(str(name) for name in asked) or [_USUAL]:
        yield judge(cluster.nodes, resource, wanted=bool(asked))


def judge(nodes: Sequence[JSONObject], resource: str, *, wanted: bool) -> Finding:
    """Judge what nodes have of a resource; ``wanted`` tells that a model asks for it."""
    having = [node for node in nodes if _amount(node, resource) > 0]
    if not having:
        seen = f"none of {several(len(nodes), 'node')} has {resource}."
        return Finding(CHECK, Verdict.FAIL if wanted else Verdict.WARN, seen, _OPERATOR, resource)
    usable = [node for node in having if _is_ready(node) and not _is_cordoned(node)]
    amount = sum(_amount(node, resource) for node in usable)
    seen = f"{amount} on {several(len(usable), 'node')}{_products(usable)}{_taints(usable)}"
    out = [str(node["metadata"]["name"]) for node in having if node not in usable]
    if not out:
        return Finding(CHECK, Verdict.PASS, f"{seen}.", subject=resource)
    seen += f"; not ready or cordoned: {some(out)}."
    advice = "See kubectl describe node, or kubectl uncordon."
    return Finding(CHECK, Verdict.WARN if usable else Verdict.FAIL, seen, advice, resource)


def _amount(node: JSONObject, resource: str) -> int:
    given = (node.get("status") or {}).get("allocatable") or {}
    return int(parse_quantity(given.get(resource, 0), resource))


def _is_ready(node: JSONObject) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _is_cordoned(node: JSONObject) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def _products(nodes: Iterable[JSONObject]) -> str:
    products = ((node["metadata"].get("labels") or {}).get(_PRODUCT) for node in nodes)
    counts = Counter(str(name) for name in products if name)
    return f" ({some([f'{count} x {name}' for name, count in counts.most_common()])})" if counts else ""


def _taints(nodes: Iterable[JSONObject]) -> str:
    taints = {
        f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
        for node in nodes
        for taint in (node.get("spec") or {}).get("taints") or ()
    }
    return f", tainted {some(sorted(taints))}" if taints else ""
