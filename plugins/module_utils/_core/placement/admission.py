# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What admission changes in a pod before the scheduler sees it, and what it refuses.

Applies the LimitRanges of the namespace, the RuntimeClass, the PriorityClass, and the two tolerations that
every pod gets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..cluster.client import ClusterClient, segment
from ..cluster.reading import list_or_unknown, read_or_unknown
from ..common.quantity import thousandths
from .scheduling import JSONObject, PodShape

_LOST_NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admitted(client: ClusterClient, shape: PodShape) -> tuple[PodShape, list[str]]:
    """Return the shape as it will reach the scheduler, and the reasons for which it would be refused."""
    spec: dict[str, Any] = dict(shape.template["spec"])
    refusals: list[str] = []
    runtime_class = spec.get("runtimeClassName")
    if runtime_class:
        path = f"/apis/node.k8s.io/v1/runtimeclasses/{segment(runtime_class)}"
        found = read_or_unknown(client, path, "runtimeclasses", what=f"RuntimeClass {runtime_class}")
        if found is None:
            refusals.append(f"RuntimeClass {runtime_class} does not exist")
        else:
            spec = with_runtime_class(spec, found)
    ranges = list(
        list_or_unknown(
            client,
            f"/api/v1/namespaces/{segment(shape.namespace)}/limitranges",
            "limitranges",
            what=f"the LimitRanges of namespace {shape.namespace}",
            namespace=shape.namespace,
        )
    )
    for item in ranges:
        spec = with_limit_range_defaults(spec, item)
    spec["tolerations"] = with_default_tolerations(spec.get("tolerations") or ())
    completed = PodShape.from_pod_template({**shape.template, "spec": spec}, shape.namespace)
    for item in ranges:
        refusals.extend(limit_range_refusals(completed, item))
    refusals.extend(requests_above_limits(spec))
    return _with_priority_class(client, completed, refusals), refusals


def with_default_tolerations(tolerations: Sequence[JSONObject]) -> list[JSONObject]:
    """Add the tolerations of a lost node that the API server gives every pod for five minutes."""
    added: list[JSONObject] = []
    for key in _LOST_NODE_TAINTS:
        covered = any(
            item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None, "")
            for item in tolerations
        )
        if not covered:
            added.append({"key": key, "operator": "Exists", "effect": "NoExecute"})
    return [*tolerations, *added]


def with_runtime_class(spec: Mapping[str, Any], runtime_class: JSONObject) -> dict[str, Any]:
    """Apply the overhead and the scheduling rules of a RuntimeClass."""
    changed = dict(spec)
    overhead = (runtime_class.get("overhead") or {}).get("podFixed")
    if overhead:
        changed["overhead"] = overhead
    scheduling = runtime_class.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        changed["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **scheduling["nodeSelector"]}
    if scheduling.get("tolerations"):
        changed["tolerations"] = [*(spec.get("tolerations") or ()), *scheduling["tolerations"]]
    return changed


def with_limit_range_defaults(spec: Mapping[str, Any], limit_range: JSONObject) -> dict[str, Any]:
    """Give containers the default requests and limits of a LimitRange where they have none."""
    changed = dict(spec)
    for rule in _rules(limit_range, "Container"):
        for kind in ("containers", "initContainers"):
            if changed.get(kind):
                changed[kind] = [_with_defaults(container, rule) for container in changed[kind]]
    return changed


def _with_defaults(container: JSONObject, rule: JSONObject) -> JSONObject:
    resources = container.get("resources") or {}
    own_limits = resources.get("limits") or {}
    # A limit without a request has become a request before LimitRanges are applied.
    requests = {**own_limits, **(resources.get("requests") or {})}
    return {
        **container,
        "resources": {
            **resources,
            "limits": {**(rule.get("default") or {}), **own_limits},
            "requests": {**(rule.get("defaultRequest") or {}), **requests},
        },
    }


def limit_range_refusals(shape: PodShape, limit_range: JSONObject) -> list[str]:
    """Return the bounds of a LimitRange that the completed pod breaks."""
    name = limit_range["metadata"]["name"]
    found: list[str] = []
    spec = shape.template["spec"]
    for rule in _rules(limit_range, "Container"):
        for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
            resources = container.get("resources") or {}
            requests, limits = _parsed(resources.get("requests")), _parsed(resources.get("limits"))
            where = f"container {container.get('name', '?')}"
            found += [f"LimitRange {name}: {text}" for text in _broken(rule, where, requests, limits)]
    for rule in _rules(limit_range, "Pod"):
        requests, limits = _scaled(shape.requests), _scaled(shape.limits)
        found += [f"LimitRange {name}: {text}" for text in _broken(rule, "the pod", requests, limits)]
    return found


def requests_above_limits(spec: Mapping[str, Any]) -> list[str]:
    """Return the containers whose request exceeds their limit, which a LimitRange's default may have set."""
    found: list[str] = []
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        requests, limits = _parsed(resources.get("requests")), _parsed(resources.get("limits"))
        found += [
            f"container {container.get('name', '?')} requests more {name} than its limit allows"
            for name in requests
            if requests[name] > limits.get(name, requests[name])
        ]
    return found


def _rules(limit_range: JSONObject, kind: str) -> list[JSONObject]:
    return [rule for rule in limit_range["spec"].get("limits") or () if rule["type"] == kind]


def _parsed(quantities: Mapping[str, object] | None) -> dict[str, int]:
    return {name: thousandths(value) for name, value in (quantities or {}).items()}


def _scaled(amounts: Mapping[str, int]) -> dict[str, int]:
    return {name: value if name == "cpu" else value * 1000 for name, value in amounts.items()}


def _broken(
    rule: JSONObject, where: str, requests: Mapping[str, int], limits: Mapping[str, int]
) -> Iterator[str]:
    for name, text in (rule.get("min") or {}).items():
        bound = thousandths(text)
        if name not in requests:
            yield f"{where} asks for no {name}, the minimum is {text}"
        elif requests[name] < bound or limits.get(name, bound) < bound:
            yield f"{where} asks for less {name} than the minimum of {text}"
    for name, text in (rule.get("max") or {}).items():
        bound = thousandths(text)
        if name not in limits:
            yield f"{where} has no {name} limit, the maximum is {text}"
        elif limits[name] > bound or requests.get(name, 0) > bound:
            yield f"{where} asks for more {name} than the maximum of {text}"
    for name, text in (rule.get("maxLimitRequestRatio") or {}).items():
        request, limit = requests.get(name, 0), limits.get(name, 0)
        if not request or not limit or limit * 1000 > thousandths(text) * request:
            yield f"{where} has a {name} limit of more than {text} times its request"


def _with_priority_class(client: ClusterClient, shape: PodShape, refusals: list[str]) -> PodShape:
    base = "/apis/scheduling.k8s.io/v1/priorityclasses"
    if shape.priority_class:
        path = f"{base}/{segment(shape.priority_class)}"
        what = f"PriorityClass {shape.priority_class}"
        found = read_or_unknown(client, path, "priorityclasses", what=what)
        if found is None:
            refusals.append(f"PriorityClass {shape.priority_class} does not exist")
    else:
        classes = list_or_unknown(client, base, "priorityclasses", what="the PriorityClasses")
        found = min(
            (item for item in classes if item.get("globalDefault")),
            key=lambda item: int(item["value"]),
            default=None,
        )
    if found is None:
        return shape
    preempts = shape.preempts and found.get("preemptionPolicy") != "Never"
    return shape.with_priority(int(found["value"]), str(found["metadata"]["name"]), preempts)
