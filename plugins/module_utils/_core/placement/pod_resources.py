# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pod costs: its effective requests and limits, as the scheduler and ResourceQuota count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cluster.workload import SERVER_CONTAINER
from ..common.quantity import Amounts, scheduler_amounts, thousandths

_Sums = dict[str, int]


def pod_requests(
    spec: Mapping[str, Any], status: Mapping[str, Any] | None = None, field: str = "spec"
) -> Amounts:
    """Return the effective requests of a pod spec: what the scheduler subtracts from a node.

    The larger of (containers + sidecars) and of each ordinary init container with the sidecars started
    before it; then pod-level requests where given; then overhead. A limit without a request counts as
    request, as the API server makes it. With ``status``, a pod that is resized in place counts with the
    largest of what it wants, what the node granted and what it holds, and not with what it wants where the
    node has refused that.
    """

    def asked(container: Mapping[str, Any], where: str) -> _Sums:
        resources = container.get("resources") or {}
        sums = _parsed(resources.get("requests"), f"{where}.requests")
        for name, value in (resources.get("limits") or {}).items():
            if name not in sums:
                sums[name] = thousandths(value, f"{where}.limits.{name}")
        return sums

    known = status or {}
    sums = _effective(spec, asked, field)
    refused = _resize_is_refused(known)
    sums = _with_held(spec, known, sums, refused)
    pod_level = spec.get("resources") or {}
    wanted = pod_level.get("requests") or {}
    for name, value in {**(pod_level.get("limits") or {}), **wanted}.items():
        # A pod-level limit alone becomes the request only where no container asked for that resource.
        if name in wanted or name not in sums:
            sums[name] = thousandths(value, f"{field}.resources.{name}")
    if wanted and known.get("resources"):
        held = {} if refused else _parsed(wanted)
        _raise_to(held, _parsed(known["resources"].get("requests")))
        _raise_to(held, _parsed(known.get("allocatedResources")))
        sums |= {name: held.get(name, 0) for name in (*wanted, *held)}
    return _with_overhead(spec, sums, field)


def server_requests(spec: Mapping[str, Any]) -> Amounts:
    """Return what the model server's container asks for: a GPU of another one holds no part of the model."""
    named = [item for item in spec["containers"] if item.get("name") == SERVER_CONTAINER]
    return pod_requests({"containers": (named or spec["containers"])[:1]})


def _with_held(spec: Mapping[str, Any], status: Mapping[str, Any], asked: _Sums, refused: bool) -> _Sums:
    """Return what the containers count with, given what the node says that it granted and that they hold.

    As in kube-scheduler 1.37, each of the three is added up over the containers before the largest counts.
    """
    known = {
        container["name"]: container
        for key in ("containerStatuses", "initContainerStatuses")
        for container in status.get(key) or ()
    }
    in_use = (status.get("resources") or {}).get("requests")
    if status.get("allocatedResources") and in_use:
        granted, held = _parsed(status["allocatedResources"]), _parsed(in_use)
    elif any("allocatedResources" in item or "resources" in item for item in known.values()):

        def granted_to(container: Mapping[str, Any], where: str) -> _Sums:
            amounts = known.get(container.get("name"), {}).get("allocatedResources")
            if amounts:
                return _parsed(amounts)
            return {} if refused else _parsed((container.get("resources") or {}).get("requests"), where)

        def held_by(container: Mapping[str, Any], where: str) -> _Sums:
            amounts = (known.get(container.get("name"), {}).get("resources") or {}).get("requests")
            return _parsed(amounts) if amounts else granted_to(container, where)

        granted, held = _effective(spec, granted_to, "spec"), _effective(spec, held_by, "spec")
    else:
        return asked
    total = {} if refused else dict(asked)
    _raise_to(total, granted)
    _raise_to(total, held)
    return total


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


def _parsed(quantities: Mapping[str, Any] | None, field: str = "status") -> _Sums:
    return {name: thousandths(value, f"{field}.{name}") for name, value in (quantities or {}).items()}


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
