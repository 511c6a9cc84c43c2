# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watch after a promotion: what is a breach, what is nothing, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.after_failure import (
    speaks_against_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.failure import seen
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import Step
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.journal import (
    WATCH_STEP,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.watch import (
    Watch,
    keep_watch,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.tools import Waits
from tests.unit.operations.promotion.cases import NotedPermit, make_run

GOOD = Gate("errors", GateVerdict.PASS, "within the limit", 0.0, 0.01, samples=60)
BAD = Gate("errors", GateVerdict.FAIL, "over the limit", 0.5, 0.01, samples=60)
FEW = Gate("errors", GateVerdict.INCONCLUSIVE, "3 of the 50 samples that are needed", 0.5, samples=3)
DOWN = Gate("errors", GateVerdict.ERROR, "nobody answers", source="prometheus")


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Clients:
    """Says the same gates, then the next ones; the last ones for ever."""

    answers: list[Sequence[Gate]]
    begun: int = 0
    asked: int = 0

    def begin(self) -> None:
        self.begun += 1

    def ask(self) -> list[Gate]:
        self.asked += 1
        return list(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@dataclass
class Server:
    """Answers a completion, or fails as it is told to; then it answers for ever."""

    outcomes: list[ErrorClass | None]
    asked: int = field(default=0)

    def complete(self) -> None:
        self.asked += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            details = {"of_the_server": True} if outcome is ErrorClass.TIMEOUT else {}
            raise PlatformError(outcome, f"no answer {self.asked}", "", details)


@dataclass
class Watched:
    """A watch that was kept."""

    run: Run
    permit: NotedPermit
    said: list[str]
    clients: Clients
    server: Server
    clock: Clock
    error: PlatformError | None = None
    found: list[Gate] | None = None


def watched(
    *answers: Sequence[Gate],
    completions: Sequence[ErrorClass | None] = (),
    total_s: float = 1000.0,
    period_s: float = 60.0,
    lost: Exception | None = None,
    **more: Any,
) -> Watched:
    """Watch for 60 s, every 15 s."""
    clock, clients, server = Clock(), Clients(list(answers or [[GOOD]])), Server(list(completions))
    run, permit, said = make_run(Waits(Deadline(total_s, clock, clock.sleep)))
    permit.lost = lost
    wanted = Watch(period_s, 15.0, clients, server.complete, **more)  # type: ignore[arg-type]
    done = Watched(run, permit, said, clients, server, clock)
    try:
        done.found = keep_watch(run, wanted)
    except PlatformError as error:
        done.error = error
    return done


def answered(count: int) -> Gate:
    """Return the gate of completions that were all answered."""
    told = f"{count} were answered"
    return Gate("completions", GateVerdict.PASS, told, samples=count, source="endpoint")


def against_the_model(done: Watched) -> bool:
    """Tell whether how it ended takes the promotion back."""
    return done.error is not None and speaks_against_manifest(seen(done.run, done.error))


def test_a_watch_asks_again_and_again_until_its_period_is_over() -> None:
    done = watched()
    assert (done.found, done.clock.now) == ([answered(4), GOOD], 60.0)
    assert (done.clients.begun, done.clients.asked, done.server.asked) == (1, 4, 4)
    assert (done.run.step, done.run.on_trial, done.run.warnings) == (Step.FINISH, False, [])
    (name, outcome, detail), *others = done.permit.steps
    assert (name, outcome, others) == (WATCH_STEP, "succeeded", [])
    assert detail["manifest_digest"] == done.run.compared().rendered.digest
    assert (detail["watched_s"], detail["gates"]) == (60.0, [answered(4).as_json(), GOOD.as_json()])


def test_the_last_look_is_at_the_end_of_a_period_that_the_interval_does_not_divide() -> None:
    done = watched(period_s=50.0)
    assert (done.clock.now, done.clients.asked) == (50.0, 4)


@pytest.mark.parametrize("before", [0, 2])
def test_a_breach_ends_it_at_once_and_speaks_against_what_was_promoted(before: int) -> None:
    done = watched(*[[GOOD]] * before, [BAD])
    assert done.error is not None
    assert (done.error.error_class, done.clients.asked) == (ErrorClass.VERIFICATION, before + 1)
    assert "errors: over the limit" in done.error.message
    assert done.error.details["gates"] == [BAD.as_json()]
    assert done.error.details["failed_step"] == "watch"
    assert against_the_model(done)
    assert done.permit.steps[0][:2] == (WATCH_STEP, "failed")


@pytest.mark.parametrize("gate", [FEW, DOWN])
def test_without_samples_it_says_so_and_does_nothing(gate: Gate) -> None:
    done = watched([gate])
    assert (done.error, done.found, done.clock.now) == (None, [answered(4), gate], 60.0)
    (warning,) = done.run.warnings
    assert "nothing is known of errors" in warning
    assert gate.verdict.value in warning
    assert gate.reason in warning
    assert done.permit.steps[0][1] == "succeeded"


def test_what_was_not_known_at_first_is_not_said_in_the_end() -> None:
    assert watched([FEW], [DOWN], [GOOD]).run.warnings == []


SILENT, SLOW = ErrorClass.VERIFICATION, ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    ("completions", "breach"),
    [
        ([SILENT], False),
        ([None, SILENT, None], False),
        ([SILENT, None, SILENT, None], False),
        ([SILENT, SILENT], True),
        ([SLOW, SILENT], True),
        ([None, None, SLOW, SLOW], True),
        # Whoever could not be asked has said nothing, neither well nor ill.
        ([ErrorClass.INFRASTRUCTURE] * 4, False),
        ([ErrorClass.AUTH] * 4, False),
        ([ErrorClass.INFRASTRUCTURE, SILENT], False),
        ([SILENT, ErrorClass.INFRASTRUCTURE, SILENT], True),
        ([SILENT, ErrorClass.INFRASTRUCTURE, None, SILENT], False),
        # At the end one is asked once more, and decides.
        ([None, None, None, SILENT, None], False),
        ([None, None, None, SILENT, SILENT], True),
    ],
)
def test_one_completion_may_fail_and_two_in_a_row_are_a_breach(
    completions: list[ErrorClass | None], breach: bool
) -> None:
    done = watched(completions=completions)
    assert against_the_model(done) is breach
    assert (done.error is None) is not breach
    if breach:
        assert "2 completions in a row were not answered: no answer" in str(done.error)


def test_where_no_completion_could_be_asked_for_that_is_said() -> None:
    done = watched(completions=[ErrorClass.AUTH] * 4)
    assert done.found is not None
    assert done.found[0].verdict is GateVerdict.INCONCLUSIVE
    assert "nothing is known of completions" in done.run.warnings[0]


def test_a_time_that_passed_on_the_way_to_the_server_says_nothing() -> None:
    way = PlatformError(ErrorClass.TIMEOUT, "port-forward failed", "", {"of_the_server": False})

    def complete() -> None:
        raise way

    clock = Clock()
    run, _permit, _said = make_run(Waits(Deadline(1000.0, clock, clock.sleep)))
    keep_watch(run, Watch(60.0, 15.0, None, complete))
    assert run.warnings != []


def test_a_short_watch_looks_more_than_once() -> None:
    done = watched(completions=[SILENT, SILENT], period_s=6.0)
    assert against_the_model(done)


def test_who_lost_the_right_to_write_stops_and_judges_nothing() -> None:
    lost = PlatformError(ErrorClass.FENCED, "the lock was lost", "")
    done = watched([BAD], lost=lost)
    assert (done.error, done.clients.asked, done.server.asked) == (lost, 0, 0)
    assert not against_the_model(done)


def test_a_watch_that_the_whole_deadline_cuts_off_is_no_watch() -> None:
    done = watched(total_s=40.0)
    assert done.error is not None
    assert (done.error.error_class, done.clock.now) == (ErrorClass.TIMEOUT, 40.0)
    assert "after 40 s of 60 s" in done.error.message
    # It is taken up again, and nothing is taken back.
    assert not against_the_model(done)
    assert (done.permit.steps[0][:2], done.run.on_trial) == ((WATCH_STEP, "failed"), False)


def test_a_breach_within_a_watch_that_is_cut_off_is_one() -> None:
    assert against_the_model(watched([GOOD], [BAD], total_s=40.0))


def test_a_completion_that_had_no_time_left_says_nothing_of_the_model() -> None:
    # After 10, 20, 30 and 40 s: the last one is cut off by this run's own deadline.
    done = watched(completions=[None, None, SLOW, SLOW], total_s=40.0)
    assert not against_the_model(done)


def test_nobody_is_asked_where_nobody_is_named() -> None:
    run, permit, _said = make_run(Waits(Deadline(10.0, clock := Clock(), clock.sleep)))
    assert keep_watch(run, Watch(5.0)) == []
    assert (clock.now, permit.steps[0][1]) == (5.0, "succeeded")
