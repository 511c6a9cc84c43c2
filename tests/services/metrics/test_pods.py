# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Without Prometheus the pods are read twice: real pages of the router, pods that come, go and restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.access import route_to_url
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.from_pods import (
    PodsMark,
    PodsSource,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.pages import (
    Reader,
    Reading,
    read_pages,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.window import Subject
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import metrics
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from llmops_router.metrics import Metrics
from tests.support.ports import free_port
from tests.support.prometheus import Pages

MODEL = "org/model-7b"
SUBJECT = Subject(MODEL, "staging", "llm-staging", "model-staging", "llm-staging")
LIMITS = MetricLimits(min_samples=10)


class Cluster:
    """Pods of which each has a page, and a source that reads them."""

    def __init__(self, pages: Pages) -> None:
        """Begin without pods."""
        self._pages = pages
        #: Where there is a path of None, nothing listens.
        self.routers: dict[str, str | None] = {}
        self.servers: dict[str, str | None] = {}
        self.source = PodsSource(
            lambda _subject: (self._reader(self.routers), self._reader(self.servers)), Deadline(60)
        )

    def router(self, name: str, counts: Metrics | None = None) -> Metrics:
        """Start a router, or another process in its pod."""
        counts = counts or Metrics()
        self.routers[name] = f"/{name}"
        self._pages.at[f"/{name}/metrics"] = counts.render
        return counts

    def page(self, pods: dict[str, str | None], name: str, text: bytes | None) -> None:
        """Give a pod a page."""
        pods[name] = f"/{name}"
        self._pages.at[f"/{name}/metrics"] = text

    def _reader(self, pods: dict[str, str | None]) -> Reader:
        def read() -> Reading:
            return read_pages({name: route_to_url(self._url(path)) for name, path in pods.items()})

        return read

    def _url(self, path: str | None) -> str:
        return f"http://127.0.0.1:{free_port() if path is None else self._pages.port}{path or ''}"

    def begin(self) -> PodsMark:
        """Begin a window."""
        return self.source.begin(SUBJECT)

    def gates(self, mark: PodsMark, limits: MetricLimits = LIMITS) -> dict[str, Gate]:
        """Ask the gates since then."""
        gates = metrics.gates_of(self.source.end(mark), self.source.name, limits)
        return {gate.name: gate for gate in gates}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return pods that show pages, and a model server without a queue."""
    with Pages() as pages:
        running = Cluster(pages)
        running.page(running.servers, "vllm-a", b"vllm:num_requests_waiting 0\n")
        yield running


def answer(counts: Metrics, number: int, status: int = 200, seconds: float = 0.3, model: str = MODEL) -> None:
    """Count answers."""
    for _ in range(number):
        counts.answered(model, status, seconds)


def test_what_was_counted_between_two_readings(cluster: Cluster) -> None:
    one, two = cluster.router("router-1"), cluster.router("router-2")
    answer(one, 30, 500)
    mark = cluster.begin()
    answer(one, 20)
    answer(two, 20, seconds=1.5)
    answer(two, 20, 500, model="another")
    gates = cluster.gates(mark)
    assert {gate.verdict for gate in gates.values()} == {GateVerdict.PASS}, gates
    assert (gates["errors"].value, gates["errors"].samples) == (0, 40)
    assert (gates["latency"].value, gates["latency"].samples) == (2, 40)
    assert (gates["queue"].value, gates["queue"].samples) == (0, 2)
    assert gates["errors"].source == "router"
    assert gates["errors"].since == mark.routers.at


@pytest.mark.parametrize("answers", [15, 60])
def test_a_router_that_restarted_counts_from_zero(cluster: Cluster, answers: int) -> None:
    """Also where it has counted more than before by now."""
    answer(cluster.router("router-1"), 50)
    mark = cluster.begin()
    time.sleep(0.01)
    answer(cluster.router("router-1"), answers, 500)
    gates = cluster.gates(mark)
    assert (gates["errors"].verdict, gates["errors"].value) == (GateVerdict.FAIL, 1)
    assert gates["errors"].samples == gates["latency"].samples == answers


def test_a_router_that_came_counts_from_zero_and_one_that_went_is_told(cluster: Cluster) -> None:
    answer(cluster.router("router-1"), 50)
    mark = cluster.begin()
    del cluster.routers["router-1"]
    answer(cluster.router("router-2"), 12)
    gate = cluster.gates(mark)["errors"]
    assert (gate.verdict, gate.samples) == (GateVerdict.PASS, 12)
    assert "router-1 went away, with what it answered last" in gate.reason


@pytest.mark.parametrize("page", [None, b"<html>", b"\xff 1\n", b"llmops_router_models NaN 1 2\n"])
def test_a_router_that_cannot_be_read_is_no_pass(cluster: Cluster, page: bytes | None) -> None:
    one = cluster.router("router-1")
    cluster.router("router-2")
    mark = cluster.begin()
    answer(one, 20)
    cluster.page(cluster.routers, "router-2", page)
    gates = cluster.gates(mark)
    for name in ("errors", "latency"):
        assert gates[name].verdict is GateVerdict.INCONCLUSIVE
        assert "router-2 cannot be read" in gates[name].reason
    answer(one, 20, 500)
    assert cluster.gates(mark)["errors"].verdict is GateVerdict.FAIL


def test_a_router_that_could_not_be_read_at_first(cluster: Cluster) -> None:
    answer(cluster.router("router-1"), 20)
    old = Metrics()
    answer(old, 500)
    cluster.routers["router-2"] = None
    mark = cluster.begin()
    cluster.router("router-2", old)
    answer(old, 20)
    gate = cluster.gates(mark)["errors"]
    assert gate.verdict is GateVerdict.INCONCLUSIVE
    assert "router-2 could not be read at the beginning" in gate.reason
    # A process that began since then has counted nothing before.
    answer(cluster.router("router-2"), 20)
    assert cluster.gates(mark)["errors"].verdict is GateVerdict.PASS


def test_no_requests_are_inconclusive(cluster: Cluster) -> None:
    answer(cluster.router("router-1"), 500)
    gates = cluster.gates(cluster.begin())
    assert [gates[name].verdict for name in ("errors", "latency")] == [GateVerdict.INCONCLUSIVE] * 2
    assert gates["errors"].reason == "no router has answered a request for the model"
    mark = cluster.begin()
    answer(cluster.router("router-1"), 500, 404)
    assert cluster.gates(mark)["errors"].reason == "no answer that says anything of the model server"
    cluster.routers.clear()
    gates = cluster.gates(cluster.begin())
    assert gates["errors"].reason == "there is no pod of a router in namespace llm-staging"


@pytest.mark.parametrize("value", ["NaN", "-5", "1e308"])
def test_a_count_that_cannot_be_is_no_pass(cluster: Cluster, value: str) -> None:
    name = f'llmops_router_requests_total{{model="{MODEL}",status="200"}}'
    cluster.page(cluster.routers, "router-1", f"{name} 1\n".encode())
    mark = cluster.begin()
    cluster.page(cluster.routers, "router-1", f"{name} {value}\n".encode())
    gate = cluster.gates(mark)["errors"]
    assert gate.verdict is GateVerdict.INCONCLUSIVE
    assert "router-1 shows a count that is none" in gate.reason


@pytest.mark.parametrize(
    ("name", "more", "gate", "why"),
    [
        ("llmops_router_requests_total", '{model="%s",status=""} 20', "errors", "of the status ''"),
        ("llmops_router_requests_total", '{model="%s"} 20', "errors", "of the status ''"),
        ("llmops_router_requests_total", '{model="%s",status="200"} 0', "errors", "repeats a series"),
        ("llmops_router_request_duration_seconds_bucket", '{model="%s"} 20', "latency", "the bound None"),
        (
            "llmops_router_request_duration_seconds_bucket",
            '{model="%s",le="NaN"} 20',
            "latency",
            "the bound nan",
        ),
        (
            "llmops_router_request_duration_seconds_bucket",
            '{model="%s",le="1.00"} 20',
            "latency",
            "1.0 and 1.00 are one bound",
        ),
    ],
)
def test_a_page_that_cannot_be_is_no_pass(
    cluster: Cluster, name: str, more: str, gate: str, why: str
) -> None:
    """Beside a router that is well."""
    one, two = cluster.router("router-1"), cluster.router("router-2")
    answer(two, 1)
    mark = cluster.begin()
    answer(one, 20)
    answer(two, 20)
    cluster.page(cluster.routers, "router-2", two.render() + f"{name}{more % MODEL}\n".encode())
    found = cluster.gates(mark)[gate]
    assert (found.verdict, why in found.reason) == (GateVerdict.INCONCLUSIVE, True), found


def test_series_that_are_one_to_us_are_added_up(cluster: Cluster) -> None:
    cluster.page(cluster.routers, "router-1", b"llmops_router_models 1\n")
    mark = cluster.begin()
    lines = [
        f'llmops_router_requests_total{{model="{MODEL}",status="{status}",zone="{zone}"}} {count}\n'
        for status, zone, count in (("500", "a", 40), ("500", "b", 0), ("200", "a", 60))
    ]
    cluster.page(cluster.routers, "router-1", "".join(lines).encode())
    gate = cluster.gates(mark)["errors"]
    assert (gate.verdict, gate.value, gate.samples) == (GateVerdict.FAIL, 0.4, 100)


def test_the_longest_queue_decides(cluster: Cluster) -> None:
    cluster.router("router-1")
    cluster.page(cluster.servers, "vllm-b", b'vllm:num_requests_waiting{engine="0"} 4\n')
    mark = cluster.begin()
    page = b'vllm:num_requests_waiting{engine="0"} 20\nvllm:num_requests_waiting{engine="1"} 10\n'
    cluster.page(cluster.servers, "vllm-b", page)
    gate = cluster.gates(mark)["queue"]
    assert (gate.verdict, gate.value, gate.samples) == (GateVerdict.FAIL, 17, 2)
    assert "vllm-b" in gate.reason
    for value in (b" NaN", b" -5", b'{engine="0"} -5\nvllm:num_requests_waiting{engine="1"} 9'):
        cluster.page(cluster.servers, "vllm-b", b"vllm:num_requests_waiting%s\n" % value)
        gate = cluster.gates(mark)["queue"]
        assert (gate.verdict, gate.value) == (GateVerdict.INCONCLUSIVE, 0)
        assert "vllm-b shows no number" in gate.reason


def test_a_queue_that_cannot_be_read_says_nothing_of_the_routers(cluster: Cluster) -> None:
    one = cluster.router("router-1")
    cluster.servers["vllm-a"] = None
    mark = cluster.begin()
    answer(one, 20)
    gates = cluster.gates(mark)
    assert gates["errors"].verdict is GateVerdict.PASS
    assert gates["queue"].verdict is GateVerdict.ERROR
    assert "No pod shows its metrics; vllm-a" in gates["queue"].reason


def test_a_window_is_waited_for_within_the_deadline(cluster: Cluster) -> None:
    answer(cluster.router("router-1"), 5)
    began = datetime.now(UTC)
    gates = metrics.metric_gates(cluster.source, SUBJECT, MetricLimits(window_s=1))
    assert gates[0].window_s == pytest.approx(1, abs=0.5)
    assert (datetime.now(UTC) - began).total_seconds() >= 1
    gates = metrics.metric_gates(cluster.source, SUBJECT, MetricLimits(window_s=61))
    assert {gate.verdict for gate in gates} == {GateVerdict.ERROR}
    assert "did not finish within" in gates[0].reason


def test_no_router_that_can_be_read_is_an_error(cluster: Cluster) -> None:
    cluster.routers["router-1"] = None
    with pytest.raises(PlatformError) as caught:
        cluster.begin()
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE
    assert "router-1" in caught.value.message
    gates = metrics.metric_gates(cluster.source, SUBJECT, MetricLimits(window_s=1))
    assert {gate.verdict for gate in gates} == {GateVerdict.ERROR}
