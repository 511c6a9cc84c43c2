# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``vllm_endpoint_info`` against real model servers in every failure mode, and against hostile ones."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_endpoint_info
from tests.support.model_server import MODEL, ModelServer
from tests.support.ports import free_port
from tests.support.run_module import RunModule

CANARY = "sk-canary-7f3a9c"
FAULT = "MODEL_SERVER_FAULT"
SHAPE = {
    "endpoint",
    "access",
    "healthy",
    "served_models",
    "completion",
    "warmup_s",
    "successes",
    "attempts",
    "waited_s",
    "checks",
}
StartServer = Callable[..., ModelServer]


@pytest.fixture
def start(model_server_binary: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts a server; options are its arguments, settings its environment."""
    with ExitStack() as servers:

        def start_server(*arguments: str, wait: bool = True, **settings: str) -> ModelServer:
            log = tmp_path / f"server-{free_port()}.log"
            server = servers.enter_context(ModelServer(model_server_binary, log, *arguments, **settings))
            return server.wait_open() if wait else server

        yield start_server


def verify(url: str, progress: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """Run the module's function with its defaults, as both ways of running do."""
    spec = vllm_endpoint_info.ARGUMENT_SPEC
    params = {name: entry.get("default") for name, entry in spec.items()}
    context = Context(progress=(progress if progress is not None else []).append)
    return vllm_endpoint_info.run({**params, "model": MODEL, "url": url, **options}, context).result


def failure(url: str, **options: Any) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        verify(url, **options)
    error = caught.value
    assert set(error.details) >= SHAPE
    assert error.details["healthy"] is False
    assert error.resolution
    return error


def seconds_told(words: str, text: str) -> float:
    """Return the number of seconds that a text says after these words."""
    found = re.search(rf"{words} ([0-9.]+) s", text)
    assert found, text
    return float(found[1])


def test_a_good_server(start: StartServer) -> None:
    server = start()
    result = verify(server.url)
    assert set(result) == SHAPE
    assert result["healthy"] is True
    assert result["access"] == "url"
    assert result["served_models"] == [MODEL]
    assert [(check["name"], check["ok"], check["reason"]) for check in result["checks"]] == [
        ("health", True, ""),
        ("models", True, ""),
        ("completion", True, ""),
    ]
    completion = result["completion"]
    assert completion["completion_tokens"] == 16
    assert completion["prompt_tokens"] > 0
    assert 0 <= completion["first_token_s"] <= completion["latency_s"] < 2
    assert completion["finish_reason"] in ("stop", "length")
    assert completion["text"]
    # One completion is enough when it was fast: nothing more is asked of a production server.
    assert server.metric("vllm:request_success_total") == 1


@pytest.mark.parametrize("options", [{"stream": False}, {"api": "completions"}, {"successes": 5}])
def test_other_ways_of_asking(start: StartServer, options: dict[str, Any]) -> None:
    server = start()
    result = verify(server.url, **options)
    assert result["healthy"]
    assert result["successes"] == options.get("successes", 1)
    assert server.metric("vllm:request_success_total") == result["successes"]
    assert (result["completion"]["first_token_s"] is None) is (options.get("stream") is False)


def test_each_of_a_model_s_names_will_do(start: StartServer) -> None:
    server = start("--served-model-name", "short", MODEL)
    for name in ("short", MODEL):
        for stream in (True, False):
            assert verify(server.url, model=name, stream=stream)["healthy"]


def test_served_name_and_root(start: StartServer) -> None:
    server = start("--served-model-name", "tiny")
    assert verify(server.url, model="tiny", root=MODEL)["served_models"] == ["tiny"]
    wrong = failure(server.url, model="tiny", root="org/other")
    assert "served from 'lab/tiny-chat', not from 'org/other'" in wrong.message
    unknown = failure(server.url)
    assert unknown.error_class is ErrorClass.VERIFICATION
    assert "it lists ['tiny']" in unknown.message
    assert unknown.details["failed_check"] == "models"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("http-500", "completion", "answered 500"),
        ("error-200", "completion", "error"),
        ("empty-200", "completion", "answered 200"),
        ("wrong-name", "models", "it lists ['some-other-model']"),
        ("crash-under-load", "completion", "broke the connection during a completion"),
    ],
)
def test_wrong_answers_fail_within_seconds(
    start: StartServer, fault: str, check: str, words: str, *, stream: bool
) -> None:
    server = start(**{FAULT: fault})
    error = failure(server.url, stream=stream, timeout=5)
    assert error.error_class is ErrorClass.VERIFICATION
    assert words in error.message
    assert error.details["failed_check"] == check
    assert error.details["waited_s"] < 7
    if fault == "crash-under-load":
        assert "afterwards: connection refused" in error.message


@pytest.mark.parametrize("fault", ["empty-stream", "stream-error"])
def test_streams_that_end_well_without_content(start: StartServer, fault: str) -> None:
    error = failure(start(**{FAULT: fault}).url)
    assert error.error_class is ErrorClass.VERIFICATION
    assert error.details["failed_check"] == "completion"
    assert error.details["attempts"] == 1


def test_hang_behind_a_healthy_api_is_found(start: StartServer) -> None:
    server = start(**{FAULT: "hang"})
    started = time.monotonic()
    error = failure(server.url, warmup_s=1.0, max_latency_s=0.5)
    assert time.monotonic() - started < 3
    assert error.error_class is ErrorClass.VERIFICATION
    assert "no complete answer within 1.0 s" in error.message
    assert "although /health is fine" in error.message


def test_hang_ends_at_the_deadline_even_during_warm_up(start: StartServer) -> None:
    server = start(**{FAULT: "hang"})
    error = failure(server.url, timeout=3, max_latency_s=1.0)
    assert error.error_class is ErrorClass.VERIFICATION
    assert error.details["waited_s"] < 5


def test_slow_first_request_is_warm_up(start: StartServer) -> None:
    # Five requests of a new server are slow, as with graph capture; here only the first.
    server = start(
        **{FAULT: "slow-first-token", "MODEL_SERVER_FAULT_SECONDS": "4", "MODEL_SERVER_FAULT_EVERY": "99"}
    )
    lines: list[str] = []
    result = verify(server.url, lines, max_latency_s=2)
    assert result["warmup_s"] >= 4
    assert result["completion"]["latency_s"] < 2
    assert 4 <= seconds_told("first completion took", "\n".join(lines)) < 10


def test_without_warm_up_a_slow_first_request_gets_its_chances(start: StartServer) -> None:
    server = start(
        **{FAULT: "slow-first-token", "MODEL_SERVER_FAULT_SECONDS": "1", "MODEL_SERVER_FAULT_EVERY": "99"}
    )
    error = failure(server.url, max_latency_s=0.3, warmup_s=0)
    assert error.error_class is ErrorClass.VERIFICATION
    assert "no complete answer within 0.3 s" in error.message


def test_always_slow_is_a_failure(start: StartServer) -> None:
    server = start(**{FAULT: "slow-first-token", "MODEL_SERVER_FAULT_SECONDS": "0.6"})
    error = failure(server.url, max_latency_s=0.3)
    assert error.error_class is ErrorClass.VERIFICATION
    assert error.details["warmup_s"] >= 0.6
    assert error.details["attempts"] == 3


def test_first_token_has_a_limit_of_its_own(start: StartServer) -> None:
    server = start(MODEL_SERVER_TTFT_MS="400")
    assert verify(server.url)["completion"]["first_token_s"] >= 0.4
    error = failure(server.url, max_first_token_s=0.2)
    assert error.error_class is ErrorClass.VERIFICATION
    assert 0.4 <= seconds_told("the first token took", error.message) < 2


def test_loading_is_waited_for_and_shown(start: StartServer) -> None:
    server = start(wait=False, MODEL_SERVER_LOAD_SECONDS="2")
    lines: list[str] = []
    result = verify(server.url, lines)
    assert 1.5 < result["waited_s"] < 12
    assert result["attempts"] > 1
    assert any("connection refused" in line and "of 120 s" in line for line in lines)


def test_dead_engine_times_out_with_the_last_reason(start: StartServer) -> None:
    error = failure(start(**{FAULT: "engine-dead"}).url, timeout=1)
    assert error.error_class is ErrorClass.TIMEOUT
    assert "/health answered 503" in error.message
    assert error.details["checks"][0]["reason"]
    assert error.details["checks"][1]["reason"] == "not tried"


def test_flaky_server_recovers_within_its_chances(start: StartServer) -> None:
    server = start(**{FAULT: "http-500", "MODEL_SERVER_FAULT_EVERY": "4"})
    result = verify(server.url, successes=3)
    assert (result["attempts"], result["successes"]) == (2, 3)


def test_successes_have_to_come_in_a_row(start: StartServer) -> None:
    server = start(**{FAULT: "http-500", "MODEL_SERVER_FAULT_AFTER": "1", "MODEL_SERVER_FAULT_EVERY": "3"})
    error = failure(server.url, successes=3)
    assert error.error_class is ErrorClass.VERIFICATION
    assert error.details["successes"] == 0


def test_api_key(start: StartServer) -> None:
    server = start(VLLM_API_KEY=CANARY)
    assert verify(server.url, endpoint_api_key=CANARY)["healthy"]
    for options in ({}, {"endpoint_api_key": "wrong"}):
        error = failure(server.url, **options)
        assert error.error_class is ErrorClass.AUTH
        assert "answered 401" in error.message
        assert "api_key_secret" in error.resolution
        assert error.details["attempts"] == 1


@pytest.mark.parametrize("key", ["two\nlines", "ünicode", "\x00"])
def test_unusable_api_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(PlatformError) as caught:
        verify("http://127.0.0.1:1", endpoint_api_key=key)
    assert caught.value.error_class is ErrorClass.INVALID
    assert key not in str(caught.value)


@contextmanager
def hostile(script: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Serve ``script(connection, request)`` for each connection; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    script(connection, connection.recv(65536))
                except OSError:
                    return  # The client hung up on us, as it should.

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def drip(connection: socket.socket, request: bytes) -> None:
    if b"/health" in request:
        connection.sendall(reply(b""))
        return
    for _ in range(10_000):
        connection.sendall(b"H")
        time.sleep(0.05)


def drip_body(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(connection, b"")


def flood(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize("script", [drip, drip_body])
def test_a_server_that_drips_is_cut_off_at_the_deadline(
    script: Callable[[socket.socket, bytes], None],
) -> None:
    with hostile(script) as url:
        started = time.monotonic()
        error = failure(url, timeout=2)
        assert time.monotonic() - started < 4
    assert error.error_class is ErrorClass.TIMEOUT


def test_a_flood_is_cut_off() -> None:
    with hostile(flood) as url:
        error = failure(url)
    assert "more than 1048576 bytes" in error.message


@pytest.mark.parametrize(
    ("answer", "error_class", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ErrorClass.VERIFICATION, "no valid HTTP answer"),
        (
            reply(b"", "302 Found", "Location: http://169.254.169.254/"),
            ErrorClass.VERIFICATION,
            "a redirect to",
        ),
        (reply(b"<html>", "404 Not Found"), ErrorClass.VERIFICATION, "answered 404: <html>"),
        (reply(b"x")[:-1], ErrorClass.VERIFICATION, "no valid HTTP answer"),
        (reply(b"", "401 No", "WWW-Authenticate: Basic"), ErrorClass.AUTH, "answered 401"),
        (
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
            ErrorClass.VERIFICATION,
            "got more than 100 headers",
        ),
        (b"", ErrorClass.TIMEOUT, "no connection"),
    ],
)
def test_what_is_not_a_model_server(answer: bytes, error_class: ErrorClass, words: str) -> None:
    with hostile(lambda connection, request: connection.sendall(answer)) as url:
        error = failure(url, timeout=4)
    assert error.error_class is error_class
    assert words in error.message


def test_a_server_that_echoes_the_key_does_not_spread_it() -> None:
    def echo(connection: socket.socket, request: bytes) -> None:
        body = json.dumps({"data": [{"id": CANARY, "root": CANARY}]}).encode()
        connection.sendall(reply(body if b"/v1/" in request else b""))

    with hostile(echo) as url:
        error = failure(url, endpoint_api_key=CANARY)
    assert CANARY not in str(error)
    assert CANARY not in json.dumps(error.details)
    assert error.details["served_models"] == ["[hidden]"]


def test_progress_does_not_tell_a_key_that_a_server_echoes() -> None:
    def echo(connection: socket.socket, request: bytes) -> None:
        busy = reply(f"not yet for {CANARY}".encode(), "503 Service Unavailable")
        connection.sendall(busy if b"/v1/" in request else reply(b""))

    progress: list[str] = []
    with hostile(echo) as url:
        failure(url, endpoint_api_key=CANARY, timeout=1, progress=progress)
    assert "not yet for [hidden]" in progress[0]
    assert CANARY not in str(progress)


def test_nobody_listens() -> None:
    error = failure(f"http://127.0.0.1:{free_port()}", timeout=1)
    assert error.error_class is ErrorClass.TIMEOUT
    assert "connection refused" in error.message
    assert error.details["waited_s"] < 2


def test_a_name_that_does_not_resolve_fails_soon() -> None:
    error = failure("http://no-such-host.invalid:8000")
    assert error.error_class is ErrorClass.INFRASTRUCTURE
    assert "does not resolve" in error.message


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://host"},
        {"url": "http://"},
        {"url": "http://host:port"},
        {"url": "http://user:secret@host"},
        {"url": "http://host/v1?x=1"},
        {"url": "http://ho st"},
        {"url": "http://host\r\nX: y"},
        {"url": "http://[::1"},
        {"access": "url", "url": ""},
        {"access": "proxy"},
        {"url": "", "service": "ok"},
        {"url": "", "service": "../etc", "namespace": "ok"},
        {"url": "", "service": "ok", "namespace": "Not_Valid"},
        {"url": "", "service": "ok", "namespace": "ok", "access": "proxy", "endpoint_api_key": "key"},
        {"model": ""},
        {"model": "{{ x }}"},
        {"health_path": "health"},
        {"health_path": "/a b"},
        {"health_path": "/a\r\nX: y"},
        {"max_tokens": 0},
        {"max_latency_s": -1.0},
        {"max_latency_s": float("nan")},
        {"timeout": float("inf")},
        {"successes": 0},
        {"port": 65536},
        {"max_first_token_s": 1.0, "stream": False},
    ],
)
def test_bad_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        verify(**{"url": "http://127.0.0.1:1", **options})
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.resolution


@pytest.mark.parametrize("mode", ["action", "module"])
def test_through_ansible(start: StartServer, run_module: RunModule, mode: str) -> None:
    server = start(VLLM_API_KEY=CANARY)
    arguments = {"model": MODEL, "url": server.url, "endpoint_api_key": CANARY}
    task = run_module("vllm_endpoint_info", arguments, mode=mode, check=True)
    assert task.status == "ok", task.result
    assert not task.changed
    assert set(task.result) >= SHAPE
    assert task.result["completion"]["completion_tokens"] == 16
    assert CANARY not in json.dumps(task.result)
    refused = run_module("vllm_endpoint_info", {**arguments, "endpoint_api_key": "no"}, mode=mode)
    assert refused.status == "failed"
    assert refused.result["error_class"] == "auth"
    assert set(refused.result) >= SHAPE
