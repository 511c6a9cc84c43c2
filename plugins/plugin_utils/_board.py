# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What callback deployments shows of each model: data in, lines of text out. Private to this collection."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What an operation is called while it runs and when it has changed something.
VERBS = {
    "vllm_deployment": ("deploying", "deployed"),
    "vllm_promotion": ("promoting", "promoted"),
    "vllm_release": ("deploying", "deployed"),
    "vllm_rollback": ("rolling back", "rolled back"),
}
#: Phases as people call them, where a word is not enough.
_PHASES = {
    "lock": "taking the lock",
    "recover": "planning",
    "plan": "planning",
    "finish": "finishing",
    "capacity": "waiting for GPUs",
    "announce": "telling routers",
    "release": "helm",
    "rollout": "starting pods",
    "verify": "verifying",
    "register": "registering",
    "withdraw": "draining",
}
_ELLIPSIS = "…"
#: A release's name before what is said of it: the model's name stands there already.
_TARGET = re.compile(r"^[a-z0-9]+(?:-[a-z0-9]+)+: ")
FAILED = "failed"


@dataclass
class Row:
    """One model: what is done with it, and how that ended. Times are seconds of one clock."""

    host: str
    operation: str
    began: float
    phase: str = ""
    line: str = ""
    expected_s: float | None = None
    outcome: str = ""  #: empty while it runs
    revision: str = ""
    ended: float = 0.0
    text: str = ""  #: where it serves, or why it does not
    before: Row | None = None  #: what the host's operation before this one left


@dataclass
class Board:
    """The models of a run, in the order in which they began."""

    rows: dict[str, Row] = field(default_factory=dict)

    def begin(self, host: str, operation: str, now: float) -> None:
        """Note that an operation begins; one that follows on the same host takes its row."""
        self.rows[host] = Row(host, operation, now, before=self.rows.get(host))

    def skip(self, host: str) -> None:
        """Forget an operation that was not to be done."""
        before = self.rows[host].before
        if before is None:
            del self.rows[host]
        else:
            self.rows[host] = before

    def hear(self, host: str, phase: str, line: str, expected_s: float | None) -> bool:
        """Note what a task is at, and tell whether that is news."""
        row = self.rows.get(host)
        if row is None or row.outcome:
            return False
        before = (row.phase, row.line)
        if phase:
            row.phase, row.expected_s = phase, expected_s or row.expected_s
        if line:
            row.line = _TARGET.sub("", one_line(line))
        return (row.phase, row.line) != before

    def end(self, host: str, outcome: str, revision: object, text: str, now: float) -> None:
        """Note how an operation ended."""
        row = self.rows[host]
        row.outcome, row.revision, row.ended = outcome, str(revision or ""), now
        row.text = one_line(text)

    def fail_afterwards(self, host: str, task: str) -> bool:
        """Note that a host failed after its operation was done, and tell whether it was done well."""
        row = self.rows.get(host)
        if row is None or row.outcome == FAILED:
            return False
        row.text = f"{row.outcome or 'cut off'}, but afterwards: {one_line(task)}"
        row.outcome = FAILED
        return True

    @property
    def running(self) -> list[Row]:
        """The models whose operations have not ended."""
        return [row for row in self.rows.values() if not row.outcome]

    def live(self, width: int, height: int, now: float) -> list[str]:
        """Return a line for each running model, and one for all, in no more than ``height`` lines."""
        running = self.running
        if not running or height < 2:
            return []
        shown = running if len(running) < height else running[: height - 2]
        names = max(cells(row.host) for row in shown) if shown else 0
        lines = [_live(row, min(names, width // 3), now) for row in shown]
        if left := running[len(shown) :]:
            phases = Counter(_phase(row) for row in left)
            lines.append(f"and {len(left)} more: " + ", ".join(f"{n} {phase}" for phase, n in phases.items()))
        failed = sum(row.outcome == FAILED for row in self.rows.values())
        ended = len(self.rows) - len(running)
        lines.append(f"{ended} of {len(self.rows)} done" + (f", {failed} failed" if failed else ""))
        return [cut(line, width) for line in lines]

    def table(self, width: int | None) -> list[tuple[str, str]]:
        """Return the end of all as lines, each with its outcome; those that failed come last, to be seen.

        ``width`` is in columns; None for what is no terminal.
        """
        rows = sorted(self.rows.values(), key=lambda row: row.outcome == FAILED)
        head = ("model", "outcome", "revision", "took", "")
        names = [one_line(row.host) for row in rows]
        if width is not None:
            # A long one would push out what is said of all.
            names = [cut(name, width // 3) for name in names]
        cells_of = [
            (name, row.outcome or "cut off", row.revision, _took(row), row.text if row.outcome else _at(row))
            for name, row in zip(names, rows, strict=True)
        ]
        widths = [max(cells(line[column]) for line in [head, *cells_of]) for column in range(4)]
        lines = [("", head), *((line[1], line) for line in cells_of)]
        texts = [(outcome, _aligned(line, widths)) for outcome, line in lines]
        return [(outcome, text if width is None else cut(text, width)) for outcome, text in texts]

    def totals(self) -> str:
        """Return how many ended how."""
        found = Counter(row.outcome or "cut off" for row in self.rows.values())
        return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))


def outcome_of(operation: str, result: Mapping[str, Any], check_mode: bool) -> str:
    """Return in a word or two what a task that did not fail did."""
    if result.get("ansible_job_id") and not result.get("finished"):
        return "started"
    if not result.get("changed"):
        return "unchanged"
    if check_mode:
        return "would change"
    release = result.get("release")
    if isinstance(release, Mapping) and release.get("revision") is None:
        return "removed"
    return VERBS[operation][1]


def _phase(row: Row) -> str:
    return _PHASES.get(row.phase, row.phase) or VERBS[row.operation][0]


def _at(row: Row) -> str:
    return ": ".join(text for text in (row.phase and _phase(row), row.line) if text)


def _live(row: Row, names: int, now: float) -> str:
    took = f"{now - row.began:.0f} s"
    if row.expected_s:
        took += f" of some {row.expected_s:.0f} s"
    name = cut(one_line(row.host), names)
    pad = " " * (names - cells(name))
    return f"{name}{pad}  {_phase(row):<16}  {took:>8}  {row.line}"


def _took(row: Row) -> str:
    return f"{row.ended - row.began:.1f} s" if row.outcome else ""


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [text + " " * (width - cells(text)) for text, width in zip(line, widths, strict=False)]
    return "  ".join([*padded, line[-1]]).rstrip()


def first_sentence(text: str) -> str:
    """Return the beginning of a message, up to where the next sentence begins."""
    first, dot, _rest = one_line(text).partition(". ")
    return first + dot.strip()


def one_line(text: str) -> str:
    """Return text on one line and without characters that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return as much of a text as fits into so many columns."""
    if cells(text) <= width:
        return text
    return "".join(_fitting(text, width - 1)) + _ELLIPSIS if width > 0 else ""


def _fitting(text: str, width: int) -> Iterable[str]:
    for char in text:
        width -= _cells_of(char)
        if width < 0:
            return
        yield char
