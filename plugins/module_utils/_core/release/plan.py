# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release needs next, decided from a comparison: nothing, an install, or an upgrade and how.

The decision is pure: who asks gives the comparison, and a function that tells whether pods would fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ..cluster.client import JSONObject
from ..placement.scheduling import PodShape
from ..placement.verdict import Verdict
from .comparison import Comparison
from .rendering import Rendered
from .request import server_labels


@dataclass(frozen=True)
class Room:
    """The places that a step needs: how many more pods, and whose places count as free."""

    shape: PodShape
    pods: int
    releasing: Mapping[str, str] | None = None
    claims: tuple[str, ...] = ()


class Assess(Protocol):
    """Tells whether there is room, as :func:`..placement.capacity.assess` does."""

    def __call__(self, room: Room, /) -> Verdict:
        """Return the verdict."""


@dataclass(frozen=True)
class Plan:
    """The next step for a release, and what it was decided from."""

    action: str  #: none, install or upgrade
    comparison: Comparison
    strategy: str  #: how pods are replaced, in the chart's words
    room: Room | None = None  #: what the capacity check was asked
    verdict: Verdict | None = None  #: and what it said, where pods are to be made
    rendered: Rendered | None = None

    @property
    def changed(self) -> bool:
        """Tell whether a new Helm revision is needed."""
        return self.action != "none"

    @property
    def wanted(self) -> Rendered:
        """What is to be on record: rendered with the strategy that was chosen."""
        return self.rendered or self.comparison.rendered

    @property
    def turns(self) -> int:
        """How many pods start one after the other, each when the one before is ready.

        Where nothing is to be changed, that is about a rollout that an earlier run began.
        """
        before = self.comparison
        at_once = before.live is None or self.strategy == "recreate"
        if at_once or (self.changed and not before.replaces_pods):
            return 1
        return max(1, before.replicas)

    @property
    def interrupts(self) -> bool:
        """Tell whether the model is away while this step runs."""
        before = self.comparison
        if not self.changed:
            return False
        if not before.serves:
            return True
        if not before.replaces_pods:
            return False
        several = before.replicas_before > 1
        return self.strategy == "recreate" or (self.strategy == "unavailable-first" and not several)


def plan_change(
    comparison: Comparison,
    asked: str | None,
    assess: Assess | None,
    render: Callable[[str], Rendered],
) -> Plan:
    """Decide what is to be done; without ``assess`` nobody looks for room.

    ``asked`` is the strategy that the user wants, None to choose one. ``render`` renders with the one that
    was chosen.
    """
    plan = _decide(comparison, asked, assess)
    if plan.strategy == comparison.rendered.strategy:
        return plan
    return replace(plan, rendered=render(plan.strategy))


def _decide(comparison: Comparison, asked: str | None, assess: Assess | None) -> Plan:
    rendered = comparison.rendered
    if comparison.in_sync:
        return Plan("none", comparison, rendered.strategy)
    action = "install" if comparison.record is None else "upgrade"
    replaces, wanted = comparison.replaces_pods, comparison.replicas
    template = rendered.deployment["spec"]["template"]
    shape = PodShape.from_pod_template(template, rendered.spec.namespace)
    room = Room(shape, wanted, claims=rendered.claims)
    if not wanted or not (replaces or wanted > comparison.replicas_before):
        return Plan(action, comparison, rendered.strategy)
    if comparison.live is None:
        return Plan(action, comparison, rendered.strategy, room, assess(room) if assess else None)
    if asked is None and comparison.holds_volume_alone:
        asked = "recreate"
    if assess is None:
        # Where nobody looks for a free slot, none is counted on.
        return Plan(action, comparison, asked or "unavailable-first")
    strategy, room, verdict = _choose_strategy(
        rendered.spec.name,
        room,
        _surge_needs(shape, comparison.live, wanted, replaces=replaces),
        asked,
        assess,
    )
    return Plan(action, comparison, strategy, room, verdict)


def _choose_strategy(
    name: str, room: Room, surge_needs: int, asked: str | None, assess: Assess
) -> tuple[str, Room, Verdict]:
    """Pick how pods are replaced, so that an update never waits for a GPU that the update itself holds.

    With free slots a new pod starts first (surge). Without them, an old pod must go first.
    """
    if asked in (None, "surge"):
        beside = replace(room, pods=surge_needs)
        verdict = assess(beside)
        if verdict.fits or asked == "surge":
            return "surge", beside, verdict
    instead = replace(room, releasing=server_labels(name))
    return asked or "unavailable-first", instead, assess(instead)


def _surge_needs(shape: PodShape, live: JSONObject, wanted: int, *, replaces: bool) -> int:
    """Return how many slots must be free besides those of the old pods, so that a surge comes to its end."""
    added = max(0, wanted - int(live["spec"].get("replicas", 1)))
    if not replaces:
        return added
    # One slot goes round only where each new pod fits where an old one was.
    return min(wanted, added + 1) if _old_places_fit(shape, live) else wanted


def _old_places_fit(shape: PodShape, live: JSONObject) -> bool:
    """Tell whether a new pod can take the place of any old one."""
    wanted, status = int(live["spec"].get("replicas", 1)), live.get("status") or {}
    if not status.get("replicas", 0) == status.get("updatedReplicas", 0) == wanted:
        # An earlier update is not through, so the Deployment does not tell what its pods are like.
        return False
    template = live["spec"]["template"]
    old = PodShape.from_pod_template(template, shape.namespace)
    return (
        all(amount <= old.requests.get(name, 0) for name, amount in shape.requests.items())
        and all(getattr(shape, rule) == getattr(old, rule) for rule in _PLACEMENT)
        and shape.template["spec"].get("runtimeClassName") == template["spec"].get("runtimeClassName")
    )


_PLACEMENT = (
    "node_selector",
    "node_affinity",
    "node_name",
    "tolerations",
    "host_ports",
    "affinity_terms",
    "anti_affinity_terms",
    "spread",
    "claims",
    "priority_class",
)
