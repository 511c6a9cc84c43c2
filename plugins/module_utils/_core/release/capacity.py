# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for room on the cluster, with jittered backoff, and say what is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..cluster.client import ClusterClient
from ..cluster.shared_lists import Lister
from ..common.deadline import Backoff, patiently
from ..common.errors import ErrorClass, PlatformError
from ..placement import capacity
from ..placement.model_memory import ModelMemory
from ..placement.verdict import Verdict
from .plan import Assess, Plan, Room
from .tools import Tools, Waits


def assess_room(
    client: ClusterClient, memory: ModelMemory | None, room: Room, lists: Lister | None = None
) -> Verdict:
    """Tell whether the pods would fit the cluster as it is now, and the model into its GPUs."""
    verdict = capacity.assess(
        client,
        room.shape,
        room.pods,
        room.shape.namespace,
        releasing=room.releasing,
        planned_claims=room.claims,
        node_demand=memory,
        lists=lists,
    )
    if memory is not None:
        verdict.warnings += memory.warnings()
    return verdict


def require_possible(plan: Plan) -> None:
    """Raise ``capacity`` where waiting does not help."""
    if plan.verdict is not None and plan.verdict.permanent:
        raise _capacity_error(plan, plan.verdict.summary(), 0.0)


def wait_for_capacity(tools: Tools, plan: Plan, waits: Waits, assess: Assess) -> None:
    """Wait until the pods of a plan fit. Raises ``capacity`` for no room in time, or never."""
    verdict, room = plan.verdict, plan.room
    if verdict is None or room is None or verdict.fits:
        return
    with tools.permit.step("wait for capacity"):
        _follow(tools, plan, verdict, waits, partial(assess, room))


def _follow(tools: Tools, plan: Plan, verdict: Verdict, waits: Waits, look: Callable[[], Verdict]) -> None:
    deadline = waits.total.share(waits.capacity_s)
    backoff = Backoff(2.0, 30.0)
    polls = 1
    while not verdict.fits:
        if verdict.permanent or deadline.expired():
            raise _capacity_error(plan, verdict.summary(), deadline.elapsed(), polls)
        delay = min(backoff.next(), deadline.remaining())
        tools.progress(
            f"{plan.wanted.spec.name}: waiting for capacity: {verdict.message} (next look in {delay:.0f} s)"
        )
        deadline.pause(delay)
        verdict = patiently(look, deadline, tools.progress)
        polls += 1


def _capacity_error(plan: Plan, capacity: dict[str, Any], waited: float, polls: int = 1) -> PlatformError:
    name = plan.wanted.spec.name
    if capacity["permanent"]:
        message = f"{name} does not fit this cluster: {capacity['message']}"
        advice = (
            "Waiting does not help: change the request, the node selection or the cluster. Where the cluster "
            "makes room once a pod waits, as autoscalers do, turn off check_capacity (vllm_check_capacity)."
        )
    else:
        message = f"{name}: no capacity within {waited:.0f} s: {capacity['message']}"
        advice = (
            "Free GPUs, add nodes, or give a longer capacity_timeout (vllm_capacity_timeout). "
            "The release was not changed."
        )
    details = {"capacity": capacity, "waited_s": round(waited, 3), "polls": polls}
    return PlatformError(ErrorClass.CAPACITY, message, advice, details)
