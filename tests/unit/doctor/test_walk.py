# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No check hides another: not by failing, not by hanging; and what is not known never passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.finding import Finding, Verdict
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.report import report
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.walk import (
    Step,
    guarded,
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


@pytest.fixture
def hanging() -> Iterator[Step]:
    """Return a check that says something, then hangs until the test ends."""
    released = threading.Event()

    def look() -> Iterator[Finding]:
        yield Finding("hangs", Verdict.PASS, "fine.", subject="first")
        released.wait(30)

    yield Step("hangs", look)
    released.set()


def broken() -> Iterator[Finding]:
    """Fail in a way that nobody thought of."""
    raise KeyError("redis://:hunter2")


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


def test_the_text_of_an_error_that_nobody_thought_of_may_hold_a_secret() -> None:
    (found,) = guarded(Step("bug", broken))
    assert "KeyError" in found.seen
    assert "hunter2" not in found.seen
    assert "test_walk.py line " in found.seen


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_nothing_is_known_behind_a_gate_that_does_not_pass(verdict: Verdict) -> None:
    gate = Step("gate", lambda: [Finding("gate", verdict, "no.")], gate=True)
    found = walk([gate, passing("a"), passing("b"), passing("b")], 5)
    assert told(found) == [("gate", "fail"), ("a", "unknown"), ("b", "unknown")]
    assert not report(found)["passed"]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_what_is_no_gate_hides_nothing_wherever_it_stands(verdict: Verdict) -> None:
    first = Step("first", lambda: [Finding("first", verdict, "no.")])
    assert told(walk([first, passing("a")], 5)) == [("first", verdict.value), ("a", "pass")]


def test_what_else_a_gate_says_hides_nothing() -> None:
    """A clock that is wrong is no reason not to look at nodes."""
    findings = [
        Finding("gate", Verdict.PASS, "open.", subject="access"),
        Finding("gate", Verdict.FAIL, "late.", subject="clock"),
        Finding("gate", Verdict.UNKNOWN, "odd.", subject="version"),
    ]
    gate = Step("gate", lambda: findings, subject="access", gate=True)
    assert told(walk([gate, passing("a")], 5)) == [
        ("gate", "pass"),
        ("gate", "fail"),
        ("gate", "unknown"),
        ("a", "pass"),
    ]


def test_a_gate_with_a_warning_lets_the_others_go_on() -> None:
    gate = Step("gate", lambda: [Finding("gate", Verdict.WARN, "hm.")], gate=True)
    assert told(walk([gate, passing("a")], 5)) == [("gate", "warn"), ("a", "pass")]


def test_what_hangs_costs_its_time_and_no_more(hanging: Step) -> None:
    began = time.monotonic()
    found = walk_side_by_side([[passing("gate"), hanging, passing("next")], [passing("other")]], 1)
    assert time.monotonic() - began < 5
    assert told(found) == [
        ("gate", "pass"),
        ("hangs", "pass"),
        ("hangs", "unknown"),
        ("next", "pass"),
        ("other", "pass"),
    ]
    assert "1 s" in found[2].seen


def test_a_gate_that_hangs_fails(hanging: Step) -> None:
    found = walk([replace(hanging, gate=True), passing("next")], 0.2)
    assert told(found) == [("hangs", "pass"), ("hangs", "fail"), ("next", "unknown")]
    assert not report(found)["passed"]


def test_what_was_left_alone_asks_no_more() -> None:
    """It ends at its next finding: others ask the same server by now."""
    asked = 0

    def slow() -> Iterator[Finding]:
        nonlocal asked
        for _ in range(50):
            time.sleep(0.05)
            asked += 1
            yield Finding("slow", Verdict.PASS, "fine.")

    found = walk([Step("slow", slow)], 0.3)
    assert 0 < len(found) < 50
    time.sleep(0.5)
    before = asked
    time.sleep(0.5)
    # It may have been held up where it was when the first of these began.
    assert asked <= before + 1


def test_what_asks_somebody_else_holds_up_nobody() -> None:
    """Each of them can end only while the other runs."""
    here, there = threading.Event(), threading.Event()

    def meet(own: threading.Event, other: threading.Event) -> list[Finding]:
        own.set()
        return [Finding("met", Verdict.PASS if other.wait(5) else Verdict.FAIL, "fine.")]

    aside = Step("aside", lambda: meet(here, there), aside=True)
    found = walk([passing("gate"), aside, Step("next", lambda: meet(there, here))], 10)
    assert told(found) == [("gate", "pass"), ("met", "pass"), ("met", "pass")]


def test_nobody_is_asked_aside_behind_a_gate_that_does_not_pass() -> None:
    asked: list[str] = []

    def ask() -> Iterator[Finding]:
        asked.append("aside")
        yield Finding("aside", Verdict.PASS, "fine.")

    gate = Step("gate", lambda: [Finding("gate", Verdict.FAIL, "no.")], gate=True)
    assert told(walk([gate, Step("aside", ask, aside=True)], 5)) == [("gate", "fail"), ("aside", "unknown")]
    assert asked == []


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
