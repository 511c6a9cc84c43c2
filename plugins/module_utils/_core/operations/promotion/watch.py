# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watch after a promotion: what clients get from the new version, set beside what they got before.

A breach that was seen on enough samples is a verification that failed, and is undone as one. Without samples
nothing is known, which is said, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...common.deadline import Deadline
from ...common.errors import ErrorClass, PlatformError
from ..deploy.next_step import Step
from ..deploy.run import Run
from .clients import Clients
from .gates.completions import is_of_the_server
from .gates.gate import Gate, GateVerdict
from .journal import WATCH_STEP

#: Completions of ours that fail one after the other before that is a breach: one may meet a pod that goes.
_FAILURES = 2

#: Between two looks after the end, where the last one has to be made sure of.
_LAST_PAUSE_S = 0.5


@dataclass(frozen=True)
class Watch:
    """How long is watched, and who is asked. Times in seconds.

    ``complete`` asks for one completion, and raises where it is not answered.
    """

    period_s: float = 0.0
    interval_s: float = 15.0
    clients: Clients | None = None  #: None where no metrics are asked
    complete: Callable[[], object] | None = None

    @property
    def wanted(self) -> bool:
        """Tell whether there is anything to watch for."""
        return self.period_s > 0


def keep_watch(run: Run, wanted: Watch) -> list[Gate]:
    """Watch until the period is over; return what was seen last.

    Raises ``verification`` for a breach, and ``timeout`` where no time was left for the whole period: a watch
    that was cut off is none.
    """
    run.say(f"watching for {wanted.period_s:g} s what clients get")
    # What is there was made by this operation, or by one that was killed in its watch.
    run.step, run.on_trial = Step.VERIFY, True
    deadline = run.waits.total.share(wanted.period_s)
    with run.tools.permit.step(WATCH_STEP) as detail:
        seen = _follow(run, wanted, deadline)
        if deadline.seconds < wanted.period_s:
            run.step, run.on_trial = Step.FINISH, False
            raise _cut_off(run, wanted, deadline)
        detail["manifest_digest"] = run.compared().rendered.digest
        detail["watched_s"] = round(deadline.elapsed(), 1)
        detail["gates"] = [gate.as_json() for gate in seen]
    run.step, run.on_trial = Step.FINISH, False
    _say_how_it_went(run, seen, deadline)
    return seen


@dataclass
class _Completions:
    """What came of the completions that the watch itself asks for."""

    run: Run
    ask: Callable[[], object]
    answered: int = 0
    failed: int = 0  #: one after the other, up to now

    def look(self) -> None:
        """Ask for one. Raises ``verification`` for the last of too many in a row that were not answered."""
        try:
            self.ask()
        except PlatformError as error:
            if not is_of_the_server(error) or self.run.waits.total.expired():
                self.run.say(f"a completion could not be asked for: {error.message}")
                return
            self.failed += 1
            if self.failed >= _FAILURES:
                told = f"{_FAILURES} completions in a row were not answered: {error.message}"
                raise _breach(told, []) from error
            self.run.say(f"a completion was not answered: {error.message}")
            return
        self.answered, self.failed = self.answered + 1, 0

    @property
    def gate(self) -> Gate:
        """What they say by now."""
        known = self.answered > 0 and self.failed == 0
        told = (
            f"{self.answered} were answered" if known else "none could be asked for, or the last one failed"
        )
        verdict = GateVerdict.PASS if known else GateVerdict.INCONCLUSIVE
        return Gate("completions", verdict, told, samples=self.answered, source="endpoint")


def _follow(run: Run, wanted: Watch, deadline: Deadline) -> list[Gate]:
    completions = _Completions(run, wanted.complete) if wanted.complete is not None else None
    # A short watch looks more often than it was told to: once is not enough to see anything.
    pause = min(wanted.interval_s, deadline.seconds / (2 * _FAILURES))
    if wanted.clients is not None:
        wanted.clients.begin()
    while True:
        run.waits.total.pause(min(pause, max(deadline.remaining(), _LAST_PAUSE_S)))
        run.tools.permit.watch()
        if completions is not None:
            completions.look()
        seen = wanted.clients.ask() if wanted.clients is not None else []
        if breach := [gate for gate in seen if gate.verdict is GateVerdict.FAIL]:
            raise _breach("; ".join(f"{gate.name}: {gate.reason}" for gate in breach), seen)
        # With one that failed at the end nobody knows yet.
        undecided = completions is not None and completions.failed > 0 and not run.waits.total.expired()
        if deadline.expired() and not undecided:
            return [*([completions.gate] if completions is not None else []), *seen]


def _cut_off(run: Run, wanted: Watch, deadline: Deadline) -> PlatformError:
    return run.waits.total.timeout_error(
        f"The {run.kind} of {run.target.name}",
        f"nothing spoke against it, but the watch was cut off after {deadline.seconds:.0f} s of "
        f"{wanted.period_s:g} s",
        "Run again: it is watched anew. Or give a longer timeout (vllm_timeout).",
    )


def _breach(told: str, seen: Sequence[Gate]) -> PlatformError:
    return PlatformError(
        ErrorClass.VERIFICATION,
        f"The watch after the promotion was breached: {told}",
        "Look at the model's log and at what the source is asked otherwise; then deploy it there again.",
        {"gates": [gate.as_json() for gate in seen], "failed_step": "watch"},
    )


def _say_how_it_went(run: Run, seen: Sequence[Gate], deadline: Deadline) -> None:
    for gate in seen:
        run.say(gate.line)
    told = [gate for gate in seen if gate.verdict is not GateVerdict.PASS]
    if told:
        names = "; ".join(f"{gate.name} ({gate.verdict.value}): {gate.reason}" for gate in told)
        run.warn(
            f"{run.target.name}: nothing spoke against it within {deadline.elapsed():.0f} s, "
            f"but nothing is known of {names}"
        )
