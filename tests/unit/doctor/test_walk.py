# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No check hides another: not by failing, not by hanging; and what is not known never passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.finding import Finding, Verdict
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.report import report
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.walk import (
    Step,
    walk,
    walk_side_by_side,
)

REFUSED = PlatformError(ErrorClass.AUTH, "Refused.", "Ask.")


def passing(check: str) -> Step:
    """Return a check that passes."""
    return Step(check, lambda: [Finding(check, Verdict.PASS, "fine.")])


def half_way() -> Iterator[Finding]:
    """Say something, then fail."""
    yield Finding("half", Verdict.PASS, "fine.", subject="first")
    raise REFUSED


def broken() -> Iterator[Finding]:
    """Fail in a way that nobody thought of."""
    raise KeyError("spec")


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    """Return checks and verdicts."""
    return [(item.check, item.verdict.value) for item in findings]


def test_what_fails_hides_nothing() -> None:
    found = walk([passing("gate"), Step("half", half_way), Step("bug", broken), passing("last")], 5)
    assert told(found) == [
        ("gate", "pass"),
        ("half", "pass"),
        ("half", "unknown"),
        ("bug", "unknown"),
        ("last", "pass"),
    ]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_nothing_is_known_behind_a_gate_that_does_not_pass(verdict: Verdict) -> None:
    gate = Step("gate", lambda: [Finding("gate", verdict, "no.")])
    assert told(walk([gate, passing("a"), passing("b"), passing("b")], 5)) == [
        ("gate", verdict.value),
        ("a", "unknown"),
        ("b", "unknown"),
    ]


def test_a_gate_with_a_warning_lets_the_others_go_on() -> None:
    gate = Step("gate", lambda: [Finding("gate", Verdict.WARN, "hm.")])
    assert told(walk([gate, passing("a")], 5)) == [("gate", "warn"), ("a", "pass")]


def test_what_hangs_costs_its_time_and_no_more() -> None:
    released = threading.Event()
    hanging = Step("hangs", lambda: [] * released.wait(30))
    began = time.monotonic()
    found = walk_side_by_side([[passing("gate"), hanging, passing("next")], [passing("other")]], 0.2)
    released.set()
    assert time.monotonic() - began < 5
    assert told(found) == [("gate", "pass"), ("hangs", "unknown"), ("next", "unknown"), ("other", "pass")]


@pytest.mark.parametrize(
    ("verdicts", "overall", "passed"),
    [
        ([], "unknown", True),
        ([Verdict.SKIPPED], "unknown", True),
        ([Verdict.PASS, Verdict.SKIPPED], "pass", True),
        ([Verdict.PASS, Verdict.WARN], "warn", True),
        ([Verdict.WARN, Verdict.UNKNOWN], "unknown", True),
        ([Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS], "fail", False),
    ],
)
def test_the_worst_counts(verdicts: list[Verdict], overall: str, passed: bool) -> None:
    found = report([Finding("check", verdict, "seen.") for verdict in verdicts])
    assert (found["overall"], found["passed"]) == (overall, passed)


def test_lines_are_aligned_and_the_worst_comes_first() -> None:
    found = report(
        [
            Finding("tools", Verdict.PASS, "3.12.", subject="Python"),
            Finding("clock", Verdict.WARN, "8 s\nahead.", "Set it."),
            Finding("rights", Verdict.FAIL, "40 of 41."),
        ]
    )
    assert found["lines"] == [
        "ok      tools Python  3.12.",
        "warn    clock         8 s ahead.",
        "                      Set it.",
        "FAIL    rights        40 of 41.",
    ]
    assert found["worst"] == [
        "FAIL    rights  40 of 41.",
        "warn    clock   8 s ahead.",
        "                Set it.",
    ]
    assert found["summary"] == "1 of 3 checks failed, 1 warning"


def test_no_secret_is_shown() -> None:
    finding = Finding("database", Verdict.FAIL, "postgresql://u:hunter2@host refused.", "password=hunter2?")
    assert "hunter2" not in str(report([finding]))
