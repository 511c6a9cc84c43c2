# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts of the gates that the registry decides, and of live completions, as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import (
    completions as live,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import registry
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
    asked,
    closed,
    overruled,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import (
    Standing,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import Lock
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.verifications import Newest
from tests.unit.operations.promotion.cases import ENTRY, OTHER, SOURCE

PASS, FAIL, INCONCLUSIVE, ERROR = (
    GateVerdict.PASS,
    GateVerdict.FAIL,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.ERROR,
)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PASSED, FAILED, REVOKED = (
    Newest("passed", None, NOW, "ci"),
    Newest("failed", "it hung", NOW, "ci"),
    Newest("revoked", "rolled back: wrong answers", NOW, "maria"),
)
STANDING = Standing(NOW, ENTRY, PASSED, 1000.0, None, None)
LOCK = Lock("m", "staging", 7, "6ba7b810", Holder("ann@desk"), NOW, True, False, "deploy", None)


@pytest.mark.parametrize(
    ("seen", "verdict", "said"),
    [
        ({}, PASS, "revision 3 (aaaaaaaaaaaa) serves in staging, passed"),
        ({"verdict": None}, INCONCLUSIVE, "nobody has verified revision 3"),
        ({"verdict": FAILED}, FAIL, "did not serve"),
        ({"verdict": REVOKED}, FAIL, "(2026-11-30T12:00:00.000000Z, maria): rolled back: wrong answers"),
        ({"entry": None}, FAIL, "staging has the model no more"),
        ({"entry": replace(ENTRY, manifest_digest=OTHER)}, FAIL, "else by now, revision 3 (sha256:b"),
        # The same manifest, made anew: it is not what was looked at.
        ({"entry": replace(ENTRY, release_revision=4)}, FAIL, "runs something else by now, revision 4"),
        ({"entry": replace(ENTRY, manifest_digest=None)}, FAIL, "runs something else by now"),
        *[
            ({"entry": replace(ENTRY, status=status)}, FAIL, f"the model is {status} in staging")
            for status in ("pending", "deploying", "degraded", "draining", "disabled", "failed")
        ],
        # What is wrong now counts more than what was said before.
        ({"entry": replace(ENTRY, status="degraded"), "verdict": None}, FAIL, "is degraded"),
    ],
)  # fmt: skip
def test_verified(seen: dict[str, Any], verdict: GateVerdict, said: str) -> None:
    gate = registry.verified(SOURCE, replace(STANDING, **seen))
    assert (gate.name, gate.verdict, gate.limit) == ("verified", verdict, "passed")
    assert said in gate.reason


@pytest.mark.parametrize(
    ("soaked_s", "verdict", "said"),
    [
        (900.0, PASS, "900 s without a fall in staging"),
        (1000.0, PASS, "1000 s"),
        (899.9, INCONCLUSIVE, "0 s are still to come"),
        (0.0, INCONCLUSIVE, "900 s are still to come"),
        (None, INCONCLUSIVE, "no health checker has looked at it in staging"),
    ],
)
def test_soak(soaked_s: float | None, verdict: GateVerdict, said: str) -> None:
    gate = registry.soak(SOURCE, replace(STANDING, soaked_s=soaked_s), 900.0)
    assert (gate.verdict, gate.value, gate.limit, gate.unit) == (verdict, soaked_s, 900.0, "s")
    assert said in gate.reason


@pytest.mark.parametrize(
    ("there", "here", "patience_s", "ours", "verdict"),
    [
        (None, None, 0, False, PASS),
        (LOCK, None, 0, False, FAIL),
        # Who works in the source changes it: for that one nobody waits.
        (LOCK, None, 60, False, FAIL),
        (LOCK, None, 60, True, FAIL),
        (None, LOCK, 0, False, FAIL),
        (None, LOCK, 60, False, PASS),
        (None, LOCK, 0, True, PASS),
        # Nobody has it any more.
        (replace(LOCK, held=False), replace(LOCK, held=False), 0, False, PASS),
        (replace(LOCK, abandoned=True), replace(LOCK, abandoned=True), 0, False, PASS),
    ],
)
def test_idle(
    there: Lock | None, here: Lock | None, patience_s: float, ours: bool, verdict: GateVerdict
) -> None:
    seen = replace(STANDING, source_lock=there, target_lock=here)
    gate = registry.idle(SOURCE, seen, "production", patience_s, ours=ours)
    assert gate.verdict is verdict
    assert ("ann@desk" in gate.reason) is (gate.value == 1)


def failing(after: int, error_class: ErrorClass) -> Callable[[], float]:
    """Return what answers so many times, and then fails."""
    answers = iter([0.5] * after)

    def ask() -> float:
        for seconds in answers:
            return seconds
        raise PlatformError(error_class, "no answer", "")

    return ask


@pytest.mark.parametrize(
    ("took", "verdict", "value"),
    [
        ([0.5] * 10, PASS, 0.5),
        ([3.0] * 10, PASS, 3.0),
        ([3.001] * 10, FAIL, 3.001),
        # Of ten the slowest decides, of twenty one may be slow.
        ([0.5] * 9 + [9.0], FAIL, 9.0),
        ([0.5] * 19 + [9.0], PASS, 0.5),
        ([0.5] * 18 + [9.0] * 2, FAIL, 9.0),
        ([9.0], FAIL, 9.0),
    ],
)
def test_completions_are_measured(took: list[float], verdict: GateVerdict, value: float) -> None:
    gate = live.completions(iter(took).__next__, len(took), 3.0)
    assert (gate.verdict, gate.value, gate.limit, gate.samples) == (verdict, value, 3.0, len(took))
    assert f"the slowest {max(took):.3f} s" in gate.reason


@pytest.mark.parametrize("after", [0, 4])
@pytest.mark.parametrize(
    ("error_class", "verdict"),
    [
        (ErrorClass.VERIFICATION, FAIL),
        # It passed on the way to the server, as far as anybody knows.
        (ErrorClass.TIMEOUT, ERROR),
        (ErrorClass.WORKLOAD, FAIL),
        (ErrorClass.INFRASTRUCTURE, ERROR),
        (ErrorClass.AUTH, ERROR),
        (ErrorClass.INVALID, ERROR),
    ],
)
def test_one_that_was_not_answered_decides(after: int, error_class: ErrorClass, verdict: GateVerdict) -> None:
    gate = live.completions(failing(after, error_class), 10, 3.0)
    assert (gate.verdict, gate.samples) == (verdict, after)
    assert gate.reason == f"completion {after + 1} of 10: no answer"
    assert gate.value == (0.5 if after else None)


def test_a_time_that_passed_at_the_server_is_held_against_it() -> None:
    def ask() -> float:
        raise PlatformError(ErrorClass.TIMEOUT, "no answer", "", {"of_the_server": True})

    assert live.completions(ask, 10, 3.0).verdict is FAIL


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [live.p95([float(n) for n in range(1, count + 1)]) for count in (1, 2, 19, 20, 21, 100)] == [
        1, 2, 19, 19, 20, 95,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "overridden", "is_open"),
    [
        (PASS, None, True),
        (FAIL, None, False),
        (INCONCLUSIVE, None, False),
        (ERROR, None, False),
        (FAIL, "x", True),
    ],
)
def test_only_a_pass_lets_pass_or_somebody(
    verdict: GateVerdict, overridden: str | None, is_open: bool
) -> None:
    gate = Gate("soak", verdict, "", overridden=overridden)
    assert gate.open is is_open
    assert closed([gate]) == ([] if is_open else [gate])


def test_a_gate_that_has_passed_is_not_overruled() -> None:
    assert overruled(Gate("soak", PASS, ""), "hotfix").overridden is None
    assert overruled(Gate("soak", ERROR, ""), "hotfix").overridden == "hotfix"


def test_a_gate_that_cannot_be_asked_is_no_failure() -> None:
    gate = asked("errors", "prometheus", failing(0, ErrorClass.AUTH))  # type: ignore[arg-type]
    assert (gate.name, gate.verdict, gate.reason, gate.source) == ("errors", ERROR, "no answer", "prometheus")


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (Gate("latency", FAIL, "slow", 4.0, 3.0, "s"), "gate latency: fail 4 of 3 s; slow"),
        (Gate("latency", FAIL, "slow", "> 600", 3.0, "s"), "gate latency: fail; slow"),
        (Gate("soak", INCONCLUSIVE, "new", None, 900.0, "s"), "gate soak: inconclusive; new"),
        (Gate("errors", PASS, "none", 0.0, 0.01, "ratio"), "gate errors: pass 0 of 0.01 ratio; none"),
        (Gate("queue", FAIL, "", 12, 10, overridden="up"), "gate queue: fail 12 of 10 (overridden: up); "),
    ],
)  # fmt: skip
def test_a_gate_in_one_line(gate: Gate, line: str) -> None:
    assert gate.line == line
