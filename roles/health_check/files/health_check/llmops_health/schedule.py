# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When each entry is checked next, and how: pure bookkeeping, times in seconds of one monotonic clock."""

from __future__ import annotations

import heapq
import random
import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What the registry says of a model: ``status`` is ready or degraded."""

    model: str
    endpoint: str
    status: str
    row_version: int


@dataclass
class Plan:
    """One entry on the schedule."""

    entry: Entry
    due: float
    completion_due: float
    #: A check runs: the next one is planned when it is over.
    busy: bool = False
    #: The last check failed. A healthy answer of /health proves nothing then: it takes a completion.
    suspect: bool = False

    def wants_completion(self, now: float) -> bool:
        """Tell whether the check that starts now has to ask for a completion."""
        return self.suspect or self.entry.status == "degraded" or now >= self.completion_due


class Schedule:
    """Spreads the entries evenly over their intervals and hands out those that are due."""

    def __init__(self, interval_s: float, completion_interval_s: float, jitter: float) -> None:
        self._interval_s = interval_s
        self._completion_interval_s = completion_interval_s
        self._jitter = jitter
        self._plans: dict[str, Plan] = {}
        #: (due, model); a line that does not agree with the plan is old.
        self._queue: list[tuple[float, str]] = []
        self._random = random.Random()  # noqa: S311  (pauses, not secrets)

    def __len__(self) -> int:
        return len(self._plans)

    def update(self, entries: Iterable[Entry], now: float) -> set[str]:
        """Take over what the registry says now; return the models that left."""
        seen = {entry.model: entry for entry in entries}
        gone = self._plans.keys() - seen.keys()
        for model in gone:
            del self._plans[model]
        for model, entry in seen.items():
            plan = self._plans.get(model)
            if plan is not None:
                plan.entry = entry
                continue
            # Its place in the interval follows from its name: spread, and the same in every replica.
            place = zlib.crc32(model.encode()) / 2**32
            completion_due = now + place * self._completion_interval_s
            self._plans[model] = Plan(entry, now + place * self._interval_s, completion_due)
            heapq.heappush(self._queue, (self._plans[model].due, model))
        return gone

    def take(self, now: float) -> list[Plan]:
        """Return what is due, each plan marked as busy."""
        due: list[Plan] = []
        while self._queue and self._queue[0][0] <= now:
            moment, model = heapq.heappop(self._queue)
            plan = self._plans.get(model)
            if plan is not None and not plan.busy and plan.due == moment:
                plan.busy = True
                due.append(plan)
        return due

    def done(self, plan: Plan, now: float, healthy: bool | None, completed: bool) -> None:
        """Plan the next check. ``healthy`` is ``None`` if the check says nothing about the entry."""
        if healthy is not None:
            plan.suspect = not healthy
        if completed:
            plan.completion_due = now + self._pause(self._completion_interval_s)
        plan.busy = False
        # Counted from when it was due, so that the time of the check does not make the interval longer.
        plan.due = max(plan.due + self._pause(self._interval_s), now)
        if self._plans.get(plan.entry.model) is plan:
            heapq.heappush(self._queue, (plan.due, plan.entry.model))

    def next_due(self) -> float | None:
        """Return when the next check is due."""
        return self._queue[0][0] if self._queue else None

    def _pause(self, seconds: float) -> float:
        return seconds * (1 + self._random.uniform(-self._jitter, self._jitter))
