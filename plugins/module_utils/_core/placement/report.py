# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for a capacity assessment: what is missing, who holds it, what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..common.quantity import format_amount
from .scheduling import Misfit, Node, is_extended_resource
from .verdict import Assessment, Verdict

#: Nodes listed in a result; a cluster may have thousands. The counts are always complete.
LISTED = 50
_NAMED = 3


def write_verdict(found: Assessment) -> Verdict:
    """Turn what was found out into the verdict."""
    word = _word(found)
    message, resolution = _texts(found, word)
    shape, occupancy = found.shape, found.occupancy
    nodes = occupancy.nodes
    by_name = sorted(found.room)
    excluded = sorted(found.misfits.items(), key=lambda item: (item[1].cause != "resource", item[0]))
    return Verdict(
        verdict=word,
        replicas=found.replicas,
        placeable=_allowed(found),
        message=message,
        resolution=resolution,
        exact=found.exact,
        resource=occupancy.resource,
        needs={name: format_amount(name, amount) for name, amount in shape.needs().items()},
        api=found.api,
        nodes_total=len(nodes),
        nodes_fit=[
            {
                "node": name,
                "free": _free(nodes[name], shape.needs()),
                "slots": found.room[name],
                "ready": nodes[name].ready,
            }
            for name in by_name[:LISTED]
        ],
        nodes_excluded=[_excluded(name, misfit) for name, misfit in excluded[:LISTED]],
        excluded_by=dict(Counter(misfit.cause for misfit in found.misfits.values())),
        holders=_holders(found),
        quota=[line.as_result() for line in found.quota.lines],
        refusals=_refusals(found),
        terminating=occupancy.terminating,
        pending=[
            {
                "pods": kind.names,
                "count": kind.count,
                "priority": kind.shape.priority,
                "ahead": not kind.refused,
                "needs": {n: format_amount(n, a) for n, a in kind.shape.needs().items()},
            }
            for kind in list(occupancy.waiting.values())[:LISTED]
        ],
        preemption=found.preemption_nodes[:LISTED],
        warnings=_warnings(found),
    )


def _allowed(found: Assessment) -> int:
    room = found.quota.room()
    if _refusals(found):
        return 0
    return found.placeable if room is None else min(found.placeable, room)


def _refusals(found: Assessment) -> list[str]:
    return [*found.refusals, *found.quota.refusals]


def _quota_never(found: Assessment) -> bool:
    return any(line.hard < line.need * found.replicas for line in found.quota.lines)


def _word(found: Assessment) -> str:
    wanted = found.replicas
    if wanted and (_refusals(found) or _quota_never(found) or found.placeable_when_empty < wanted):
        return "never_fits"
    if _allowed(found) >= wanted:
        return "fits"
    room = found.quota.room()
    if room is not None and room < wanted:
        return "no_room"
    if found.placeable_by_preemption >= wanted:
        return "fits_by_preemption"
    if found.placeable_after_termination >= wanted:
        return "fits_after_termination"
    return "no_room"


def _free(node: Node, needs: dict[str, int]) -> dict[str, str]:
    return {name: format_amount(name, node.free(name)) for name in (*needs, "pods")}


def _excluded(name: str, misfit: Misfit) -> dict[str, Any]:
    return {
        "node": name,
        "cause": misfit.cause,
        "reason": misfit.reason,
        "resource": misfit.resource,
        "has": misfit.has,
        "needs": misfit.needs,
    }


def _holders(found: Assessment) -> list[dict[str, Any]]:
    """Return who holds the devices on nodes that are eligible, the largest first."""
    total: Counter[str] = Counter()
    for name in _eligible(found):
        total.update(found.occupancy.nodes[name].holders)
    return [
        {"namespace": holder.partition("/")[0], "release": holder.partition("/")[2], "amount": amount}
        for holder, amount in total.most_common(LISTED)
    ]


def _eligible(found: Assessment) -> list[str]:
    short = ("resource", "host_port", "volume_limit", "anti_affinity", "affinity", "spread")
    return [*found.room, *(name for name, misfit in found.misfits.items() if misfit.cause in short)]


def _texts(found: Assessment, word: str) -> tuple[str, str]:
    wanted = found.replicas
    what = "1 replica" if wanted == 1 else f"{wanted} replicas"
    if word == "fits":
        places = [f"{name} ({found.room[name]})" for name in sorted(found.room)]
        return f"Room for {what} of {_needs(found)}, on {_some(places)}.", ""
    if _refusals(found):
        reasons = _some(_refusals(found))
        return f"The namespace {found.shape.namespace} refuses the pod: {reasons}.", _FIX_POD
    room = found.quota.room()
    line = found.quota.tightest()
    if line is not None and room is not None and room < wanted:
        shown = line.as_result()
        message = (
            f"ResourceQuota {line.quota} of namespace {found.shape.namespace} leaves room for {room} of "
            f"{what}: {line.resource} has {shown['used']} of {shown['hard']} used, each replica needs "
            f"{shown['need']}."
        )
        return message, _RAISE_QUOTA if _quota_never(found) else _FREE_QUOTA
    in_use = [claim for claim in found.claims.single_pod if found.occupancy.claim_users.get(claim)]
    if in_use:
        return f"Another pod uses the claim {_some(in_use)}, which is ReadWriteOncePod.", _FREE_CLAIM
    if found.claims.blocked:
        waits = all(found.claims.blocked.values())
        return f"{_some(list(found.claims.blocked))}.", _WAIT_CLAIM if waits else _FIX_CLAIM
    head = f"Room for {found.placeable} of {what}" if found.placeable else f"No room for {what}"
    return f"{head}: {_needs(found)} needed on one node. {_why(found)}{_coming(found, word)}", _advice(word)


_FIX_POD = "Change the pod's resources, or ask the owner of the namespace to change its limits."
_RAISE_QUOTA = "Ask for a larger quota, or deploy fewer or smaller replicas."
_FREE_QUOTA = "Remove what the namespace no longer needs, wait for it, or ask for a larger quota."
_WAIT_CLAIM = "It can heal by itself: look at the events of the claim."
_FREE_CLAIM = "Wait until that pod is gone, or use a claim that several pods may mount."
_FIX_CLAIM = "Create the claim, or name one that exists."


def _advice(word: str) -> str:
    if word == "never_fits":
        return (
            "Waiting does not help: change what the pod asks for (its size, node selector, tolerations, "
            "replicas) or add nodes that have it."
        )
    if word == "fits_by_preemption":
        return "The scheduler would evict pods of lower priority to make room."
    if word == "fits_after_termination":
        return "Wait: pods that are being deleted still hold it."
    return "Wait for a holder to finish, remove a release, or ask for less."


def _needs(found: Assessment) -> str:
    needs = sorted(found.shape.needs().items(), key=lambda item: (not is_extended_resource(item[0]), item[0]))
    shown = ", ".join(f"{format_amount(name, amount)} {name}" for name, amount in needs)
    return shown or "a pod without requests"


def _some(items: list[str], limit: int = _NAMED) -> str:
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"


def _why(found: Assessment) -> str:
    nodes = found.occupancy.nodes
    if not nodes:
        return "The cluster has no nodes."
    eligible = _eligible(found)
    if not eligible:
        text = f"None of {_count(len(nodes), 'node')} qualifies: {_grouped(found.misfits.values())}."
        return text if found.api["source"] != "dra" else f"{text} {found.api['detail']}."
    lacking = [name for name in eligible if name in found.misfits]
    if not lacking:
        return f"{_count(len(eligible), 'node')} can take {sum(found.room.values())} in all."
    resource = _scarcest(found, lacking)
    if resource is None:
        return f"{_count(len(lacking), 'node')}: {_grouped(found.misfits[name] for name in lacking)}."
    having = [name for name in eligible if nodes[name].allocatable.get(resource, 0) > 0]
    if not having:
        detail = f" ({found.api['detail']})" if is_extended_resource(resource) else ""
        return f"None of {_count(len(eligible), 'eligible node')} has {resource}{detail}."
    best = max(having, key=lambda name: (nodes[name].free(resource), name))
    free = format_amount(resource, max(nodes[best].free(resource), 0))
    held = [f"{holder} ({amount})" for holder, amount in Counter(nodes[best].holders).most_common()]
    by = f", held by {_some(held)}" if held and resource == found.occupancy.resource else ""
    has = "has" if len(having) == 1 else "have"
    return f"{_count(len(having), 'node')} {has} {resource}, most free is {free} on {best}{by}."


def _scarcest(found: Assessment, lacking: list[str]) -> str | None:
    resources = Counter(
        misfit.resource for misfit in (found.misfits[name] for name in lacking) if misfit.resource
    )
    if sum(resources.values()) * 2 < len(lacking):
        return None
    return resources.most_common(1)[0][0]


def _grouped(misfits: Iterable[Misfit]) -> str:
    counts = Counter(misfit.reason for misfit in misfits)
    return "; ".join(f"{count} x {reason}" for reason, count in counts.most_common(_NAMED)) + (
        f"; and {len(counts) - _NAMED} other reasons" if len(counts) > _NAMED else ""
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _coming(found: Assessment, word: str) -> str:
    parts: list[str] = []
    resource = found.occupancy.resource
    if word != "never_fits" and found.occupancy.terminating_pods and resource:
        eligible = (found.occupancy.nodes[name] for name in _eligible(found))
        amount = sum(node.terminating.get(resource, 0) for node in eligible)
        if amount:
            parts.append(f"{format_amount(resource, amount)} {resource} come free when terminating pods end.")
    parts += [
        f"Each pod needs a volume of its own, and {len(choice.volumes)} are there."
        for choice in found.claims.choices
        if choice.each and len(choice.volumes) < found.replicas
    ]
    ahead = sum(kind.count for kind in found.occupancy.waiting.values() if not kind.refused)
    if ahead:
        parts.append(f"{_count(ahead, 'pending pod')} of equal or higher priority come first.")
    if word == "fits_by_preemption":
        parts.append(f"Pods of lower priority run on {_some(found.preemption_nodes)}.")
    return " " + " ".join(parts) if parts else ""


def _warnings(found: Assessment) -> list[str]:
    warnings: list[str] = []
    absent = [name for name in found.room if not found.occupancy.nodes[name].ready]
    if absent:
        warnings.append(
            f"The pod tolerates nodes that are not Ready, and the scheduler may choose them: {_some(absent)}."
        )
    for claim in found.claims.single_node:
        users = sorted(found.occupancy.claim_users.get(claim, ()))
        if users:
            where = f"mounted on {_some(users)}: pods on other nodes will not start"
            warnings.append(f"Claim {claim} is ReadWriteOnce and {where}.")
        elif found.replicas > 1:
            text = f"Claim {claim} is ReadWriteOnce: replicas on different nodes will not all start."
            warnings.append(text)
    if not found.exact:
        warnings.append("The answer depends on which nodes the scheduler prefers: take it as an estimate.")
    return warnings
