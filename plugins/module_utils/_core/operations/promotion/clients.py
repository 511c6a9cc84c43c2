# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients get in the target: noted before the release, and asked again and again after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...common.errors import PlatformError
from ...metrics.window import MetricsSource, Subject
from .gates.baseline import against_baseline
from .gates.gate import Gate, attempt
from .gates.limits import BOUNDS, MetricLimits
from .gates.metrics import gates_of, metric_gates, unasked

# The shortest window that may be asked about.
_SHORTEST_S = BOUNDS["window_s"][0]


@dataclass
class Clients:
    """Asks one source of metrics about one model server."""

    source: MetricsSource[Any]
    subject: Subject
    limits: MetricLimits
    say: Callable[[str], None]
    before: Sequence[Gate] = ()
    _mark: Any = field(default=None, repr=False)
    _unasked: PlatformError | None = None

    def so_far(self, age_s: Callable[[], float]) -> list[Gate]:
        """Return the gates over the last window, no longer than what is there has been there.

        A source that remembers would count the answers of what was there before.
        """
        if not self.source.remembers:
            return metric_gates(self.source, self.subject, self.limits)
        wanted, age = self.limits.window_s, max(_SHORTEST_S, age_s())
        if age >= wanted:
            return metric_gates(self.source, self.subject, self.limits)
        told = f"only the {age:.0f} s since the manifest was recorded are looked at, of {wanted:g} s"
        gates = metric_gates(self.source, self.subject, replace(self.limits, window_s=age))
        return [replace(gate, reason=f"{gate.reason}; {told}") for gate in gates]

    def look_before(self) -> None:
        """Begin to look at what clients get from what is there; a source that remembers need not."""
        if not self.source.remembers:
            self.begin()

    def note_before(self) -> None:
        """Note what clients got so far, to set what comes beside it."""
        if self.source.remembers:
            self.before = metric_gates(self.source, self.subject, self.limits)
        elif self._mark is not None:
            self.before = self.ask()

    def begin(self) -> None:
        """Begin the window that :meth:`ask` is about."""
        self._mark, self._unasked = None, None
        mark = attempt(lambda: self.source.begin(self.subject))
        if isinstance(mark, PlatformError):
            self._unasked = mark
            self.say(f"what clients get cannot be looked at: {mark.message}")
        else:
            self._mark = mark

    def ask(self) -> list[Gate]:
        """Return the gates since the window began, beside what clients got before."""
        if self._mark is None:
            return unasked(self.source.name, self.limits, self._unasked) if self._unasked else []
        window = attempt(lambda: self.source.end(self._mark))
        if isinstance(window, PlatformError):
            return unasked(self.source.name, self.limits, window)
        return against_baseline(self.before, gates_of(window, self.source.name, self.limits))
