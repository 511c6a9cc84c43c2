# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing can be reached: is it the models, or the health checker's own network?"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from llmops_health.checker import Checker
from llmops_health.keys import UpstreamKeys
from llmops_health.metrics import Metrics
from llmops_health.network import Network
from llmops_health.probe import Probe
from llmops_health.registry import Registry
from llmops_health.settings import from_environment

from tests.services.health_check.checker_process import QUICK, CheckerProcess
from tests.services.health_check.conftest import RegistryDatabase, StartEngine
from tests.services.health_check.names import Names
from tests.support.model_server import MODEL, ModelServer, parse_metrics, wait_until
from tests.support.ports import free_port

Start = Callable[..., CheckerProcess]

MODELS = ("org/a", "org/b")


def started(registry: RegistryDatabase, engine: StartEngine) -> list[ModelServer]:
    """Start an engine for each model and register it."""
    servers = [engine(model) for model in MODELS]
    for model, server in zip(MODELS, servers, strict=True):
        registry.register(model, server.url)
    return servers


def nowhere() -> str:
    """Return a URL at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


def test_nobody_is_blamed_when_neither_models_nor_canary_answer(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    servers = started(registry, engine)
    running = checker(canary_url=nowhere()).wait_leading()
    wait_until(lambda: registry.checks_recorded() == len(MODELS))
    for server in servers:
        server.__exit__()
    wait_until(lambda: running.metric("blind") == 1)
    # Long enough for each to fail five times and more; somebody else may try then.
    wait_until(lambda: any("gives way" in line["message"] for line in running.messages()))
    assert running.metric("records_total", outcome="held_back") >= 4
    assert {registry.status(model) for model in MODELS} == {"ready"}
    assert running.metric("blind") == 0, "only a leader sees or does not see"
    # It tries again by itself.
    running.wait_leading()
    time.sleep(1)
    assert {registry.status(model) for model in MODELS} == {"ready"}


def test_all_are_blamed_when_the_canary_answers(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    servers = started(registry, engine)
    checker(canary_url=engine().url).wait_leading()
    wait_until(lambda: registry.checks_recorded() == len(MODELS))
    for server in servers:
        server.__exit__()
    wait_until(lambda: {registry.status(model) for model in MODELS} == {"degraded"})


def test_a_checker_that_was_never_let_through_to_any_model_blames_none(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    for model in MODELS:
        registry.register(model, nowhere())
    running = checker(canary_url=engine().url)
    wait_until(lambda: running.metric("records_total", outcome="held_back") >= 8)
    assert {registry.status(model) for model in MODELS} == {"ready"}
    assert registry.checks_recorded() == 0


def test_silence_counts_only_against_a_model_that_was_reached_before(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    """Model servers whose network policy is older than the health checker drop what it sends."""
    steady, reached = engine("org/steady"), engine("org/reached")
    registry.register("org/steady", steady.url)
    registry.register("org/reached", reached.url)
    with silence() as never_reached:
        registry.register("org/never-reached", f"http://127.0.0.1:{never_reached}")
        running = checker()
        wait_until(lambda: registry.checks_recorded() == 2)
        reached.__exit__()
        with silence(reached.port):
            wait_until(lambda: registry.status("org/reached") == "degraded")
        wait_until(lambda: running.metric("checks_total", result="silent") >= 10)
        assert registry.status("org/never-reached") == "ready"
        assert registry.health("org/never-reached") == {}
    assert sum("network policy" in line["message"] for line in running.messages()) == 1
    # A refusal is no network policy: nothing listens there any more.
    wait_until(lambda: registry.status("org/never-reached") == "degraded")


@contextmanager
def silence(port: int = 0) -> Iterator[int]:
    """Yield a port whose queue is full: the kernel drops every further attempt to connect."""
    with socket.create_server(("127.0.0.1", port), backlog=0) as server, ExitStack() as waiting:
        taken = int(server.getsockname()[1])
        for _place in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", taken))
        yield taken


def test_a_single_model_is_blamed_after_a_change_of_the_leader_too(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    first = checker("one").wait_leading()
    wait_until(registry.health)
    first.stop()
    server.__exit__()
    # The second one has never reached it; the registry knows that the first one had.
    checker("two")
    wait_until(lambda: registry.status() == "degraded")


@asynccontextmanager
async def checking(registry: RegistryDatabase, names: Names) -> AsyncIterator[Metrics]:
    """Check as the leader does, in this process, with another name service than the system's."""
    given = {**QUICK, "ALLOWED_ENDPOINTS": ".test,127.0.0.0/8", "DSN": registry.dsn}
    settings = from_environment({f"LLMOPS_HEALTH_{key}": value for key, value in given.items()})
    metrics = Metrics()
    connection = Registry(settings, metrics)
    lease = await connection.acquire()
    assert lease is not None
    probe = Probe(settings, UpstreamKeys(None), names)
    network = Network(1.5 * settings.interval_s, None, was_let_through=False)
    checker = Checker(settings, metrics, connection, probe, network, lease, set())
    running = asyncio.create_task(checker.run())
    try:
        yield metrics
    finally:
        running.cancel()
        await asyncio.wait({running})
        await probe.close()
        await connection.close()


def count(metrics: Metrics, result: str) -> float:
    """Return how many checks had this result."""
    return sum(
        sample.value
        for sample in parse_metrics(metrics.render().decode())
        if sample.name == "llmops_health_checks_total" and sample.labels["result"] == result
    )


def test_nobody_is_blamed_for_a_name_service_that_fails_for_some(
    registry: RegistryDatabase, engine: StartEngine
) -> None:
    """One model still answers, and speaks for the network; the names of the others cannot be resolved."""
    servers = [engine(model) for model in MODELS]
    for model, server in zip(MODELS, servers, strict=True):
        registry.register(model, f"http://engine.test:{server.port}")
    registry.register(MODEL, engine().url)
    names = Names()

    async def outage() -> None:
        async with checking(registry, names) as metrics:

            async def until(condition: Callable[[], bool]) -> None:
                await asyncio.to_thread(wait_until, condition)

            await until(lambda: registry.checks_recorded() == 3)
            names.fails_with = socket.EAI_AGAIN
            await until(lambda: count(metrics, "unresolved") >= 5 * len(MODELS))
            assert {registry.status(model) for model in (*MODELS, MODEL)} == {"ready"}
            # A name that is gone is another matter: the model is.
            names.fails_with = socket.EAI_NONAME
            await until(lambda: {registry.status(model) for model in MODELS} == {"degraded"})
            assert registry.status() == "ready"

    asyncio.run(outage())
