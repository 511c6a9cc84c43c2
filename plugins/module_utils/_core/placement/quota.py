# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ResourceQuota: how many more pods of a shape a namespace may have, without I/O.

A quota speaks at pod creation, before the scheduler: its refusal shows only on the ReplicaSet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.quantity import Amounts, format_amount, thousandths
from .scheduling import JSONObject, PodShape, is_extended_resource

_MUST_BE_SET = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


@dataclass(frozen=True)
class QuotaLine:
    """One resource of one quota; amounts are scheduler amounts of that resource."""

    quota: str
    resource: str
    hard: int
    used: int
    need: int

    @property
    def room(self) -> int:
        """How many more pods fit."""
        return max(0, (self.hard - self.used) // self.need)

    def as_result(self) -> dict[str, Any]:
        """Return the line for people and playbooks, as quantities."""
        base = _base(self.resource)
        return {
            "quota": self.quota,
            "resource": self.resource,
            "hard": format_amount(base, self.hard),
            "used": format_amount(base, self.used),
            "need": format_amount(base, self.need),
        }


@dataclass
class QuotaFinding:
    """What the quotas of a namespace say about a shape."""

    lines: list[QuotaLine] = field(default_factory=list)
    #: Requirements that no waiting meets, such as a quota that demands a memory limit.
    refusals: list[str] = field(default_factory=list)

    def room(self) -> int | None:
        """Return how many more pods all quotas together allow; ``None`` without any limit."""
        return min((line.room for line in self.lines), default=None)

    def tightest(self) -> QuotaLine | None:
        """Return the line that allows the fewest pods."""
        return min(self.lines, key=lambda line: line.room, default=None)


@dataclass(frozen=True)
class Released:
    """What pods that the update replaces give back to their quotas."""

    pods: int = 0
    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)


def evaluate_quotas(
    quotas: Iterable[JSONObject], shape: PodShape, released: Released | None = None
) -> QuotaFinding:
    """Compare a pod shape with the ResourceQuotas of its namespace."""
    needs = charges(1, shape.requests, shape.limits)
    back = released or Released()
    given_back = charges(back.pods, back.requests, back.limits)
    finding = QuotaFinding()
    for item in quotas:
        spec, status = item["spec"], item.get("status") or {}
        if not applies(spec, shape):
            continue
        name = item["metadata"]["name"]
        hard: Mapping[str, object] = spec.get("hard") or {}
        used = status.get("used") or {}
        finding.refusals += _missing(name, hard, shape)
        for resource, limit in hard.items():
            need = needs.get(resource, 0)
            if need <= 0:
                continue
            taken = _amount(resource, used.get(resource, "0")) - given_back.get(resource, 0)
            line = QuotaLine(name, resource, _amount(resource, limit, floor=True), max(taken, 0), need)
            finding.lines.append(line)
    return finding


def charges(pods: int, requests: Mapping[str, int], limits: Mapping[str, int]) -> dict[str, int]:
    """Return what pods cost under the names that quotas use."""
    cost = {"pods": pods, "count/pods": pods}
    for name, amount in requests.items():
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            cost[name] = amount
            cost[f"requests.{name}"] = amount
        elif is_extended_resource(name):
            cost[f"requests.{name}"] = amount
    for name in ("cpu", "memory", "ephemeral-storage"):
        if name in limits:
            cost[f"limits.{name}"] = limits[name]
    return cost


def _base(resource: str) -> str:
    return resource.removeprefix("requests.").removeprefix("limits.")


def _amount(resource: str, quantity: object, floor: bool = False) -> int:
    value = thousandths(quantity)
    if _base(resource) == "cpu":
        return value
    return value // 1000 if floor else -(-value // 1000)


def applies(spec: JSONObject, shape: PodShape) -> bool:
    """Tell whether a quota's scopes select the pod."""
    pod = shape.template["spec"]
    if not all(_in_scope(scope, "Exists", (), pod, shape) for scope in spec.get("scopes") or ()):
        return False
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(
        _in_scope(item["scopeName"], item["operator"], item.get("values") or (), pod, shape)
        for item in expressions
    )


def _in_scope(scope: str, operator: str, values: Iterable[str], pod: JSONObject, shape: PodShape) -> bool:
    if scope in ("Terminating", "NotTerminating"):
        return (pod.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return is_best_effort(pod) is (scope == "BestEffort")
    if scope == "CrossNamespacePodAffinity":
        return _crosses_namespaces(pod)
    if scope != "PriorityClass":
        return False
    own = shape.priority_class
    if operator == "In":
        return own in values
    if operator == "NotIn":
        return own not in values
    return bool(own) is (operator == "Exists")


def is_best_effort(pod: JSONObject) -> bool:
    """Tell whether no container of the pod asks for CPU or memory."""
    containers = [*(pod.get("containers") or ()), *(pod.get("initContainers") or ()), pod]
    return not any(
        thousandths(quantity) > 0
        for container in containers
        for kind in ("requests", "limits")
        for name, quantity in ((container.get("resources") or {}).get(kind) or {}).items()
        if name in ("cpu", "memory")
    )


def _crosses_namespaces(pod: JSONObject) -> bool:
    affinity = pod.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = [*(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())]
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [item["podAffinityTerm"] for item in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def _missing(quota: str, hard: Mapping[str, object], shape: PodShape) -> list[str]:
    """Return what a quota on CPU or memory demands of every container and the pod leaves out."""
    spec = shape.template["spec"]
    pod_level = spec.get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        return []
    found: list[str] = []
    for resource in _MUST_BE_SET:
        if resource not in hard:
            continue
        kind, name = ("limits" if resource.startswith("limits.") else "requests"), _base(resource)
        for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
            resources = container.get("resources") or {}
            given = set(resources.get(kind) or ())
            if kind == "requests":
                # A limit without a request becomes the request.
                given |= set(resources.get("limits") or ())
            if name not in given:
                container_name = container.get("name", "?")
                found.append(f"ResourceQuota {quota} demands {resource} of container {container_name}")
    return found
