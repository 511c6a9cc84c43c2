# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which step comes next: the one table of a deployment, as a function of where the target stands."""

from __future__ import annotations

from enum import StrEnum

from .state import NO_ROW, LockIs, ReleaseIs, State, Wanted


class Step(StrEnum):
    """A step by its name; each is a function in a file of that name in ``steps``."""

    OBSERVE = "observe"  #: before the first
    LOCK = "lock"
    RECOVER = "recover"
    PLAN = "plan"
    ANNOUNCE = "announce"
    CAPACITY = "capacity"
    RELEASE = "release"
    ROLLOUT = "rollout"
    VERIFY = "verify"
    REGISTER = "register"
    WITHDRAW = "withdraw"
    UNINSTALL = "uninstall"
    FINISH = "finish"
    DONE = "done"


_CUT_OFF = (ReleaseIs.PENDING, ReleaseIs.UNINSTALLING)


def next_step(state: State, wanted: Wanted) -> Step:
    """Return what is to be done now.

    Who finds everything as it should be takes no lock: nothing is changed that others could change too.
    """
    step = _to_present(state, wanted) if wanted.present else _to_absent(state, wanted)
    locked = step in _UNDER_THE_LOCK or (step is Step.REGISTER and state.needs_lock)
    if locked and state.lock in (LockIs.FREE, LockIs.THEIRS):
        return Step.LOCK
    if step is Step.DONE and state.lock is LockIs.OURS:
        return Step.FINISH
    return step


_UNDER_THE_LOCK = (
    Step.RECOVER,
    Step.PLAN,
    Step.ANNOUNCE,
    Step.CAPACITY,
    Step.RELEASE,
    Step.ROLLOUT,
    Step.WITHDRAW,
    Step.UNINSTALL,
)


def _to_present(state: State, wanted: Wanted) -> Step:
    if state.release in _CUT_OFF:
        away = state.release is ReleaseIs.UNINSTALLING or not state.serves
        return Step.ANNOUNCE if wanted.registers and away and not state.announced else Step.RECOVER
    if not (state.in_sync and state.rolled_out):
        return _to_serving(state, wanted)
    if wanted.verifies and not state.verified:
        return Step.VERIFY
    if wanted.registers and not state.registered:
        return Step.REGISTER
    return Step.DONE


def _to_serving(state: State, wanted: Wanted) -> Step:
    """Nobody is sent to a model that is away. One that is about to go serves until the new one has room."""
    changes = not state.in_sync
    announces = wanted.registers and not state.announced
    if changes and not state.planned:
        return Step.PLAN
    if announces and not state.serves:
        return Step.ANNOUNCE
    if changes and not state.room:
        return Step.CAPACITY
    if announces and state.interrupts:
        return Step.ANNOUNCE
    return Step.RELEASE if changes else Step.ROLLOUT


def _to_absent(state: State, wanted: Wanted) -> Step:
    # Deregister first: nobody is to be sent to a model that is about to go.
    if wanted.registers and state.row != NO_ROW:
        return Step.WITHDRAW
    return Step.DONE if state.release is ReleaseIs.ABSENT else Step.UNINSTALL
