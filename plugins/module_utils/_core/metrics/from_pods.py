# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics of a model from the pods themselves, where there is no Prometheus: two readings and a wait.

Pods remember nothing, so a window is what was counted between two readings of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from ..cluster.client import ClusterClient
from ..common.deadline import Deadline
from ..common.errors import PlatformError
from .answers import Answers, strange_statuses
from .counters import Series, began, grown
from .exposition import Sample
from .histogram import Histogram
from .pages import Reader, Reading, pods_of_service
from .plausible import plausible
from .window import Seen, Subject, Waiting

_ROUTER_SERVICE, _ROUTER_PORT = "router", 80
_REQUESTS = "llmops_router_requests_total"
_ERRORS = "llmops_router_errors_total"
_BUCKETS = "llmops_router_request_duration_seconds_bucket"
_QUEUE = "vllm:num_requests_waiting"

Figures = TypeVar("Figures")


@dataclass(frozen=True)
class PodsMark:
    """The beginning of a window: what the pods showed. Keep it, and ask for the window when it is over."""

    subject: Subject
    routers: Reading
    servers: Reading | PlatformError
    read: tuple[Reader, Reader]


class PodsSource:
    """Reads routers and model servers through the Kubernetes API; both may be in different clusters.

    ``deadline`` bounds the wait of :meth:`recent`.
    """

    name = "router"
    remembers = False

    def __init__(
        self,
        readers: Callable[[Subject], tuple[Reader, Reader]],
        deadline: Deadline,
    ) -> None:
        self._readers = readers
        self._deadline = deadline

    @classmethod
    def of_cluster(
        cls, client: ClusterClient, deadline: Deadline, router_client: ClusterClient | None = None
    ) -> PodsSource:
        """Return the source for what runs in a cluster (the routers perhaps in another one)."""

        def readers(subject: Subject) -> tuple[Reader, Reader]:
            return (
                pods_of_service(
                    router_client or client, _ROUTER_SERVICE, subject.router_namespace, _ROUTER_PORT
                ),
                pods_of_service(client, subject.release, subject.namespace, subject.port),
            )

        return cls(readers, deadline)

    def begin(self, subject: Subject) -> PodsMark:
        """Read the pods for the first time."""
        readers = self._readers(subject)
        return PodsMark(subject, _of_model(readers[0](), subject.model), _attempt(readers[1]), readers)

    def end(self, mark: PodsMark) -> PodsWindow:
        """Read them again."""
        routers = _of_model(mark.read[0](), mark.subject.model)
        return PodsWindow(mark, routers, _attempt(mark.read[1]))

    def recent(self, subject: Subject, window_s: float) -> PodsWindow:
        """Read, wait, and read again."""
        if self._deadline.remaining() < window_s:
            raise self._deadline.timeout_error(
                f"A window of {window_s:g} s", "nothing was read yet", "Raise timeout, or shorten the window."
            )
        mark = self.begin(subject)
        self._deadline.pause(window_s)
        return self.end(mark)


class PodsWindow:
    """What was counted between two readings."""

    def __init__(self, mark: PodsMark, routers: Reading, servers: Reading | PlatformError) -> None:
        self._before, self._after = mark.routers, routers
        self._queues = (mark.servers, servers)
        self._subject = mark.subject
        self.since: datetime = mark.routers.at
        self.until: datetime = routers.at

    def answers(self) -> Seen[Answers]:
        """Return the answers of each router."""
        pods = {pod: _answers(counts) for pod, counts in self._grown.items()}
        asked = {pod: answers for pod, answers in pods.items() if any(answers.statuses.values())}
        seen = self._seen(asked, _REQUESTS)
        return replace(seen, gaps=(*seen.gaps, *strange_statuses(pods)))

    def durations(self) -> Seen[Histogram]:
        """Return how long requests took at each router."""
        pods, broken = {}, []
        for pod, counts in self._grown.items():
            buckets = _buckets(counts)
            try:
                if buckets:
                    pods[pod] = Histogram.read(buckets)
            except ValueError as error:
                broken.append(f"{pod}: {error}")
        seen = self._seen(pods, _BUCKETS)
        return replace(seen, gaps=(*seen.gaps, *broken))

    def waiting(self) -> Seen[Waiting]:
        """Return the queue of each model server that is there at the end, from both readings."""
        for reading in self._queues:
            if isinstance(reading, PlatformError):
                raise reading
        first, last = (reading for reading in self._queues if isinstance(reading, Reading))
        pods, gaps = {}, [f"{pod} cannot be read: {why}" for pod, why in last.unread.items()]
        for pod, samples in last.pods.items():
            seen = [_queue(each) for each in (first.pods.get(pod, ()), samples)]
            values = [value for value in seen if value is not None]
            if seen[1] is None or not all(plausible(value) for value in values):
                gaps.append(f"{pod} shows no number of requests as {_QUEUE}")
                continue
            pods[pod] = Waiting(sum(values) / len(values), len(values))
        absent = "" if pods else f"no pod of {self._subject.release} shows {_QUEUE}"
        return Seen(pods, _QUEUE, tuple(gaps), absent=absent)

    @property
    def _grown(self) -> dict[str, Mapping[Series, float]]:
        return {
            pod: grown(self._before.pods.get(pod, ()), samples)
            for pod, samples in self._after.pods.items()
            if not self._unknown(pod, samples)
        }

    def _unknown(self, pod: str, samples: Sequence[Sample]) -> str:
        """Return why nothing is known of a pod that was read, if so."""
        if not all(plausible(sample.value) for sample in (*self._before.pods.get(pod, ()), *samples)):
            return f"{pod} shows a count that is none"
        start = began(samples)
        if pod in self._before.unread and samples and (start is None or start < self.since.timestamp()):
            return f"{pod} could not be read at the beginning: {self._before.unread[pod]}"
        return ""

    def _seen(self, pods: dict[str, Figures], name: str) -> Seen[Figures]:
        gaps = [f"{pod} cannot be read: {why}" for pod, why in self._after.unread.items()]
        gaps += [why for pod, samples in self._after.pods.items() if (why := self._unknown(pod, samples))]
        gone = (set(self._before.pods) | set(self._before.unread)) - (
            set(self._after.pods) | set(self._after.unread)
        )
        notes = [f"{pod} went away, with what it answered last" for pod in sorted(gone)]
        absent = "" if pods else "no router has answered a request for the model"
        if not self._after.pods and not gaps:
            absent = f"there is no pod of a router in namespace {self._subject.router_namespace}"
        return Seen(pods, name, tuple(gaps), tuple(notes), absent)


def _attempt(read: Reader) -> Reading | PlatformError:
    """Read the model servers; that they cannot be read says nothing of the routers."""
    try:
        return read()
    except PlatformError as error:
        return error


def _of_model(reading: Reading, model: str) -> Reading:
    """Keep what is of one model: a router counts for all of them."""
    pods = {
        pod: [sample for sample in samples if sample.labels.get("model") == model]
        for pod, samples in reading.pods.items()
    }
    return replace(reading, pods=pods)


def _answers(counts: Mapping[Series, float]) -> Answers:
    statuses: dict[str, float] = {}
    codes: dict[str, float] = {}
    for (name, labels), count in counts.items():
        if name == _REQUESTS:
            _add(statuses, dict(labels).get("status", ""), count)
        elif name == _ERRORS:
            _add(codes, dict(labels).get("code", ""), count)
    return Answers(statuses, codes)


def _add(table: dict[str, float], label: str, count: float) -> None:
    """Add up: other labels may tell series apart that are one to us."""
    table[label] = table.get(label, 0.0) + count


def _buckets(counts: Mapping[Series, float]) -> list[tuple[str | None, float]]:
    return [(dict(labels).get("le"), count) for (name, labels), count in counts.items() if name == _BUCKETS]


def _queue(samples: Sequence[Sample]) -> float | None:
    """Return what waits in one pod: the sum over its engines. NaN where one of them cannot be."""
    values = [sample.value for sample in samples if sample.name == _QUEUE]
    if not all(plausible(value) for value in values):
        return math.nan
    return sum(values) if values else None
