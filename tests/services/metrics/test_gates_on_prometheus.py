# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates over what a real Prometheus read from real pages of the router, well and badly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

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
from llmops_router.metrics import Metrics
from tests.support.prometheus import Pages, Prometheus, Target

MODEL = 'org/"quoted" back\\slash\nline é{}'
LIMITS = MetricLimits(min_samples=50)
RELEASE = "model-staging"


class Router:
    """A router's page, with what it counted."""

    def __init__(self) -> None:
        """Begin with what every router shows, and no request."""
        self.metrics = Metrics()
        self.metrics.gauge("models", "Models").set(3)

    def answers(self, count: int, status: int = 200, seconds: float = 0.3) -> Router:
        """Count answers."""
        for _ in range(count):
            self.metrics.answered(MODEL, status, seconds)
        return self

    def breaks_off(self, count: int) -> Router:
        """Count answers whose status was sent before they broke off."""
        for _ in range(count):
            self.metrics.answered(MODEL, 200, 0.3)
            self.metrics.refused(MODEL, "upstream_broken")
        return self


def queue(value: str) -> bytes:
    """Return a model server's page with two engines."""
    name = "vllm:num_requests_waiting"
    return f'{name}{{engine="0"}} {value}\n{name}{{engine="1"}} 1\n'.encode()


def first(name: str) -> Router:
    """Return a router as it is when the window begins."""
    router = Router()
    if name in ("fresh/one", "nothing/one", "broken/two"):
        return router
    return router.answers(1000 if name == "reset/one" else 40)


def later(name: str, router: Router) -> Router:
    """Return it as it is in the window."""
    case, pod = name.split("/")
    if case == "reset":
        # Another process: it knows nothing of the 1000.
        return Router().answers(120)
    if case == "bad" and pod == "two":
        return router.answers(70).answers(30, 500)
    if case == "thin" and pod == "two":
        return router.answers(3).answers(1, 503)
    if case == "fresh":
        return router.answers(60).answers(60, 503)
    if case == "broken" and pod == "two":
        return router.answers(90).breaks_off(10)
    if case == "slow":
        return router.answers(180).answers(20, seconds=4.0)
    if case == "beyond":
        return router.answers(100, seconds=700.0)
    if case == "clients":
        return router.answers(100, 404).answers(10, 499)
    if case in ("zero", "nothing"):
        return router
    return router.answers(200)


ROUTERS = (
    "well/one", "well/two", "bad/one", "bad/two", "thin/one", "thin/two", "reset/one", "fresh/one",
    "broken/one", "broken/two", "slow/one", "beyond/one", "clients/one", "zero/one", "nothing/one",
    "away/one", "away/two",
)  # fmt: skip
SERVERS = {"well/a": "2", "well/b": "3", "bad/a": "2", "bad/b": "15", "away/a": "NaN", "away/b": "+Inf"}


class Stage:
    """A Prometheus that has seen all cases, and when their window was."""

    def __init__(self, url: str, since: datetime, until: datetime) -> None:
        self.url = url
        self.source = PrometheusSource(PrometheusAPI(url))
        self.since, self.until = since, until

    def gates(self, case: str, limits: MetricLimits = LIMITS) -> dict[str, Gate]:
        """Ask the gates of one case."""
        window = self.source.between(subject(case), self.since, self.until)
        return {gate.name: gate for gate in metrics.gates_of(window, self.source.name, limits)}


def subject(case: str) -> Subject:
    """Return the model as it is in one case's namespace."""
    return Subject(MODEL, "staging", f"llm-{case}", RELEASE, f"llm-{case}")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Play all cases at once: what was before, the window, what is asked after it."""
    targets = [
        Target(f"/router/{name}", f"llm-{name.split('/')[0]}", f"router-{name.split('/')[1]}", "router")
        for name in ROUTERS
    ]
    targets += [
        Target(f"/server/{name}", f"llm-{name.split('/')[0]}", f"vllm-{name.split('/')[1]}", RELEASE)
        for name in SERVERS
    ]
    routers = {name: first(name) for name in ROUTERS}
    with Pages() as pages:
        for name, router in routers.items():
            pages.at[f"/router/{name}"] = router.metrics.render()
        for name, value in SERVERS.items():
            pages.at[f"/server/{name}"] = queue(value)
        with Prometheus(tmp_path_factory.mktemp("prometheus"), pages.port, targets) as prometheus:
            read_twice(pages, targets)
            since = datetime.now(UTC)
            # So that what is reset was seen within the window, too.
            read_twice(pages, targets)
            for name, router in routers.items():
                pages.at[f"/router/{name}"] = later(name, router).metrics.render()
            read_twice(pages, targets)
            pages.at["/router/away/two"] = None
            read_twice(pages, targets)
            time.sleep(0.3)
            yield Stage(prometheus.url, since, datetime.now(UTC))


def read_twice(pages: Pages, targets: list[Target]) -> None:
    """Wait until each page was read twice more, so that once is certainly of what it shows now."""
    wanted = {target.path: pages.asked.get(target.path, 0) + 3 for target in targets}
    deadline = time.monotonic() + 30
    while any(pages.asked.get(path, 0) < count for path, count in wanted.items()):
        assert time.monotonic() < deadline, "Prometheus reads too slowly"
        time.sleep(0.02)


def test_what_is_well_passes_with_its_figures(stage: Stage) -> None:
    gates = stage.gates("well")
    assert {gate.verdict for gate in gates.values()} == {GateVerdict.PASS}, gates
    assert gates["errors"].value == 0
    assert gates["latency"].value == 0.5
    assert (gates["queue"].value, gates["queue"].limit, gates["queue"].unit) == (4, 10, "requests")
    assert gates["errors"].samples == gates["latency"].samples == 400
    assert all(gate.query and gate.since == stage.since for gate in gates.values())


def test_one_bad_series_among_good_ones_decides_and_is_named(stage: Stage) -> None:
    gates = stage.gates("bad", MetricLimits(error_ratio=0.2))
    assert gates["errors"].verdict is GateVerdict.FAIL
    # Together it would be 10 %.
    assert (gates["errors"].value, gates["errors"].samples) == (0.3, 100)
    assert gates["errors"].reason.startswith("router-two: 30.00% of 100 answers failed")
    assert gates["queue"].verdict is GateVerdict.FAIL
    assert gates["queue"].value == 16
    assert "vllm-b" in gates["queue"].reason


def test_a_bad_series_with_few_samples_is_no_pass(stage: Stage) -> None:
    gate = stage.gates("thin")["errors"]
    assert gate.verdict is GateVerdict.INCONCLUSIVE
    assert "router-two" in gate.reason
    assert "only 4 of the 50" in gate.reason


def test_a_counter_that_is_reset_counts_from_zero(stage: Stage) -> None:
    gate = stage.gates("reset")["errors"]
    assert gate.verdict is GateVerdict.PASS
    # This one is extrapolated.
    assert 120 <= (gate.samples or 0) <= 200


def test_series_that_begin_in_the_window_count_from_zero(stage: Stage) -> None:
    """``increase`` alone sees no request here, and no error."""
    gates = stage.gates("fresh")
    assert (gates["errors"].verdict, gates["errors"].value) == (GateVerdict.FAIL, 0.5)
    assert gates["errors"].samples == gates["latency"].samples == 120


def test_answers_that_break_off_have_failed(stage: Stage) -> None:
    gate = stage.gates("broken")["errors"]
    assert gate.verdict is GateVerdict.FAIL
    assert gate.value == 0.1
    assert "router-two" in gate.reason


def test_latency_is_the_bound_of_its_bucket(stage: Stage) -> None:
    gate = stage.gates("slow")["latency"]
    assert (gate.verdict, gate.value, gate.limit, gate.unit) == (GateVerdict.FAIL, 5.0, 3.0, "s")
    assert "90.00% of " in gate.reason
    assert stage.gates("slow", MetricLimits(latency_quantile=0.9))["latency"].verdict is GateVerdict.PASS
    # Some that were answered in 4 s may be within 4.5, and nobody knows how many.
    between = stage.gates("slow", MetricLimits(latency_s=4.5))["latency"]
    assert between.verdict is GateVerdict.FAIL
    assert "within 3 s (the next bucket below 4.5 s)" in between.reason
    # Below the first bound nobody knows anything.
    below = stage.gates("slow", MetricLimits(latency_s=0.01))["latency"]
    assert (below.verdict, below.samples) == (GateVerdict.INCONCLUSIVE, 200)
    assert "no bucket has a bound up to 0.01 s" in below.reason
    assert stage.gates("slow", MetricLimits(latency_s=5))["latency"].verdict is GateVerdict.PASS


def test_beyond_the_last_bound_is_more_than_that(stage: Stage) -> None:
    gate = stage.gates("beyond", MetricLimits(latency_s=3600))["latency"]
    assert (gate.verdict, gate.value) == (GateVerdict.FAIL, "> 600")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("zero", "no answer that says anything of the model server"),
        ("clients", "no answer that says anything of the model server"),
        ("nothing", "no router has answered a request for the model"),
        ("nowhere", "Prometheus knows no router in namespace llm-nowhere"),
    ],
)
def test_no_requests_are_inconclusive(stage: Stage, case: str, reason: str) -> None:
    gates = stage.gates(case)
    assert (gates["errors"].verdict, gates["errors"].samples) == (GateVerdict.INCONCLUSIVE, 0)
    assert gates["errors"].reason == reason
    assert gates["queue"].verdict is GateVerdict.INCONCLUSIVE
    assert gates["queue"].reason == f"Prometheus has no vllm:num_requests_waiting of llm-{case}/{RELEASE}"
    if case != "clients":
        assert gates["latency"].verdict is GateVerdict.INCONCLUSIVE


def test_few_requests_are_inconclusive(stage: Stage) -> None:
    gate = stage.gates("well", MetricLimits(min_samples=100_000))["errors"]
    assert (gate.verdict, gate.value) == (GateVerdict.INCONCLUSIVE, 0)
    assert "of the 100000 samples that are needed" in gate.reason


def test_a_router_that_cannot_be_read_is_no_pass(stage: Stage) -> None:
    for name in ("errors", "latency"):
        gate = stage.gates("away")[name]
        assert gate.verdict is GateVerdict.INCONCLUSIVE
        assert "Prometheus cannot read router-two" in gate.reason


def test_what_is_no_number_is_no_pass(stage: Stage) -> None:
    gate = stage.gates("away")["queue"]
    assert gate.verdict is GateVerdict.INCONCLUSIVE
    assert "vllm-a has the value nan" in gate.reason
    assert "vllm-b has the value inf" in gate.reason


def test_only_what_has_the_labels_of_the_cluster_is_looked_at(stage: Stage) -> None:
    """One of two routers here, as one of two clusters would be."""
    api = PrometheusAPI(stage.url)
    source = PrometheusSource(api, matchers={"instance": "/router/bad/one"})
    window = source.between(subject("bad"), stage.since, stage.until)
    errors, latency, queue = metrics.gates_of(window, source.name, LIMITS)
    assert (errors.verdict, errors.value, errors.samples) == (GateVerdict.PASS, 0, 200)
    assert (latency.verdict, queue.verdict) == (GateVerdict.PASS, GateVerdict.INCONCLUSIVE)
    elsewhere = PrometheusSource(api, matchers={"cluster": "eu-1"})
    window = elsewhere.between(subject("well"), stage.since, stage.until)
    gates = metrics.gates_of(window, source.name, LIMITS)
    assert {gate.verdict for gate in gates} == {GateVerdict.INCONCLUSIVE}


def test_the_last_window_and_one_since_a_mark(stage: Stage) -> None:
    gates = metrics.metric_gates(stage.source, subject("fresh"), MetricLimits(window_s=60))
    assert [gate.verdict for gate in gates][:2] == [GateVerdict.FAIL, GateVerdict.PASS]
    assert gates[0].window_s == 60
    # Since just now nothing has been read.
    quiet = metrics.gates_of(stage.source.end(stage.source.begin(subject("fresh"))), "prometheus", LIMITS)
    assert quiet[0].verdict is GateVerdict.INCONCLUSIVE
