# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of a deployment: a row a case, which step comes next."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import (
    Step,
    next_step,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import (
    LockIs,
    ReleaseIs,
    State,
    Wanted,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.walk import STEPS

FREE, OURS, THEIRS, UNUSED = LockIs.FREE, LockIs.OURS, LockIs.THEIRS, LockIs.UNUSED
DEPLOYED, FAILED, PENDING = ReleaseIs.DEPLOYED, ReleaseIs.FAILED, ReleaseIs.PENDING
UNINSTALLING, ABSENT = ReleaseIs.UNINSTALLING, ReleaseIs.ABSENT

#: A model that was deployed well and that nobody has touched since.
GOOD: dict[str, Any] = {
    "release": DEPLOYED,
    "on_record": True,
    "serves": True,
    "rolled_out": True,
    "row": "ready",
}
#: One whose values were changed: what is on record serves.
STALE = GOOD | {"on_record": False, "rolled_out": False}
DRIFTED = GOOD | {"drifted": True, "rolled_out": False}
#: One whose pods went away by themselves.
DOWN = GOOD | {"rolled_out": False, "serves": False}
NEVER: dict[str, Any] = {"release": ABSENT, "row": "absent"}
BROKEN = STALE | {"release": FAILED}
PLANNED = {"lock": OURS, "planned": True}
ROOM = PLANNED | {"room": True}

PRESENT = [
    # what is there, and the step that is next
    ("never deployed", NEVER | {"lock": FREE}, Step.LOCK),
    ("never deployed, somebody at it", NEVER | {"lock": THEIRS}, Step.LOCK),
    ("never deployed, locked", NEVER | {"lock": OURS}, Step.PLAN),
    ("never deployed, planned", NEVER | PLANNED, Step.ANNOUNCE),
    ("never deployed, announced", NEVER | PLANNED | {"announced": True}, Step.CAPACITY),
    ("never deployed, there is room", NEVER | ROOM | {"announced": True}, Step.RELEASE),
    ("installed", DOWN | ROOM | {"announced": True}, Step.ROLLOUT),
    ("installed, ready", GOOD | ROOM | {"announced": True}, Step.VERIFY),
    ("installed, answers", GOOD | ROOM | {"verified": True}, Step.REGISTER),
    ("installed, registered", GOOD | ROOM | {"verified": True, "registered": True}, Step.FINISH),
    ("installed, finished", GOOD | {"lock": FREE, "verified": True, "registered": True}, Step.DONE),
    ("as wanted", GOOD | {"lock": FREE}, Step.VERIFY),
    ("as wanted, somebody at it", GOOD | {"lock": THEIRS}, Step.VERIFY),
    ("as wanted, answers", GOOD | {"lock": FREE, "verified": True}, Step.REGISTER),
    (
        "as wanted, a failed row",
        GOOD | {"lock": FREE, "verified": True, "row": "failed"},
        Step.REGISTER,
    ),
    (
        "as wanted, answers, the row is to be written after somebody else",
        GOOD | {"lock": THEIRS, "verified": True, "needs_lock": True},
        Step.LOCK,
    ),
    (
        "as wanted, written after somebody else",
        GOOD | {"lock": FREE, "verified": True, "registered": True, "needs_lock": True},
        Step.DONE,
    ),
    ("as wanted, no row", GOOD | {"lock": FREE, "verified": True, "row": "absent"}, Step.REGISTER),
    ("as wanted, disabled", GOOD | {"lock": FREE, "verified": True, "row": "disabled"}, Step.REGISTER),
    ("out of sync", STALE | {"lock": FREE}, Step.LOCK),
    ("out of sync, somebody at it", STALE | {"lock": THEIRS}, Step.LOCK),
    ("out of sync, locked", STALE | {"lock": OURS}, Step.PLAN),
    ("out of sync, planned", STALE | PLANNED, Step.CAPACITY),
    ("out of sync, there is room", STALE | ROOM, Step.RELEASE),
    (
        "out of sync, would interrupt, no room",
        STALE | PLANNED | {"interrupts": True},
        Step.CAPACITY,
    ),
    ("out of sync, would interrupt, there is room", STALE | ROOM | {"interrupts": True}, Step.ANNOUNCE),
    (
        "out of sync, would interrupt, announced",
        STALE | ROOM | {"interrupts": True, "announced": True},
        Step.RELEASE,
    ),
    ("out of sync and away", STALE | PLANNED | {"serves": False}, Step.ANNOUNCE),
    (
        "out of sync and away, announced",
        STALE | PLANNED | {"serves": False, "announced": True},
        Step.CAPACITY,
    ),
    ("upgraded, pods on their way", GOOD | ROOM | {"rolled_out": False}, Step.ROLLOUT),
    ("drifted", DRIFTED | {"lock": FREE}, Step.LOCK),
    ("drifted, locked", DRIFTED | {"lock": OURS}, Step.PLAN),
    ("drifted, there is room", DRIFTED | ROOM, Step.RELEASE),
    ("drifted though all are ready", GOOD | ROOM | {"drifted": True}, Step.RELEASE),
    ("its Deployment was deleted", DRIFTED | PLANNED | {"serves": False}, Step.ANNOUNCE),
    ("failed before", BROKEN | {"lock": FREE}, Step.LOCK),
    ("failed before, locked", BROKEN | {"lock": OURS}, Step.PLAN),
    ("failed before, there is room", BROKEN | ROOM, Step.RELEASE),
    ("pods are away", DOWN | {"lock": FREE}, Step.LOCK),
    ("pods are away, locked", DOWN | {"lock": OURS}, Step.ANNOUNCE),
    ("pods are away, announced", DOWN | {"lock": OURS, "announced": True}, Step.ROLLOUT),
    ("pods are being replaced", GOOD | {"lock": OURS, "rolled_out": False}, Step.ROLLOUT),
    ("left in an install", NEVER | {"lock": FREE, "release": PENDING}, Step.LOCK),
    ("left in an install, somebody at it", NEVER | {"lock": THEIRS, "release": PENDING}, Step.LOCK),
    ("left in an install, locked", NEVER | {"lock": OURS, "release": PENDING}, Step.ANNOUNCE),
    (
        "left in an install, announced",
        NEVER | {"lock": OURS, "release": PENDING, "announced": True},
        Step.RECOVER,
    ),
    ("left in an upgrade", STALE | {"lock": OURS, "release": PENDING}, Step.RECOVER),
    ("left in an uninstall", STALE | {"lock": OURS, "release": UNINSTALLING}, Step.ANNOUNCE),
    (
        "left in an uninstall, announced",
        STALE | {"lock": OURS, "release": UNINSTALLING, "announced": True},
        Step.RECOVER,
    ),
    ("left in an uninstall, recovered", NEVER | {"lock": OURS, "row": "ready"}, Step.PLAN),
    ("left in an uninstall, planned", NEVER | PLANNED | {"row": "ready"}, Step.ANNOUNCE),
    ("a dead run's row", NEVER | PLANNED | {"row": "deploying", "announced": True}, Step.CAPACITY),
]

WITHOUT_REGISTRY = [
    ("never deployed", NEVER, Step.PLAN),
    ("never deployed, planned", NEVER | {"planned": True}, Step.CAPACITY),
    ("there is room", NEVER | {"planned": True, "room": True}, Step.RELEASE),
    ("would interrupt", STALE | {"planned": True, "room": True, "interrupts": True}, Step.RELEASE),
    ("installed", DOWN | {"planned": True, "room": True}, Step.ROLLOUT),
    ("left in an upgrade", STALE | {"release": PENDING}, Step.RECOVER),
    ("ready", GOOD, Step.VERIFY),
    ("answers", GOOD | {"verified": True}, Step.DONE),
]

REMOVAL = [
    ("never was", NEVER | {"lock": FREE}, Step.DONE),
    ("never was, somebody at it", NEVER | {"lock": THEIRS}, Step.DONE),
    ("serves", GOOD | {"lock": FREE}, Step.LOCK),
    ("serves, locked", GOOD | {"lock": OURS}, Step.WITHDRAW),
    ("withdrawn", GOOD | {"lock": OURS, "row": "absent"}, Step.UNINSTALL),
    ("a row alone", NEVER | {"lock": OURS, "row": "failed"}, Step.WITHDRAW),
    ("a disabled row alone", NEVER | {"lock": FREE, "row": "disabled"}, Step.LOCK),
    (
        "left in an uninstall",
        STALE | {"lock": OURS, "release": UNINSTALLING, "row": "absent"},
        Step.UNINSTALL,
    ),
    ("left in an upgrade", STALE | {"lock": OURS, "release": PENDING, "row": "absent"}, Step.UNINSTALL),
    ("gone", NEVER | {"lock": OURS}, Step.FINISH),
]


@pytest.mark.parametrize(("there", "expected"), [case[1:] for case in PRESENT], ids=[c[0] for c in PRESENT])
def test_next_step_towards_a_model_that_serves(there: dict[str, Any], expected: Step) -> None:
    assert next_step(State(**there), Wanted()) is expected


@pytest.mark.parametrize(
    ("there", "expected"), [case[1:] for case in WITHOUT_REGISTRY], ids=[c[0] for c in WITHOUT_REGISTRY]
)
def test_next_step_without_a_registry(there: dict[str, Any], expected: Step) -> None:
    assert next_step(State(**there), Wanted(registers=False)) is expected


@pytest.mark.parametrize(("there", "expected"), [case[1:] for case in REMOVAL], ids=[c[0] for c in REMOVAL])
def test_next_step_towards_no_model(there: dict[str, Any], expected: Step) -> None:
    assert next_step(State(**there), Wanted(present=False)) is expected


def test_a_release_alone_is_done_when_it_is_ready() -> None:
    wanted = Wanted(verifies=False, registers=False)
    assert next_step(State(**GOOD), wanted) is Step.DONE
    assert next_step(State(**DOWN), wanted) is Step.ROLLOUT


def every_state() -> list[State]:
    flags = ("on_record", "drifted", "serves", "rolled_out", "announced", "planned", "room", "interrupts")
    rest = ("verified", "registered")
    return [
        State(lock, release, row=row, **dict(zip((*flags, *rest), values, strict=True)))
        for lock, release, row in product(LockIs, ReleaseIs, ("absent", "ready"))
        for values in product((False, True), repeat=len(flags) + len(rest))
    ]


def test_nothing_is_changed_without_the_lock_in_any_state() -> None:
    free_to_take = {Step.LOCK, Step.VERIFY, Step.REGISTER, Step.DONE}
    for state in every_state():
        for wanted in (Wanted(), Wanted(present=False)):
            step = next_step(state, wanted)
            if state.lock in (FREE, THEIRS):
                assert step in free_to_take, state
            assert (step is Step.DONE) <= (state.lock is not OURS), state


def test_ready_is_said_only_after_an_answer_in_any_state() -> None:
    for state in every_state():
        if next_step(state, Wanted()) is Step.REGISTER:
            assert state.verified, state
            assert state.in_sync, state
            assert state.rolled_out, state


def test_a_model_is_taken_away_only_when_clients_know_in_any_state() -> None:
    for state in every_state():
        if next_step(state, Wanted()) is Step.RELEASE and not state.announced:
            assert state.serves, state
            assert not state.interrupts, state


#: What each step makes true, at its best.
EFFECTS: dict[Step, dict[str, Any]] = {
    Step.LOCK: {"lock": OURS, "planned": False, "room": False},
    Step.RECOVER: {"release": FAILED, "on_record": False, "planned": False, "room": False},
    Step.PLAN: {"planned": True},
    Step.ANNOUNCE: {"announced": True, "row": "deploying"},
    Step.CAPACITY: {"room": True},
    Step.RELEASE: {"release": DEPLOYED, "on_record": True, "drifted": False, "rolled_out": False},
    Step.ROLLOUT: {"rolled_out": True, "serves": True},
    Step.VERIFY: {"verified": True},
    Step.REGISTER: {"registered": True, "row": "ready"},
    Step.WITHDRAW: {"row": "absent"},
    Step.UNINSTALL: {"release": ABSENT},
    Step.FINISH: {"lock": FREE},
}


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(present=False), Wanted(registers=False)], ids=str)
def test_every_state_comes_to_its_end(wanted: Wanted) -> None:
    for start in every_state():
        if start.lock is UNUSED and wanted.registers:
            continue
        state, taken = start, []
        while (step := next_step(state, wanted)) is not Step.DONE:
            taken.append(step)
            assert len(taken) <= len(EFFECTS), (start, taken)
            state = replace(state, **EFFECTS[step])


def test_every_step_has_its_function() -> None:
    assert set(STEPS) == set(Step) - {Step.OBSERVE, Step.DONE} == set(EFFECTS)
    assert {step: take.__module__.rpartition(".")[2] for step, (take, _) in STEPS.items()} == {
        step: step.value for step in STEPS
    }
