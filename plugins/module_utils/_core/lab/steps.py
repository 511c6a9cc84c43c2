# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab is a list of steps. Each says what is missing and can put it right: start, repair and check mode
are the same walk through the list.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..common.deadline import Deadline
from ..common.errors import PlatformError

Progress = Callable[[str], None]

_WAIT_REPORT_S = 15.0


class Step(ABC):
    """One part of the lab."""

    #: Name for people.
    name: str
    #: Whether ``pending`` asks the API server.
    needs_api: bool = False
    #: Steps after whose change this one has something to do as well.
    follows: Sequence[str] = ()

    @abstractmethod
    def pending(self) -> str:
        """Say what is missing, or return an empty string. Changes nothing."""

    @abstractmethod
    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Put right what is missing, and wait until it is."""


@dataclass(frozen=True)
class Change:
    """What a step had, or would have, to do."""

    step: str
    reason: str
    #: How long it took; 0 where nothing was done yet.
    seconds: float = field(default=0.0, compare=False)


def plan(steps: Sequence[Step]) -> list[Change]:
    """Return what a start would do. Where the API server is down, what depends on it is not asked."""
    changes: list[Change] = []
    for step in steps:
        changed = {change.step for change in changes}
        if step.needs_api and "kube-apiserver" in changed:
            changes.append(Change(step.name, "is checked once the API server answers"))
        elif reason := _reason(step):
            changes.append(Change(step.name, reason))
        elif followed := changed.intersection(step.follows):
            changes.append(Change(step.name, restart_reason(followed.pop())))
    return changes


def carry_out(steps: Sequence[Step], progress: Progress, deadline: Deadline) -> list[Change]:
    """Walk through the steps and do what is missing; return what was done."""
    changes: list[Change] = []
    for step in steps:
        reason = step.pending()
        if not reason:
            continue
        progress(f"{step.name}: {reason}")
        began = time.monotonic()
        step.apply(progress, deadline)
        seconds = time.monotonic() - began
        progress(f"{step.name}: done in {seconds:.1f} s")
        changes.append(Change(step.name, reason, seconds))
    return changes


def took(changes: Sequence[Change]) -> str:
    """Say where the time of a start went: the steps of a second or more, the longest first."""
    slow = sorted((change for change in changes if change.seconds >= 1), key=lambda change: -change.seconds)
    return ", ".join(f"{change.step} {change.seconds:.0f} s" for change in slow)


def restart_reason(followed: str) -> str:
    """Return why a client of ``followed`` is restarted after it."""
    return f"its {followed} was restarted"


def _reason(step: Step) -> str:
    try:
        return step.pending()
    except PlatformError as error:
        return error.message


def wait_for(
    what: str, check: Callable[[], str], deadline: Deadline, progress: Progress, interval: float = 0.2
) -> None:
    """Call ``check`` until it returns an empty string; the error at the deadline says its last reason."""
    reported = time.monotonic()
    while reason := check():
        if deadline.expired():
            raise deadline.timeout_error(what, reason, "See the logs folder of the lab, then run again.")
        if time.monotonic() - reported >= _WAIT_REPORT_S:
            progress(f"{what}: still waiting after {deadline.elapsed():.0f} s: {reason}")
            reported = time.monotonic()
        deadline.pause(interval)
