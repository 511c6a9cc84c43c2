# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a rollback will go and how long it will take: said before it starts, from plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...registry.durations import Estimate
from ...registry.manifests import named
from ..differences import shown, value_differences


class Way(StrEnum):
    """How the model comes back. A switch of the route to a revision that was kept has its place here."""

    NONE = "none"  #: it is there already
    WARM = "warm"  #: new pods, with the image and the weights that are there
    COLD = "cold"  #: new pods, which fetch image or weights
    IN_PLACE = "in_place"  #: no new pods: only other objects change
    REMOVE = "remove"  #: the first revision is taken away


@dataclass(frozen=True)
class Side:
    """One of the two manifests, in what people compare."""

    revision: int | None
    digest: str | None
    chart_version: str | None = None
    image: str | None = None
    model_revision: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """What decides how it goes."""

    changed: bool  #: Helm makes a new revision
    new_pods: bool
    interrupts: bool  #: clients are without the model meanwhile
    fetches: tuple[str, ...] = ()  #: what new pods have to fetch before they can start: image, weights
    strategy: str = ""


@dataclass(frozen=True)
class RollbackPlan:
    """What will be restored, which way it goes, and what that means for clients. Times in seconds."""

    before: Side
    after: Side | None
    way: Way
    interrupts: bool
    strategy: str
    fetches: tuple[str, ...]  #: what new pods have to fetch: image, weights
    expected_s: float | None
    away_s: float | None  #: None where nobody knows
    based_on: int  #: operations that the times come from
    same: bool  #: those operations made this very manifest
    differences: tuple[str, ...]


def plan_rollback(
    before: Side, after: Side | None, seen: Observed, expected: Estimate | None
) -> RollbackPlan:
    """Return the plan; ``after`` is None where the model is taken away."""
    way = _way(after, seen)
    seconds = expected.seconds if expected is not None else None
    if way not in (Way.WARM, Way.COLD):
        seconds = None
    interrupts = seen.interrupts and way is not Way.NONE
    away = seconds if interrupts else 0.0
    return RollbackPlan(
        before,
        after,
        way,
        interrupts,
        seen.strategy if way in (Way.WARM, Way.COLD) else "",
        seen.fetches if way is Way.COLD else (),
        seconds,
        None if way is Way.REMOVE else away,
        expected.operations if expected is not None and seconds is not None else 0,
        expected is not None and expected.same,
        tuple(_differences(before, after)) if after is not None else (),
    )


def _way(after: Side | None, seen: Observed) -> Way:
    if after is None:
        return Way.REMOVE
    if not seen.changed:
        return Way.NONE
    if not seen.new_pods:
        return Way.IN_PLACE
    return Way.COLD if seen.fetches else Way.WARM


def _differences(before: Side, after: Side) -> Iterator[str]:
    for name in ("chart_version", "image", "model_revision"):
        was, will = getattr(before, name), getattr(after, name)
        if was != will:
            yield f"{name}: {shown(was)} -> {shown(will)}"
    yield from value_differences(before.values, after.values)


_WAYS = {
    Way.WARM: "warm: new pods, image and weights are there",
    Way.COLD: "cold: new pods, which fetch",
    Way.IN_PLACE: "in place: no pod is replaced",
    Way.REMOVE: "the first revision is taken away, nothing is left",
}


def lines(plan: RollbackPlan) -> list[str]:
    """Return the plan for people."""
    if plan.way is Way.NONE:
        return [f"stays at {_named(plan.before)}"]
    to = _named(plan.after) if plan.after else "nothing"
    if plan.after is not None and plan.after.digest == plan.before.digest:
        found = [f"restores {to}, which was changed on the cluster"]
    else:
        found = [f"from {_named(plan.before)} to {to}"]
    found += [f"  {line}" for line in plan.differences]
    way = " ".join(["way:", _WAYS[plan.way], " and ".join(plan.fetches)]).rstrip()
    found.append(f"{way} (strategy {plan.strategy})" if plan.strategy else way)
    if plan.way is Way.REMOVE:
        return found
    if plan.way is Way.IN_PLACE:
        pass
    elif plan.expected_s is None:
        found.append("expected: unknown, no operation of this model is on record")
    else:
        made = "that made this very manifest" if plan.same else "of this model"
        found.append(f"expected: {plan.expected_s:g} s, by {plan.based_on} operation(s) {made}")
    if plan.interrupts:
        known = f" for about {plan.away_s:g} s" if plan.away_s is not None else ""
        found.append(f"clients: without the model{known}")
    else:
        found.append("clients: served all the time")
    return found


def _named(side: Side) -> str:
    if side.revision is None:
        return "nothing"
    return named(side.revision, side.digest or "")
