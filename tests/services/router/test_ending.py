# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGTERM: the router says that it leaves, answers all that was asked, and is gone."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.services.router.test_passing_through import BODY, post
from tests.support.model_server import wait_until

HEADERS = {"Content-Type": "application/json"}


def test_no_request_is_lost(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine(MODEL_SERVER_TTFT_MS="20").url)
    router = start_router(drain_delay_s="3")
    assert router.process is not None
    answers: list[int] = []
    failures: list[BaseException] = []

    def ask_until_told_to_go() -> None:
        """Keep one connection busy until the router closes it, as a client in a cluster does."""
        connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=10)
        try:
            while True:
                connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
                response = connection.getresponse()
                response.read()
                answers.append(response.status)
                if response.headers.get("connection") == "close":
                    return
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    clients = [threading.Thread(target=ask_until_told_to_go) for _number in range(8)]
    for client in clients:
        client.start()
    wait_until(lambda: len(answers) > 50)
    router.send(signal.SIGTERM)
    wait_until(lambda: router.get("/readyz").status == 503, 3)
    assert router.get("/readyz").json["status"] == "draining"
    # Whoever has not heard of it yet is served.
    assert post(router).status == 200
    for client in clients:
        client.join(10)
    assert router.process.wait(10) == 0
    assert not failures
    assert set(answers) == {200}
    assert registry.query("SELECT instance FROM router_instances") == []


def test_a_long_answer_is_finished(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine(MODEL_SERVER_ITL_MS="100", MODEL_SERVER_OUTPUT_TOKENS="20").url)
    router = start_router(drain_delay_s="0.2")
    assert router.process is not None
    response = post(router, json.dumps(json.loads(BODY) | {"stream": True}).encode())
    router.send(signal.SIGTERM)
    assert response.read().rstrip().endswith(b"data: [DONE]")
    assert router.process.wait(5) == 0


def test_an_answer_without_an_end_does_not_hold_it_for_ever(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine(MODEL_SERVER_FAULT="hang").url)
    router = start_router(drain_delay_s="0", drain_timeout_s="1")
    assert router.process is not None
    waiting = http.client.HTTPConnection("127.0.0.1", router.port, timeout=10)
    waiting.request("POST", "/v1/chat/completions", BODY, HEADERS)
    wait_until(lambda: "llmops_router_in_flight 1.0" in router.get("/metrics").text)
    started = time.monotonic()
    router.send(signal.SIGTERM)
    assert router.process.wait(5) == 0
    assert 1 <= time.monotonic() - started < 3
    waiting.close()
