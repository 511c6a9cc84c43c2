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
from ...registry.connection import Session
from ..deploy.next_step import Step
from ..deploy.run import Run
from .clients import Clients
from .gates.gate import Gate, GateVerdict

#: How the journal calls it.
STEP = "watch the promotion"

#: Completions of ours that fail one after the other before that is a breach: one may meet a pod that goes.
_FAILURES = 2

_WATCHED = """
    SELECT EXISTS (
        SELECT FROM operations o JOIN operation_steps s ON s.operation_id = o.id
         WHERE o.model_name = %(model)s AND o.deployment_environment = %(environment)s
           AND s.name = %(step)s AND s.outcome = 'succeeded'
           AND s.detail ->> 'manifest_digest' = %(digest)s
           AND s.started_at >= (
               SELECT max(created_at) FROM deployment_manifests
                WHERE model_name = o.model_name AND deployment_environment = o.deployment_environment
                  AND manifest_digest = %(digest)s))
"""


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


def is_watched(run: Run) -> bool:
    """Tell whether what is there was watched to the end, by this run or by one before."""
    values = {
        "model": run.target.model,
        "environment": run.target.environment,
        "step": STEP,
        "digest": run.compared().rendered.digest,
    }

    def look(session: Session) -> bool:
        row = session.row(_WATCHED, values)
        return row is not None and bool(row[0])

    return run.used_registry.read(look)


def keep_watch(run: Run, wanted: Watch) -> list[Gate]:
    """Watch until the period is over; return what was seen last.

    Raises ``verification`` for a breach, and ``timeout`` where no time was left for the whole period: a watch
    that was cut off is none.
    """
    run.say(f"watching for {wanted.period_s:g} s what clients get")
    # What is there was made by this operation, or by one that was killed in its watch.
    run.step, run.on_trial = Step.VERIFY, True
    deadline = run.waits.total.share(wanted.period_s)
    with run.tools.permit.step(STEP) as detail:
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


def _follow(run: Run, wanted: Watch, deadline: Deadline) -> list[Gate]:
    failures = 0
    if wanted.clients is not None:
        wanted.clients.begin()
    while True:
        deadline.pause(min(wanted.interval_s, deadline.remaining()))
        run.tools.permit.watch()
        failures = _failed_in_a_row(run, wanted, failures)
        seen = wanted.clients.ask() if wanted.clients is not None else []
        if breach := [gate for gate in seen if gate.verdict is GateVerdict.FAIL]:
            raise _breach("; ".join(f"{gate.name}: {gate.reason}" for gate in breach), seen)
        if deadline.expired():
            return seen


def _failed_in_a_row(run: Run, wanted: Watch, before: int) -> int:
    """Ask for a completion; return how many have failed one after the other. Raises for too many."""
    if wanted.complete is None:
        return 0
    try:
        wanted.complete()
    except PlatformError as error:
        # What was not answered by the end of the run's own time says nothing.
        asked = error.error_class in (ErrorClass.VERIFICATION, ErrorClass.TIMEOUT)
        if not asked or run.waits.total.expired():
            run.say(f"a completion could not be asked for: {error.message}")
            return before
        if before + 1 >= _FAILURES:
            raise _breach(
                f"{_FAILURES} completions in a row were not answered: {error.message}", []
            ) from error
        run.say(f"a completion was not answered: {error.message}")
        return before + 1
    return 0


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
