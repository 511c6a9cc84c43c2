# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that no model and no Prometheus in order would give let nothing pass, and end nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.from_prometheus import (
    PrometheusSource,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.prometheus import PrometheusAPI
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.window import Subject
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import metrics
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from tests.support.told_prometheus import ToldPrometheus, series, vector

SUBJECT = Subject("m", "staging", "llm", "m-staging", "routers")
PASS, INCONCLUSIVE, ERROR = GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.ERROR


def gates(server: ToldPrometheus, **options: Any) -> dict[str, Gate]:
    """Ask the gates."""
    source = PrometheusSource(PrometheusAPI(server.url), **options)
    return {gate.name: gate for gate in metrics.metric_gates(source, SUBJECT, MetricLimits())}


def told(**answers: Mapping[str, Any] | bytes) -> dict[str, Gate]:
    """Ask the gates of a Prometheus that says all is well, but for these answers."""
    with ToldPrometheus(answers=answers) as server:
        return gates(server)


def test_what_is_well_passes() -> None:
    assert {gate.verdict for gate in told().values()} == {PASS}, told()


@pytest.mark.parametrize(
    ("gate", "answers", "why"),
    [
        # A pod whose readings are not known, or no number, is not left out.
        ("queue", {"readings": vector(series(20, pod="vllm-a"))}, "no number of readings of vllm-b"),
        (
            "queue",
            {"readings": vector(series(20, pod="vllm-a"), series("+Inf", pod="vllm-b"))},
            "vllm-b has the value inf",
        ),
        (
            "queue",
            {
                "readings": vector(
                    series(20, pod="vllm-a"), series(20, pod="vllm-b"), warnings=["store away"]
                )
            },
            "warns: store away",
        ),
        ("queue", {"queue": vector(series(0, pod="vllm-a"))}, "no vllm:num_requests_waiting of vllm-b"),
        ("queue", {"queue": vector(series(0, pod="vllm-a"), series(-5, pod="vllm-b"))}, "the value -5.0"),
        # Nothing is said of who could be read.
        ("queue", {"servers_up": vector()}, "does not say whether it can read vllm-a"),
        ("queue", {"servers_up": vector(series(1, pod="vllm-a"))}, "whether it can read vllm-b"),
        ("queue", {"servers_up": vector(series(1, pod="vllm-a"), series(0, pod="vllm-b"))}, "cannot read"),
        ("errors", {"routers_up": vector()}, "does not say whether it can read router-1"),
        ("latency", {"routers_up": vector()}, "does not say whether it can read router-1"),
        (
            "errors",
            {"routers_up": vector(series(1, pod="router-1"), warnings=["store away"])},
            "warns: store away",
        ),
        # Counts and labels that cannot be.
        (
            "errors",
            {
                "requests": vector(
                    series(99, pod="router-1", status="200"), series(-9, pod="router-1", status="500")
                )
            },
            "the value -9.0",
        ),
        (
            "errors",
            {"requests": vector(series(90, pod="router-1", status="200"), series(90, pod="router-1"))},
            "counts answers of the status ''",
        ),
        (
            "errors",
            {"requests": vector(*(series(90, pod="router-1", status=s) for s in ("200", "2xx")))},
            "counts answers of the status '2xx'",
        ),
        (
            "errors",
            {"requests": vector(*(series(1e308, pod="router-1", status=s) for s in ("200", "201")))},
            "has the value 1e+308",
        ),
        *(
            ("latency", {"buckets": vector(*(series(90, pod="router-1", le=le) for le in bounds))}, why)
            for bounds, why in (
                (("1", "+Inf", "NaN"), "bound nan"),
                (("1", "+Inf", "-1"), "bound -1"),
                (("1", "+Inf", ""), "bound ''"),
                (("1", "1.0", "+Inf"), "1 and 1.0 are one bound"),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_cannot_be_is_no_pass(
    gate: str, answers: dict[str, Mapping[str, Any]], why: str
) -> None:
    found = told(**answers)[gate]
    assert found.verdict is INCONCLUSIVE, found
    assert why in found.reason


DEEP = b"[" * 200_000
POINT = {"metric": {"pod": "router-1", "status": "200"}, "value": [1, "1"]}


@pytest.mark.parametrize(
    "answer",
    [
        DEEP,
        vector({**POINT, "metric": None}),
        vector({**POINT, "metric": {"pod": None}}),
        vector({**POINT, "value": "12"}),
        vector({**POINT, "value": [1, int("9" * 400)]}),
        vector({**POINT, "value": [1, True]}),
        vector({**POINT, "value": [1, "1_0"]}),
        vector(POINT, POINT),
        vector(POINT, warnings=5),
        {"status": "success", "data": {"resultType": "vector", "result": {}}},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_what_is_no_answer_is_an_error_of_the_gate(answer: Mapping[str, Any] | bytes) -> None:
    found = told(requests=answer)
    assert (found["errors"].verdict, found["queue"].verdict) == (ERROR, PASS)
    assert "is no Prometheus" in found["errors"].reason


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
def test_prometheus_is_asked_in_its_own_time_and_that_is_told(ahead_s: float) -> None:
    with ToldPrometheus(ahead_s) as server:
        found = gates(server)["errors"]
        clocks = [form for form in server.asked if "time()" in form["query"]]
        (at,) = {form["time"] for form in server.asked if form not in clocks}
    assert ["time" in form for form in clocks] == [False], "once, and at its own time"
    there = datetime.now(UTC) + timedelta(seconds=ahead_s)
    assert abs(float(at) - there.timestamp()) < 10
    assert (found.verdict, found.window_s) == (PASS, 300)
    which = "ahead of" if ahead_s > 0 else "behind"
    assert f"the clock of Prometheus is 600 s {which} ours" in found.reason


def test_a_window_that_began_before_the_clocks_were_compared_is_shifted_whole() -> None:
    with ToldPrometheus(600.0) as server:
        source = PrometheusSource(PrometheusAPI(server.url))
        mark = source.begin(SUBJECT)
        assert server.asked == [], "a Prometheus that is away now may be there at the end"
        window = source.end(mark)
    assert (window.since - mark.at).total_seconds() == pytest.approx(600, abs=5)
    assert 0 <= (window.until - window.since).total_seconds() < 5


def test_a_small_difference_of_clocks_is_not_worth_a_word() -> None:
    with ToldPrometheus(2.0) as server:
        assert "clock" not in gates(server)["errors"].reason


@pytest.mark.parametrize(
    "answer", [vector(), vector(series("NaN")), vector(series(12)), vector(series("1e300"))]
)
def test_who_does_not_know_the_time_is_not_asked_further(answer: Mapping[str, Any]) -> None:
    found = told(time=answer)
    assert {gate.verdict for gate in found.values()} == {ERROR}
    assert "does not say what time it is" in found["errors"].reason


def test_every_question_selects_the_cluster() -> None:
    with ToldPrometheus() as server:
        found = gates(server, matchers={"cluster": 'eu"1'})
        asked = [form["query"] for form in server.asked if "time()" not in form["query"]]
    assert {gate.verdict for gate in found.values()} == {PASS}
    assert len(asked) == 7
    for question in asked:
        assert question.count('cluster="eu\\"1"') == question.count("namespace=") > 0


def test_a_question_has_no_more_time_than_the_whole() -> None:
    moments = iter([0.0, 9.0, 9.0, *[99.0] * 9])
    with ToldPrometheus() as server:
        api = PrometheusAPI(server.url, total=Deadline(10.0, lambda: next(moments)))
        api.query("vector(time())", None)
        assert server.asked[0]["timeout"] == "1000ms"
        with pytest.raises(PlatformError) as caught:
            api.query("vector(time())", None)
        assert (caught.value.error_class, len(server.asked)) == (ErrorClass.TIMEOUT, 1)


def test_figures_add_up_without_an_end() -> None:
    """Sums of what is allowed are no exceptions."""
    body = vector(*(series(1e15, pod=f"router-{n}", le=le) for n in range(9) for le in ("1", "+Inf")))
    assert told(buckets=body)["latency"].samples == 9e15
