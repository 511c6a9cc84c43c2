# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts of the gates that read metrics, and new figures against those from before."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import baseline
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.worst import (
    Figure,
    decide,
)

PASS, FAIL, INCONCLUSIVE, ERROR = (
    GateVerdict.PASS,
    GateVerdict.FAIL,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.ERROR,
)

# Series as (value, samples), then their sum; the limit is 10, 50 samples are needed.
CASES: list[tuple[list[tuple[float, int]], tuple[float, int], bool, GateVerdict, float, str]] = [
    ([(1, 50), (2, 50)], (1.5, 100), False, PASS, 2, "within the limit"),
    ([(10, 50)], (10, 50), False, PASS, 10, "within the limit"),
    ([(10.1, 50)], (10.1, 50), False, FAIL, 10.1, "over the limit"),
    # One that is bad among good ones.
    ([(1, 5000), (11, 50)], (1.1, 5050), False, FAIL, 11, "over the limit"),
    # Few samples never pass and never fail.
    ([(1, 49)], (1, 49), False, INCONCLUSIVE, 1, "49 of the 50 samples"),
    ([(100, 49)], (100, 49), False, INCONCLUSIVE, 100, "49 of the 50 samples"),
    # Enough together only.
    ([(1, 30), (2, 30)], (1.5, 60), False, PASS, 2, "within the limit"),
    ([(1, 5000), (50, 2)], (1.02, 5002), False, INCONCLUSIVE, 50, "only 2 of the 50 samples"),
    ([(12, 30), (14, 30)], (13, 60), False, FAIL, 13, "over the limit"),
    # A gap hides a pass and no failure.
    ([(1, 50)], (1, 50), True, INCONCLUSIVE, 1, "not all was seen; a gap"),
    ([(11, 50)], (11, 50), True, FAIL, 11, "over the limit; a gap"),
    ([(math.inf, 50), (1, 50)], (5, 100), False, FAIL, math.inf, "over the limit"),
]


@pytest.mark.parametrize(("series", "total", "gap", "verdict", "value", "why"), CASES)
def test_the_worst_series_decides(
    series: list[tuple[float, int]],
    total: tuple[float, int],
    gap: bool,
    verdict: GateVerdict,
    value: float,
    why: str,
) -> None:
    figures = [Figure(f"pod-{number}", *each, "") for number, each in enumerate(series)]
    decision = decide(figures, Figure("all", *total, ""), 10, 50, ["a gap"] if gap else [])
    assert (decision.verdict, decision.figure.value) == (verdict, value)
    assert why in decision.why


def test_many_gaps_are_counted() -> None:
    figure = Figure("pod", 1, 50, "")
    why = decide([figure], figure, 10, 50, [f"gap {number}" for number in range(9)]).why
    assert why.endswith("gap 0; gap 1; gap 2; 6 more")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((PASS, 0.001), (FAIL, 0.02), FAIL),
        # As bad as before, and a little worse.
        ((FAIL, 0.02), (FAIL, 0.02), PASS),
        ((FAIL, 0.02), (FAIL, 0.025), PASS),
        ((FAIL, 0.02), (FAIL, 0.0251), FAIL),
        # Within the limit is well, however good it was before.
        ((PASS, 0.0), (PASS, 0.009), PASS),
        # Nobody knows how it was before, so the limit counts.
        ((INCONCLUSIVE, 0.5), (FAIL, 0.02), FAIL),
        ((ERROR, None), (FAIL, 0.02), FAIL),
        (None, (FAIL, 0.02), FAIL),
        ((FAIL, 0.5), (INCONCLUSIVE, 0.02), INCONCLUSIVE),
        ((FAIL, 0.5), (ERROR, None), ERROR),
        ((FAIL, "> 600"), (FAIL, "> 600"), PASS),
        ((FAIL, 5.0), (FAIL, "> 600"), FAIL),
    ],
)
def test_new_against_old(before: Any, after: Any, verdict: GateVerdict) -> None:
    old = [] if before is None else [Gate("errors", before[0], "", value=before[1])]
    (gate,) = baseline.against_baseline(old, [Gate("errors", after[0], "seen", value=after[1])])
    assert gate.verdict is verdict
    assert gate.value == after[1]


def test_a_margin_may_be_set() -> None:
    before, after = Gate("queue", FAIL, "", value=20.0), Gate("queue", FAIL, "", value=24.0)
    assert baseline.against_baseline([before], [after])[0].verdict is PASS
    assert baseline.against_baseline([before], [after], {"queue": 3})[0].verdict is FAIL


@pytest.mark.parametrize(
    "limits",
    [
        {"error_ratio": -0.1},
        {"error_ratio": 1.1},
        {"error_ratio": math.nan},
        {"latency_s": 0},
        {"latency_quantile": 1},
        {"latency_quantile": 95},
        {"queue_waiting": -1},
        {"min_samples": 0},
        {"min_samples": True},
        {"window_s": 0},
        {"window_s": math.inf},
    ],
)
def test_limits_that_cannot_be_meant(limits: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        MetricLimits(**limits)
    assert caught.value.details == {"field": next(iter(limits))}
