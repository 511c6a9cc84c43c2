# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Endpoints that are no good in every way that sockets allow: each is a verdict, none an exception."""

from __future__ import annotations

import asyncio
import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from llmops_health.answers import Result, Verdict
from llmops_health.keys import UpstreamKeys
from llmops_health.probe import Probe
from llmops_health.resolver import Resolver
from llmops_health.settings import Settings, from_environment

from tests.services.health_check.conftest import StartEngine
from tests.services.health_check.names import Names
from tests.support.listeners import closed_port, silent_port, tls_port
from tests.support.model_server import MODEL
from tests.support.tls import Pair

OK = b"HTTP/1.1 200 OK\r\n"


def settings() -> Settings:
    """Return settings with short limits."""
    return from_environment(
        {
            "LLMOPS_HEALTH_DSN": "host=nowhere",
            "LLMOPS_HEALTH_ENVIRONMENT": "staging",
            "LLMOPS_HEALTH_CONNECT_TIMEOUT_S": "0.5",
            "LLMOPS_HEALTH_HEALTH_TIMEOUT_S": "1",
            "LLMOPS_HEALTH_COMPLETION_TIMEOUT_S": "1",
        }
    )


def ask(url: str, keys: Path | None = None, resolver: Names | None = None) -> list[Verdict]:
    """Return the verdicts of a check of /health and of a completion."""

    async def both() -> list[Verdict]:
        probe = Probe(settings(), UpstreamKeys(keys), resolver)
        try:
            return list(await asyncio.gather(probe.health(url), probe.completion(url, MODEL)))
        finally:
            await probe.close()

    return asyncio.run(both())


def complete(url: str, model: str = MODEL, times: int = 1) -> Verdict:
    """Return the verdict of the last of some completions that one probe asks for."""

    async def all_of_them() -> Verdict:
        probe = Probe(settings(), UpstreamKeys(None))
        try:
            for _time in range(times):
                verdict = await probe.completion(url, model)
            return verdict
        finally:
            await probe.close()

    return asyncio.run(all_of_them())


@contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """Yield the URL of a server that says this to everybody, whatever it is asked, and hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff\xfe" * 100,
        b"HTTP/1.1 2000 OK\r\n\r\n",
        OK + b"Content-Length: 100\r\n\r\ntoo short",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000000\r\n\r\n" + b"\xff" * 1_000_000,
    ],
)
def test_an_answer_that_is_none_is_a_failure(answer: bytes) -> None:
    with speaking(answer) as url:
        verdicts = ask(url)
    for verdict in verdicts:
        assert verdict.result is Result.FAILED
        assert verdict.reason.isprintable()
        assert len(verdict.reason) < 400


def test_a_server_that_accepts_and_says_nothing_is_a_failure() -> None:
    with silent_port() as port:
        assert {verdict.result for verdict in ask(f"http://127.0.0.1:{port}")} == {Result.FAILED}


def test_a_certificate_that_nobody_knows_is_a_failure(tmp_path: Path) -> None:
    with tls_port(Pair.issue("stranger").write(tmp_path, "server")) as port:
        for verdict in ask(f"https://127.0.0.1:{port}"):
            assert verdict.result is Result.FAILED
            assert "certificate" in verdict.reason
        # Plain HTTP to a port that speaks TLS.
        assert {verdict.result for verdict in ask(f"http://127.0.0.1:{port}")} == {Result.FAILED}


def test_a_closed_port_and_a_name_that_does_not_exist_are_unreachable() -> None:
    for url in (f"http://127.0.0.1:{closed_port()}", "http://no-such-name.invalid:8000"):
        for verdict in ask(url):
            assert verdict.result is Result.UNREACHABLE
            assert "no connection" in verdict.reason


def test_a_key_that_a_server_repeats_is_not_passed_on(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"*": "sk-canary"}', encoding="utf-8")
    body = b"Incorrect API key provided: sk-canary"
    for status in (b"401 Unauthorized", b"500 Internal Server Error"):
        head = b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
        with speaking(head + body) as url:
            _health, completion = ask(url, keys)
        assert "Incorrect API key provided: ***" in completion.reason


@pytest.mark.parametrize(
    ("errno", "result"),
    [
        (socket.EAI_NONAME, Result.UNREACHABLE),
        (socket.EAI_NODATA, Result.UNREACHABLE),
        # The name service has trouble of its own: that says nothing about the endpoint.
        (socket.EAI_AGAIN, Result.UNRESOLVED),
        (socket.EAI_FAIL, Result.UNRESOLVED),
        (socket.EAI_SYSTEM, Result.UNRESOLVED),
    ],
)
def test_a_name_service_that_fails_is_told_from_a_name_that_does_not_exist(
    errno: int, result: Result
) -> None:
    for verdict in ask("http://engine.test:8000", resolver=Names(errno)):
        assert verdict.result is result
        assert not verdict.connected
        assert "no connection" in verdict.reason


def test_a_name_service_that_says_nothing_is_not_the_silence_of_an_endpoint() -> None:
    async def resolve_in_no_time() -> None:
        await Resolver(limit_s=0).resolve("localhost")

    with pytest.raises(socket.gaierror, match="did not answer within 0 s") as raised:
        asyncio.run(resolve_in_no_time())
    assert raised.value.errno == socket.EAI_AGAIN


def test_no_name_is_remembered(engine: StartEngine) -> None:
    names = Names()
    for verdict in ask(f"http://engine.test:{engine().port}", resolver=names):
        assert verdict.healthy
    assert names.asked == 2


def test_a_model_is_well_by_any_of_its_names(engine: StartEngine) -> None:
    url = engine(arguments=["--served-model-name", "short", "org/full"]).url
    assert complete(url, "short").healthy
    assert complete(url, "org/full").healthy
    unknown = complete(url, "org/other")
    assert unknown.result is Result.FAILED
    assert "404" in unknown.reason


def test_a_server_that_answers_for_another_model_is_a_failure() -> None:
    body = b'{"model": "other", "choices": [{"message": {"content": "Hi"}}], "data": [{"id": "other"}]}'
    with speaking(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body) as url:
        verdict = complete(url)
    assert verdict.result is Result.FAILED
    assert "answered for 'other'" in verdict.reason
    assert f"does not list {MODEL!r}" in verdict.reason


def test_what_worked_is_asked_for_first_the_next_time(engine: StartEngine) -> None:
    server = engine(MODEL_SERVER_KIND="base")
    assert complete(server.url, times=3).healthy
    refused = server.metric("http_requests_total", handler="/v1/chat/completions", status="4xx")
    assert (refused, server.metric("vllm:request_success_total")) == (1, 3)
    assert complete(engine(MODEL_SERVER_KIND="embedding").url, times=2).healthy


class _OnlyLists(http.server.BaseHTTPRequestHandler):
    """A server of a model that neither completes nor embeds: it lists it, and has no other path."""

    def do_GET(self) -> None:
        body = b'{"data": [{"id": "%s"}]}' % MODEL.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
        """Say nothing."""


def test_a_model_that_can_be_asked_for_nothing_is_left_to_its_health() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OnlyLists) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        verdict = complete(url)
        assert verdict.result is Result.INCONCLUSIVE
        assert "/v1/embeddings is offered" in verdict.reason
        # A model that is not even listed is somewhere else.
        assert complete(url, "org/other").result is Result.FAILED
        server.shutdown()
