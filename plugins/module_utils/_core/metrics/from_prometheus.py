# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics of a model as Prometheus has them: of any window that it remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from ..common.errors import ErrorClass, PlatformError
from . import promql
from .answers import LATE_CODES, Answers, strange_statuses
from .histogram import Histogram
from .plausible import plausible
from .prometheus import PrometheusAPI, Series, Vector
from .window import Seen, Subject, Waiting

# As our ServiceMonitors name the jobs, and as our alerts select them.
_ROUTER_JOB = "router"
_QUEUE = "vllm:num_requests_waiting"
# A difference of clocks up to this is not worth a word.
_SKEW_TOLD_S = 5.0
# Beyond this it is no clock.
_SKEW_MOST_S = 366 * 86400.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class PrometheusMark:
    """The beginning of a window: Prometheus needs nothing but its time, here by our own clock."""

    subject: Subject
    at: datetime


class PrometheusSource:
    """Asks Prometheus, in its own time: our clock may be wrong, and would show it another window.

    ``matchers`` are labels that all series have to have: one Prometheus may know several clusters.
    """

    name = "prometheus"
    remembers = True

    def __init__(
        self,
        api: PrometheusAPI,
        clock: Callable[[], datetime] = _now,
        matchers: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._matchers = dict(matchers or {})

    def begin(self, subject: Subject) -> PrometheusMark:
        """Begin a window now. Nothing is asked yet, so that nothing fails."""
        return PrometheusMark(subject, self._clock())

    def end(self, mark: PrometheusMark) -> PrometheusWindow:
        """Return the window until now."""
        ahead = self._ahead
        return self.between(mark.subject, mark.at + ahead, self._clock() + ahead)

    def recent(self, subject: Subject, window_s: float) -> PrometheusWindow:
        """Return the last seconds."""
        until = self._clock() + self._ahead
        return self.between(subject, until - timedelta(seconds=window_s), until)

    def between(self, subject: Subject, since: datetime, until: datetime) -> PrometheusWindow:
        """Return any window by the time of Prometheus, for example the one before a promotion."""
        return PrometheusWindow(self._api, subject, since, until, self._matchers, self._notes)

    @cached_property
    def _ahead(self) -> timedelta:
        """How far the clock of Prometheus is ahead of ours; asked once, if it is answered."""
        before = self._clock()
        vector = self._api.query(promql.now(), None)
        after = self._clock()
        here = (before.timestamp() + after.timestamp()) / 2
        ahead = [series.value - here for series in vector.series]
        if len(ahead) != 1 or not abs(ahead[0]) <= _SKEW_MOST_S:
            raise PlatformError(
                ErrorClass.INVALID,
                "Prometheus does not say what time it is.",
                "Ask it for vector(time()) by hand.",
            )
        return timedelta(seconds=ahead[0])

    @property
    def _notes(self) -> tuple[str, ...]:
        ahead = self.__dict__.get("_ahead", timedelta()).total_seconds()
        if abs(ahead) <= _SKEW_TOLD_S:
            return ()
        which = "ahead of" if ahead > 0 else "behind"
        return (f"the clock of Prometheus is {abs(ahead):.0f} s {which} ours, and counts",)


class PrometheusWindow:
    """One window; nothing is asked before somebody wants to know."""

    def __init__(
        self,
        api: PrometheusAPI,
        subject: Subject,
        since: datetime,
        until: datetime,
        matchers: Mapping[str, str],
        notes: tuple[str, ...] = (),
    ) -> None:
        self._api = api
        self._subject = subject
        self._matchers = matchers
        self._notes = notes
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
        gaps = (*_gaps(requests), *_gaps(errors), *strange_statuses(pods), *self._away(pods))
        absent = self._absent_router if not pods else ""
        return Seen(pods, f"{by_status}\n{by_code}", gaps, self._notes, absent)

    def durations(self) -> Seen[Histogram]:
        """Return how long requests took at each router."""
        query = self._counted("llmops_router_request_duration_seconds", "_bucket", "le")
        vector = self._ask(query)
        tables: dict[str, list[tuple[str | None, float]]] = {}
        for series in _numbers(vector):
            tables.setdefault(_pod(series), []).append((series.labels.get("le"), series.value))
        pods, unread = {}, []
        for pod, table in tables.items():
            try:
                pods[pod] = Histogram.read(table)
            except ValueError as error:
                unread.append(f"{pod}: {error}")
        gaps = (*_gaps(vector), *unread, *self._away(pods))
        return Seen(pods, query, gaps, self._notes, self._absent_router if not pods else "")

    def waiting(self) -> Seen[Waiting]:
        """Return the queue of each model server that is still there."""
        labels = promql.selector(self._matchers, namespace=self._subject.namespace, job=self._subject.release)
        mean = promql.mean(_QUEUE, labels, self._window_s)
        means, counts = self._ask(mean), self._ask(promql.readings(_QUEUE, labels, self._window_s))
        up = self._ask(promql.up(labels))
        readings = {_pod(series): int(series.value) for series in _numbers(counts)}
        values = {_pod(series): series.value for series in _numbers(means)}
        pods = {pod: Waiting(value, readings[pod]) for pod, value in values.items() if readings.get(pod, 0)}
        gaps = [*_gaps(means), *_gaps(counts), *_gaps(up), *_not_up(up)]
        gaps += [f"Prometheus has no number of readings of {pod}" for pod in values if pod not in pods]
        known, told = ({_pod(series) for series in vector.series} for vector in (means, up))
        gaps += [f"Prometheus has no {_QUEUE} of {pod}" for pod in sorted(told - known)]
        gaps += [_unsaid(pod) for pod in sorted(known - told)]
        place = f"{self._subject.namespace}/{self._subject.release}"
        absent = "" if pods else f"Prometheus has no {_QUEUE} of {place}"
        return Seen(pods, mean, tuple(gaps), self._notes, absent)

    @property
    def _window_s(self) -> float:
        return (self.until - self.since).total_seconds()

    def _ask(self, query: str) -> Vector:
        return self._api.query(query, self.until)

    def _counted(self, family: str, ending: str, label: str, also: str = "") -> str:
        labels = promql.selector(
            self._matchers,
            namespace=self._subject.router_namespace,
            job=_ROUTER_JOB,
            model=self._subject.model,
        )
        by_code = f"{labels[:-1]},{also}}}" if also else labels
        return promql.counted(family, ending, by_code, ("pod", label), self.since, self._window_s)

    @cached_property
    def _routers(self) -> Vector:
        labels = promql.selector(self._matchers, namespace=self._subject.router_namespace, job=_ROUTER_JOB)
        return self._ask(promql.up(labels))

    def _away(self, pods: Iterable[str]) -> tuple[str, ...]:
        """Return what keeps Prometheus from knowing all of the routers' answers.

        A router of which it says nothing may have gone meanwhile, but not all of them.
        """
        up = self._routers
        unsaid = () if up.series else tuple(_unsaid(pod) for pod in sorted(pods))
        return (*_gaps(up), *_not_up(up), *unsaid)

    @property
    def _absent_router(self) -> str:
        if self._routers.series:
            return "no router has answered a request for the model"
        return f"Prometheus knows no router in namespace {self._subject.router_namespace}"


def _numbers(vector: Vector) -> list[Series]:
    return [series for series in vector.series if plausible(series.value)]


def _gaps(vector: Vector) -> tuple[str, ...]:
    strange = [series for series in vector.series if not plausible(series.value)]
    return (
        *(f"{_pod(series)} has the value {series.value}" for series in strange),
        *(f"Prometheus warns: {text}" for text in vector.warnings),
    )


def _not_up(vector: Vector) -> tuple[str, ...]:
    away = [_pod(series) for series in vector.series if series.value != 1]
    return tuple(f"Prometheus cannot read {pod}" for pod in sorted(away))


def _unsaid(pod: str) -> str:
    return f"Prometheus does not say whether it can read {pod}"


def _pod(series: Series) -> str:
    return series.labels.get("pod") or "a pod without a name"
