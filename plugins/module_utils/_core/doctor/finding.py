# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check says: one verdict, what was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..common.errors import PlatformError


class Verdict(StrEnum):
    """How it stands. What could not be read is ``unknown``, and never counts as passed."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a word
    SKIPPED = "skipped"  #: nobody asks for it


#: The worst first.
WORST_FIRST = tuple(Verdict)


@dataclass(frozen=True)
class Finding:
    """The answer of one check; ``subject`` is what it is about, where a check has several."""

    check: str
    verdict: Verdict
    seen: str
    advice: str = ""
    subject: str = ""

    @property
    def label(self) -> str:
        """Return check and subject, as a line begins."""
        return f"{self.check} {self.subject}".rstrip()


def unread(check: str, error: PlatformError, subject: str = "") -> Finding:
    """Return that something could not be read, and why."""
    return Finding(check, Verdict.UNKNOWN, error.message, error.resolution, subject)


def broken(check: str, error: PlatformError, subject: str = "") -> Finding:
    """Return that something is wrong, as an error says it."""
    return Finding(check, Verdict.FAIL, error.message, error.resolution, subject)


def several(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``2 nodes``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def some(names: list[str], limit: int = 4) -> str:
    """Return names as a list that stays short."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
