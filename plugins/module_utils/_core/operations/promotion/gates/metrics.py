# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates that read metrics: failed answers, latency and queue of a model in a window of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ....common.errors import PlatformError
from ....metrics.answers import Answers
from ....metrics.histogram import Histogram
from ....metrics.window import MetricsSource, Seen, Subject, Waiting, Window
from .gate import Gate, GateVerdict, asked, attempt
from .limits import MetricLimits
from .worst import Decision, Figure, decide

Figures = TypeVar("Figures")
_ALL = "all routers"


def metric_gates(source: MetricsSource[Any], subject: Subject, limits: MetricLimits) -> list[Gate]:
    """Ask the gates over the last window; a source that remembers nothing waits for it."""
    window = attempt(lambda: source.recent(subject, limits.window_s))
    if isinstance(window, PlatformError):
        return unasked(source.name, limits, window, limits.window_s)
    return gates_of(window, source.name, limits)


def gates_of(window: Window, source: str, limits: MetricLimits) -> list[Gate]:
    """Ask the gates over a window that somebody has, such as that since a promotion."""
    window_s = (window.until - window.since).total_seconds()
    asks: Mapping[str, Callable[[], Gate]] = {
        "errors": lambda: _errors(window.answers(), limits),
        "latency": lambda: _latency(window.durations(), limits),
        "queue": lambda: _queue(window.waiting(), limits),
    }
    return [
        replace(
            _with_limit(asked(name, source, ask), limits),
            source=source,
            window_s=window_s,
            since=window.since,
            until=window.until,
        )
        for name, ask in asks.items()
    ]


def unasked(
    source: str, limits: MetricLimits, error: PlatformError, window_s: float | None = None
) -> list[Gate]:
    """Return the gates where there is not even a window."""
    gates = [
        Gate(name, GateVerdict.ERROR, error.message, source=source, window_s=window_s) for name in _UNITS
    ]
    return [_with_limit(gate, limits) for gate in gates]


_UNITS = {"errors": "ratio", "latency": "s", "queue": "requests"}


def _with_limit(gate: Gate, limits: MetricLimits) -> Gate:
    """Say the limit, also of a gate that could not be asked."""
    values = {
        "errors": limits.error_ratio,
        "latency": limits.latency_s,
        "queue": limits.queue_waiting,
    }
    return replace(gate, limit=values[gate.name], unit=_UNITS[gate.name])


def _errors(seen: Seen[Answers], limits: MetricLimits) -> Gate:
    pods = {pod: answers for pod, answers in seen.pods.items() if answers.judged >= 1}
    if not pods:
        return _nothing("errors", seen, "no answer that says anything of the model server")
    figures = [_failures(pod, each.failed, each.judged) for pod, each in sorted(pods.items())]
    total = _failures(
        _ALL, sum(each.failed for each in pods.values()), sum(each.judged for each in pods.values())
    )
    return _gate("errors", _decide(figures, total, limits.error_ratio, limits.min_samples, seen), seen)


def _failures(who: str, failed: float, judged: float) -> Figure:
    ratio = failed / judged
    samples = math.floor(judged)
    return Figure(who, ratio, samples, f"{ratio:.2%} of {samples} answers failed")


def _latency(seen: Seen[Histogram], limits: MetricLimits) -> Gate:
    pods = {pod: each for pod, each in seen.pods.items() if each.count >= 1}
    if not pods:
        return _nothing("latency", seen, "no request was answered")
    total = Histogram.total(pods.values())
    if total.within(limits.latency_s) is None:
        why = f"no bucket has a bound up to {limits.latency_s:g} s, so nobody knows"
        return Gate(
            "latency", GateVerdict.INCONCLUSIVE, why, samples=math.floor(total.count), query=seen.query
        )
    figures = [_durations(pod, each, limits) for pod, each in sorted(pods.items())]
    decision = _decide(figures, _durations(_ALL, total, limits), limits.latency_s, limits.min_samples, seen)
    gate = _gate("latency", decision, seen)
    if math.isinf(decision.figure.value):
        return replace(gate, value=f"> {total.last_bound:g}")
    return gate


def _durations(who: str, histogram: Histogram, limits: MetricLimits) -> Figure:
    value = histogram.quantile_bound(limits.latency_quantile)
    samples = math.floor(histogram.count)
    bound, share = histogram.within(limits.latency_s) or (0.0, 0.0)
    beyond = f"more than {histogram.last_bound:g} s" if math.isinf(value) else f"at most {value:g} s"
    share_said = f"{share:.2%} of {samples} requests within {bound:g} s"
    said = f"{limits.latency_quantile:.4g} quantile {beyond}, {share_said}"
    if bound != limits.latency_s:
        said += f" (the next bucket below {limits.latency_s:g} s)"
    return Figure(who, value, samples, said)


def _queue(seen: Seen[Waiting], limits: MetricLimits) -> Gate:
    pods = {pod: each for pod, each in seen.pods.items() if each.readings >= 1}
    if not pods:
        return _nothing("queue", seen, "no queue was read")
    figures = [
        Figure(
            pod,
            each.mean,
            each.readings,
            f"{each.mean:.4g} requests wait, the mean of {each.readings} readings",
        )
        for pod, each in sorted(pods.items())
    ]
    # Requests are no samples here, and queues of several pods do not add up: each pod has its own limit.
    worst = max(figures, key=lambda figure: figure.value)
    return _gate("queue", decide(figures, worst, limits.queue_waiting, 1, seen.gaps), seen)


def _decide(
    figures: list[Figure], total: Figure, limit: float, min_samples: int, seen: Seen[Any]
) -> Decision:
    # One series is its own sum, and is named rather than that.
    return decide(figures, total if len(figures) > 1 else figures[0], limit, min_samples, seen.gaps)


def _gate(name: str, decision: Decision, seen: Seen[Any]) -> Gate:
    figure = decision.figure
    return Gate(
        name,
        decision.verdict,
        "; ".join([f"{figure.who}: {figure.said}", decision.why, *seen.notes]),
        value=figure.value,
        samples=figure.samples,
        query=seen.query,
    )


def _nothing(name: str, seen: Seen[Any], otherwise: str) -> Gate:
    reason = "; ".join([seen.absent or otherwise, *seen.gaps, *seen.notes])
    return Gate(name, GateVerdict.INCONCLUSIVE, reason, samples=0, query=seen.query)
