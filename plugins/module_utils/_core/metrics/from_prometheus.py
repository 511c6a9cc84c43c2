# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics of a model as Prometheus has them: of any window that it remembers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from . import promql
from .answers import LATE_CODES, Answers
from .histogram import Histogram
from .prometheus import PrometheusAPI, Series, Vector
from .window import Seen, Subject, Waiting

# As our ServiceMonitors name the jobs, and as our alerts select them.
_ROUTER_JOB = "router"
_QUEUE = "vllm:num_requests_waiting"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class PrometheusMark:
    """The beginning of a window: Prometheus needs nothing but its time."""

    subject: Subject
    at: datetime


class PrometheusSource:
    """Asks Prometheus."""

    name = "prometheus"

    def __init__(self, api: PrometheusAPI, clock: Callable[[], datetime] = _now) -> None:
        self._api = api
        self._clock = clock

    def begin(self, subject: Subject) -> PrometheusMark:
        """Begin a window now."""
        return PrometheusMark(subject, self._clock())

    def end(self, mark: PrometheusMark) -> PrometheusWindow:
        """Return the window until now."""
        return self.between(mark.subject, mark.at, self._clock())

    def recent(self, subject: Subject, window_s: float) -> PrometheusWindow:
        """Return the last seconds."""
        until = self._clock()
        return self.between(subject, until - timedelta(seconds=window_s), until)

    def between(self, subject: Subject, since: datetime, until: datetime) -> PrometheusWindow:
        """Return any window, for example the one before a promotion."""
        return PrometheusWindow(self._api, subject, since, until)


class PrometheusWindow:
    """One window; nothing is asked before somebody wants to know."""

    def __init__(self, api: PrometheusAPI, subject: Subject, since: datetime, until: datetime) -> None:
        self._api = api
        self._subject = subject
        self.since = since
        self.until = until

    def answers(self) -> Seen[Answers]:
        """Return the answers of each router."""
        by_status = self._counted("llmops_router_requests", "_total", "status")
        codes = promql.one_of("code", LATE_CODES)
        by_code = self._counted("llmops_router_errors", "_total", "code", codes)
        requests, errors = self._ask(by_status), self._ask(by_code)
        tables: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
        for position, vector, label in ((0, requests, "status"), (1, errors, "code")):
            for series in _numbers(vector):
                table = tables.setdefault(_pod(series), ({}, {}))[position]
                table[series.labels.get(label, "")] = series.value
        pods = {pod: Answers(*table) for pod, table in tables.items()}
        gaps = (*_gaps(requests), *_gaps(errors), *self._away)
        return Seen(pods, f"{by_status}\n{by_code}", gaps, absent=self._absent_router if not pods else "")

    def durations(self) -> Seen[Histogram]:
        """Return how long requests took at each router."""
        query = self._counted("llmops_router_request_duration_seconds", "_bucket", "le")
        vector = self._ask(query)
        tables: dict[str, dict[float, float]] = {}
        unread = []
        for series in _numbers(vector):
            try:
                bound = float(series.labels.get("le", ""))
            except ValueError:
                unread.append(f"a bucket of {_pod(series)} has no bound")
                continue
            tables.setdefault(_pod(series), {})[bound] = series.value
        pods = {}
        for pod, table in tables.items():
            try:
                pods[pod] = Histogram.of(table)
            except ValueError as error:
                unread.append(f"{pod}: {error}")
        gaps = (*_gaps(vector), *unread, *self._away)
        return Seen(pods, query, gaps, absent=self._absent_router if not pods else "")

    def waiting(self) -> Seen[Waiting]:
        """Return the queue of each model server that is still there."""
        labels = promql.selector(namespace=self._subject.namespace, job=self._subject.release)
        mean = promql.mean(_QUEUE, labels, self._window_s)
        means, counts = self._ask(mean), self._ask(promql.readings(_QUEUE, labels, self._window_s))
        readings = {_pod(series): int(series.value) for series in _numbers(counts)}
        pods = {
            _pod(series): Waiting(series.value, readings.get(_pod(series), 0)) for series in _numbers(means)
        }
        absent = (
            "" if pods else f"Prometheus has no {_QUEUE} of {self._subject.namespace}/{self._subject.release}"
        )
        gaps = (*_gaps(means), *self._not_up(self._up(labels)))
        return Seen(pods, mean, gaps, absent=absent)

    @property
    def _window_s(self) -> float:
        return (self.until - self.since).total_seconds()

    def _ask(self, query: str) -> Vector:
        return self._api.query(query, self.until)

    def _counted(self, family: str, ending: str, label: str, also: str = "") -> str:
        labels = promql.selector(
            namespace=self._subject.router_namespace, job=_ROUTER_JOB, model=self._subject.model
        )
        by_code = f"{labels[:-1]},{also}}}" if also else labels
        return promql.counted(family, ending, by_code, ("pod", label), self.since, self._window_s)

    def _up(self, labels: str) -> dict[str, float]:
        return {_pod(series): series.value for series in self._ask(promql.up(labels)).series}

    @cached_property
    def _routers(self) -> dict[str, float]:
        return self._up(promql.selector(namespace=self._subject.router_namespace, job=_ROUTER_JOB))

    @cached_property
    def _away(self) -> tuple[str, ...]:
        return self._not_up(self._routers)

    @staticmethod
    def _not_up(seen: dict[str, float]) -> tuple[str, ...]:
        return tuple(f"Prometheus cannot read {pod}" for pod, value in sorted(seen.items()) if value != 1)

    @property
    def _absent_router(self) -> str:
        if self._routers:
            return "no router has answered a request for the model"
        return f"Prometheus knows no router in namespace {self._subject.router_namespace}"


def _numbers(vector: Vector) -> list[Series]:
    return [series for series in vector.series if math.isfinite(series.value)]


def _gaps(vector: Vector) -> tuple[str, ...]:
    strange = [series for series in vector.series if not math.isfinite(series.value)]
    return (
        *(f"{_pod(series)} has the value {series.value}" for series in strange),
        *(f"Prometheus warns: {text}" for text in vector.warnings),
    )


def _pod(series: Series) -> str:
    return series.labels.get("pod") or "a pod without a name"
