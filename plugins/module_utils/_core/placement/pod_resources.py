# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pod costs: its effective requests and limits, as the scheduler and ResourceQuota count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..common.quantity import Amounts, scheduler_amounts, thousandths

_Sums = dict[str, int]


def pod_requests(
    spec: Mapping[str, Any], status: Mapping[str, Any] | None = None, field: str = "spec"
) -> Amounts:
    """Return the effective requests of a pod spec: what the scheduler subtracts from a node.

    The larger of (containers + sidecars) and of each ordinary init container with the sidecars started
    before it; then pod-level requests where given; then overhead. A limit without a request counts as
    request, as the API server makes it. With ``status``, a container that was resized in place counts with
    what it still holds, and with nothing else where the node has refused the new size.
    """
    held = _held_by_status(status) if status else {}
    refused = bool(held) and _resize_is_refused(status or {})

    def requests_of(container: Mapping[str, Any], where: str) -> _Sums:
        resources = container.get("resources") or {}
        if refused and container.get("name") in held:
            return dict(held[container["name"]])
        asked = resources.get("requests") or {}
        limits = resources.get("limits")
        sums = {name: thousandths(value, f"{where}.requests.{name}") for name, value in asked.items()}
        if limits:
            for name, value in limits.items():
                if name not in sums:
                    sums[name] = thousandths(value, f"{where}.limits.{name}")
        if held and container.get("name") in held:
            _raise_to(sums, held[container["name"]])
        return sums

    sums = _effective(spec, requests_of, field)
    pod_level = spec.get("resources") or {}
    asked = pod_level.get("requests") or {}
    for name, value in {**(pod_level.get("limits") or {}), **asked}.items():
        # A pod-level limit alone becomes the request only where no container asked for that resource.
        if name in asked or name not in sums:
            sums[name] = thousandths(value, f"{field}.resources.{name}")
    return _with_overhead(spec, sums, field)


def pod_limits(spec: Mapping[str, Any], field: str = "spec") -> Amounts:
    """Return the effective limits of a pod spec, which quotas such as ``limits.memory`` count."""

    def limits_of(container: Mapping[str, Any], where: str) -> _Sums:
        limits = (container.get("resources") or {}).get("limits") or {}
        return {name: thousandths(value, f"{where}.limits.{name}") for name, value in limits.items()}

    sums = _effective(spec, limits_of, field)
    for name, value in ((spec.get("resources") or {}).get("limits") or {}).items():
        sums[name] = thousandths(value, f"{field}.resources.limits.{name}")
    overhead = spec.get("overhead") or {}
    return _with_overhead({"overhead": {n: v for n, v in overhead.items() if n in sums}}, sums, field)


def _effective(
    spec: Mapping[str, Any], amounts_of: Callable[[Mapping[str, Any], str], _Sums], field: str
) -> _Sums:
    total: _Sums = {}
    for index, container in enumerate(spec.get("containers") or ()):
        _add(total, amounts_of(container, f"{field}.containers[{index}].resources"))
    starting = spec.get("initContainers")
    if not starting:
        return total
    sidecars: _Sums = {}
    peak: _Sums = {}
    for index, container in enumerate(starting):
        own = amounts_of(container, f"{field}.initContainers[{index}].resources")
        if container.get("restartPolicy") == "Always":
            _add(total, own)
            _add(sidecars, own)
            _raise_to(peak, sidecars)
        else:
            _add(own, sidecars)
            _raise_to(peak, own)
    _raise_to(total, peak)
    return total


def _with_overhead(spec: Mapping[str, Any], sums: _Sums, field: str) -> Amounts:
    for name, value in (spec.get("overhead") or {}).items():
        sums[name] = sums.get(name, 0) + thousandths(value, f"{field}.overhead.{name}")
    return scheduler_amounts(sums)


def _held_by_status(status: Mapping[str, Any]) -> dict[str, _Sums]:
    held: dict[str, _Sums] = {}
    for key in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(key) or ():
            if "resources" not in container:
                continue
            sums: _Sums = {}
            for source in (container["resources"].get("requests"), container.get("allocatedResources")):
                _raise_to(sums, {name: thousandths(value) for name, value in (source or {}).items()})
            held[container["name"]] = sums
    return held


def _resize_is_refused(status: Mapping[str, Any]) -> bool:
    return any(
        condition.get("type") == "PodResizePending" and condition.get("reason") == "Infeasible"
        for condition in status.get("conditions") or ()
    )


def _add(total: _Sums, more: _Sums) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: _Sums, floor: _Sums) -> None:
    for name, value in floor.items():
        if value > total.get(name, 0):
            total[name] = value
