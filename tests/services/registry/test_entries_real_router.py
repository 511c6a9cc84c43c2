# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""registry_entry with two real routers before a model server: what it says holds for the next request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services.registry.conftest import Run
from tests.support.model_server import MODEL, ModelServer, Reply, wait_until
from tests.support.router_process import RouterProcess


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def model_server(model_server_binary: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """Return a model server that takes its time for each token."""
    with ModelServer(model_server_binary, tmp_path / "model-server.log", MODEL_SERVER_ITL_MS="50") as server:
        wait_until(server.is_open, 20)
        yield server


@pytest.fixture
def routers(dsn: str, tmp_path: Path) -> Iterator[list[RouterProcess]]:
    """Return two routers of staging that are ready."""
    with ExitStack() as running:
        started = [running.enter_context(RouterProcess(name, tmp_path, dsn)) for name in ("one", "two")]
        for router in started:
            router.wait_ready()
        yield started


def ask(router: RouterProcess, max_tokens: int = 1) -> Reply:
    """Ask for a completion by the model's name."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": max_tokens,
        "ignore_eos": True,
    }
    return router.request(
        "POST",
        "/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        timeout_s=30,
    )


def refusal(router: RouterProcess) -> str:
    """Ask for a completion that is refused, and return the code of the error."""
    reply = ask(router)
    assert reply.status == 404, reply.text
    return str(reply.json["error"]["code"])


def test_after_the_task_no_request_reaches_a_withdrawn_model(
    entry: Run, routers: list[RouterProcess], model_server: ModelServer
) -> None:
    ready = {"model": MODEL, "status": "ready", "endpoint": model_server.url}
    for _ in range(10):
        entry(**ready, desired_state="enabled")
        assert [ask(router).status for router in routers] == [200, 200]
        confirmed = entry(model=MODEL, desired_state="disabled").result["routers"]
        assert confirmed["confirmed"] == ["one", "two"]
        assert [refusal(router) for router in routers] == ["model_disabled"] * 2
    entry(model=MODEL, state="absent")
    # Nobody waits for the end of the row: the route was gone before.
    wait_until(lambda: {ask(router).status for router in routers} == {404}, 10)
    assert [refusal(router) for router in routers] == ["model_not_found"] * 2


def test_a_request_in_flight_ends_before_the_entry_goes(
    entry: Run, routers: list[RouterProcess], model_server: ModelServer
) -> None:
    entry(model=MODEL, status="ready", endpoint=model_server.url)
    ended: list[tuple[int, float]] = []

    def request(router: RouterProcess) -> None:
        reply = ask(router, max_tokens=40)
        ended.append((reply.status, time.monotonic()))

    clients = [threading.Thread(target=request, args=(router,)) for router in routers]
    for client in clients:
        client.start()
    running = "vllm:num_requests_running"
    wait_until(lambda: f"{running}{{" in model_server.request("GET", "/metrics").text, 10)
    wait_until(lambda: _sum(model_server, running) == 2, 10)
    removed = entry(model=MODEL, state="absent")
    gone = time.monotonic()
    for client in clients:
        client.join(30)
    assert removed.result["drain"]["in_flight"] == 0
    assert [status for status, _ in ended] == [200, 200]
    # The last answer was complete before the row was deleted; a thread may be told a little later.
    assert max(moment for _, moment in ended) < gone + 0.5
    assert removed.result["drain"]["waited_s"] > 0.2


def _sum(model_server: ModelServer, name: str) -> float:
    lines = model_server.request("GET", "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))
