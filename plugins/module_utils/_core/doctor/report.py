# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all checks said: for a playbook as data, for people as lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..common.redaction import redact_text
from .finding import WORST_FIRST, Finding, Verdict, several

_WORDS = {Verdict.PASS: "ok", Verdict.FAIL: "FAIL"}
_WORD_WIDTH = 8
_LABEL_WIDTH = 36


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the module's result."""
    counts = Counter(finding.verdict for finding in findings)
    worst = sorted(findings, key=lambda finding: WORST_FIRST.index(finding.verdict))
    open_points = [item for item in worst if item.verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)]
    return {
        "overall": overall(findings).value,
        "passed": not counts[Verdict.FAIL],
        "failures": counts[Verdict.FAIL],
        "counts": {verdict.value: counts[verdict] for verdict in WORST_FIRST},
        "summary": summary(counts),
        "findings": [as_result(finding) for finding in findings],
        "lines": lines(findings),
        "worst": lines(open_points),
    }


def overall(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict; nothing that was looked at is no pass either."""
    looked_at = [item.verdict for item in findings if item.verdict is not Verdict.SKIPPED]
    return min(looked_at, key=WORST_FIRST.index, default=Verdict.UNKNOWN)


def summary(counts: Counter[Verdict]) -> str:
    """Return the counts as a sentence."""
    total = sum(counts.values()) - counts[Verdict.SKIPPED]
    told = [f"{counts[Verdict.FAIL]} of {several(total, 'check')} failed"]
    told += [f"{counts[Verdict.UNKNOWN]} unknown"] if counts[Verdict.UNKNOWN] else []
    told += [several(counts[Verdict.WARN], "warning")] if counts[Verdict.WARN] else []
    return ", ".join(told)


def as_result(finding: Finding) -> dict[str, str]:
    """Return a finding as JSON, without secrets that somebody else's text may hold."""
    return {
        "check": finding.check,
        "subject": finding.subject,
        "verdict": finding.verdict.value,
        "seen": redact_text(finding.seen),
        "advice": redact_text(finding.advice),
    }


def lines(findings: Sequence[Finding]) -> list[str]:
    """Return one line each, and below it what to do."""
    width = min(max((len(item.label) for item in findings), default=0), _LABEL_WIDTH)
    below = " " * (_WORD_WIDTH + width + 2)
    shown: list[str] = []
    for item in findings:
        shown.append(f"{word_of(item):<{_WORD_WIDTH}}{item.label:<{width}}  {on_one_line(item.seen)}")
        shown += [f"{below}{on_one_line(item.advice)}"] if item.advice else []
    return [redact_text(line) for line in shown]


def on_one_line(text: str) -> str:
    """Return the text without line ends."""
    return " ".join(text.split())


def word_of(finding: Finding) -> str:
    """Return the verdict as a line shows it."""
    return _WORDS.get(finding.verdict, finding.verdict.value)
