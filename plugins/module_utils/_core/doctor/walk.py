# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go from check to check, each within its time, so that none of them hides another."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.errors import PlatformError
from .finding import Finding, Verdict, unread

_CLOSED = (Verdict.FAIL, Verdict.UNKNOWN)


@dataclass(frozen=True)
class Step:
    """A check by its name; ``patience`` is how many times the limit it may take.

    ``subject`` is what it is about, for what is said of it where it does not answer itself. Of a ``gate`` it
    is what has to pass: else nothing is known of what comes behind it. What is ``aside`` asks somebody else
    than its lane does, and goes on beside it.
    """

    check: str
    look: Callable[[], Iterable[Finding]]
    patience: float = 1.0
    subject: str = ""
    gate: bool = False
    aside: bool = False


def walk_side_by_side(lanes: Sequence[Sequence[Step]], limit_s: float) -> list[Finding]:
    """Walk all lanes at once: what one waits for does not hold up the others."""
    if not lanes:
        return []
    with ThreadPoolExecutor(len(lanes)) as pool:
        walks = [pool.submit(walk, lane, limit_s) for lane in lanes]
        return [finding for done in walks for finding in done.result()]


def walk(lane: Sequence[Step], limit_s: float) -> list[Finding]:
    """Take the checks of a lane in turn; only a gate that does not pass ends it."""
    found: list[Finding] = []
    aside: list[Attempt] = []
    for number, step in enumerate(lane):
        attempt = Attempt(step, limit_s)
        if step.aside:
            aside.append(attempt)
            continue
        told = attempt.findings()
        if step.gate and any(item.verdict in _CLOSED for item in told if item.subject == step.subject):
            return found + [_decided(item, step) for item in told] + _not_looked_at(lane[number + 1 :], step)
        found += told
    return found + [finding for attempt in aside for finding in attempt.findings()]


def _decided(finding: Finding, gate: Step) -> Finding:
    """Return a finding of a gate. Behind one that is not known all is unknown, which is no pass."""
    if finding.subject == gate.subject and finding.verdict is Verdict.UNKNOWN:
        return replace(finding, verdict=Verdict.FAIL)
    return finding


def _not_looked_at(steps: Sequence[Step], cause: Step) -> list[Finding]:
    names = [name for name in dict.fromkeys(step.check for step in steps) if name != cause.check]
    return [Finding(name, Verdict.UNKNOWN, f"not looked at: see {cause.check}.") for name in names]


class Attempt:
    """A check that was begun. It is left alone when its time is over, and ends at its next finding then."""

    def __init__(self, step: Step, limit_s: float) -> None:
        self._step = step
        self._limit_s = limit_s * step.patience
        self._until = time.monotonic() + self._limit_s
        self._found: list[Finding] = []
        self._left_alone = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        for finding in guarded(self._step):
            if self._left_alone.is_set():
                return
            self._found.append(finding)

    def findings(self) -> list[Finding]:
        """Wait for the end of its time at most, and return what it says: all, or what it has said by then."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if not self._thread.is_alive():
            return self._found
        self._left_alone.set()
        found = list(self._found)
        seen = f"no answer {'to the rest of it ' if found else ''}within {self._limit_s:g} s."
        advice = "Raise doctor_timeout, or see what hangs."
        late = Finding(self._step.check, Verdict.UNKNOWN, seen, advice, self._step.subject)
        return [*found, late]


def guarded(step: Step) -> Iterator[Finding]:
    """Yield what a check says; whatever goes wrong in it is an answer of its own."""
    try:
        yield from step.look()
    except PlatformError as error:
        yield unread(step.check, error, step.subject)
    except Exception as error:  # noqa: BLE001 - the other checks go on
        # Its text is somebody else's, and may quote a URL with its password.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name} line {place.lineno}"
        text = f"the check itself failed: {type(error).__name__} in {where}."
        yield Finding(step.check, Verdict.UNKNOWN, text, "Please report that.", step.subject)
