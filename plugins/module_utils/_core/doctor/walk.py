# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go from check to check, each within its time, so that none of them hides another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ..common.errors import PlatformError
from .finding import Finding, Verdict, unread


@dataclass(frozen=True)
class Step:
    """A check by its name; ``patience`` is how many times the limit it may take.

    ``subject`` is what it is about, for what is said of it where it does not answer itself.
    """

    check: str
    look: Callable[[], Iterable[Finding]]
    patience: float = 1.0
    subject: str = ""


def walk_side_by_side(lanes: Sequence[Sequence[Step]], limit_s: float) -> list[Finding]:
    """Walk all lanes at once: what one waits for does not hold up the others."""
    if not lanes:
        return []
    with ThreadPoolExecutor(len(lanes)) as pool:
        walks = [pool.submit(walk, lane, limit_s) for lane in lanes]
        return [finding for done in walks for finding in done.result()]


def walk(lane: Sequence[Step], limit_s: float) -> list[Finding]:
    """Take the checks of a lane in turn.

    The first one is its gate: where that does not pass, nothing is known of the rest. Nor is it after a check
    that got no answer in time, since whoever does not answer it would not answer the next.
    """
    found: list[Finding] = []
    for number, step in enumerate(lane):
        told = within(step, limit_s * step.patience)
        if told is None:
            text = f"no answer within {limit_s * step.patience:g} s."
            advice = "Raise doctor_timeout, or see what hangs."
            found.append(Finding(step.check, Verdict.UNKNOWN, text, advice, step.subject))
            return found + _not_looked_at(lane[number + 1 :], step.check)
        found += told
        if number == 0 and any(item.verdict in (Verdict.FAIL, Verdict.UNKNOWN) for item in told):
            return found + _not_looked_at(lane[1:], step.check)
    return found


def _not_looked_at(steps: Sequence[Step], cause: str) -> list[Finding]:
    names = [name for name in dict.fromkeys(step.check for step in steps) if name != cause]
    return [Finding(name, Verdict.UNKNOWN, f"not looked at: see {cause}.") for name in names]


def within(step: Step, limit_s: float) -> list[Finding] | None:
    """Return what a check says, None where it does not end in time. It is left alone then."""
    answer: SimpleQueue[list[Finding]] = SimpleQueue()
    threading.Thread(target=lambda: answer.put(guarded(step)), daemon=True).start()
    try:
        return answer.get(timeout=limit_s)
    except Empty:
        return None


def guarded(step: Step) -> list[Finding]:
    """Return what a check says; whatever goes wrong in it is an answer of its own."""
    found: list[Finding] = []
    try:
        # One by one: what it said before it failed is kept.
        found.extend(step.look())
    except PlatformError as error:
        found.append(unread(step.check, error, step.subject))
    except Exception as error:  # noqa: BLE001 - the other checks go on
        text = f"the check itself failed: {type(error).__name__}: {error}."
        found.append(Finding(step.check, Verdict.UNKNOWN, text, "Please report that.", step.subject))
    return found
