# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Heads and trailers of clients' requests: bounded in size and in time, and never mixed up."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import socket
import struct
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from llmops_router.incoming import ClientConnection
from tests.services.router.conftest import RegistryRows, StartRouter
from tests.services.router.test_passing_through import BODY
from tests.support.raw_server import RawServer, Request, reply
from tests.support.router_process import RouterProcess

HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture
def server(registry: RegistryRows) -> Iterator[RawServer]:
    """Return a registered model server."""
    with RawServer(reply(b"{}")) as running:
        registry.put("org/chat", running.url)
        yield running


@contextmanager
def connected(router: RouterProcess) -> Iterator[socket.socket]:
    """Return a connection of a client."""
    with socket.create_connection(("127.0.0.1", router.port), timeout=10) as client:
        yield client


def send(client: socket.socket, data: bytes) -> None:
    """Send what the router takes of it."""
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(data)


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Read one answer; return its status and body."""
    response = http.client.HTTPResponse(client, method="POST")
    response.begin()
    return response.status, response.read()


def seconds_until_closed(client: socket.socket) -> float:
    """Wait until the router hangs up without a word."""
    started = time.monotonic()
    with suppress(ConnectionResetError):
        assert client.recv(1000) == b""
    return time.monotonic() - started


def test_a_connection_that_asks_nothing_is_closed(start_router: StartRouter) -> None:
    with connected(start_router(client_keepalive_s="1")) as client:
        assert 0.5 < seconds_until_closed(client) < 4


def test_a_connection_that_is_reset_leaves_nothing_behind() -> None:
    made: list[weakref.ref[ClientConnection]] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        """Nothing is asked."""

    def protocol() -> ClientConnection:
        config = uvicorn.Config(app, ws="none", log_config=None, timeout_keep_alive=60)
        connection = ClientConnection(config, ServerState(), {}, head_timeout_s=60)
        made.append(weakref.ref(connection))
        return connection

    async def play() -> None:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(HEAD)
            await asyncio.sleep(0.1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            await asyncio.sleep(0.1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0.1)
        gc.collect()
        assert [reference() for reference in made] == [None, None]
        server.close()

    uvloop.run(play())


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["first", "second"])
def test_half_a_head_is_given_up(start_router: StartRouter, server: RawServer, before: bytes) -> None:
    with connected(start_router(body_timeout_s="1")) as client:
        if before:
            client.sendall(before)
            assert answer(client) == (200, b"{}")
        client.settimeout(0.1)
        started = time.monotonic()
        for byte in HEAD * 10:
            # A byte now and then buys no time.
            send(client, bytes([byte]))
            with suppress(TimeoutError, ConnectionResetError):
                assert client.recv(1000) == b""
                break
        assert 0.8 < time.monotonic() - started < 4


def test_a_body_that_nobody_reads_any_more_is_given_up(start_router: StartRouter) -> None:
    with connected(start_router(body_timeout_s="1")) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answer(client)[0] == 200
        client.sendall(b"1\r\nx\r\n")
        assert seconds_until_closed(client) < 4


def test_a_head_in_pieces_leaves_the_answer_its_time(start_router: StartRouter, server: RawServer) -> None:
    def slowly(request: Request, wire: socket.socket) -> bool:
        time.sleep(1.5)
        return reply(b"{}")(request, wire)

    server.answer = slowly
    with connected(start_router(body_timeout_s="1")) as client:
        for _number in range(2):
            client.sendall(WHOLE[:20])
            time.sleep(0.5)
            client.sendall(WHOLE[20:])
            assert answer(client) == (200, b"{}")


_LONG = {
    "header": HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
    "header without an end": HEAD + b"X-Long: " + b"x" * 70_000,
    "headers": HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 50) for number in range(1200)) + b"\r\n",
    "path": b"GET /v1/models/" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("piece", [100_000, 10_000], ids=["at once", "in pieces"])
@pytest.mark.parametrize("head", _LONG.values(), ids=_LONG)
def test_a_long_head_is_refused(start_router: StartRouter, head: bytes, piece: int) -> None:
    router = start_router()
    with connected(router) as client:
        for start in range(0, len(head), piece):
            send(client, head[start : start + piece])
            time.sleep(0.01)
        status, body = answer(client)
        assert (status, json.loads(body)["error"]["code"]) == (431, "headers_too_large")
        assert seconds_until_closed(client) < 2
    assert router.get("/healthz").status == 200


def test_a_long_body_is_no_long_head(start_router: StartRouter, server: RawServer) -> None:
    """Nor is what comes with the head, or between many small chunks."""
    body = json.dumps(json.loads(BODY) | {"user": "u" * 200_000}).encode()
    headers = b"X-Long: " + b"x" * 60_000 + b"\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with connected(start_router()) as client:
        client.sendall(HEAD + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert answer(client) == (200, b"{}")
        client.sendall(HEAD + headers + b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks)
        assert answer(client) == (200, b"{}")
    assert [request.body for request in server.requests] == [body, body]


@pytest.mark.parametrize("pause", [0, 0.1], ids=["at once", "later"])
def test_trailers_of_a_request_are_no_headers(
    start_router: StartRouter, server: RawServer, pause: float
) -> None:
    router = start_router(forward_headers="x-tenant", forward_authorization="true")
    with connected(router) as client:
        for _number in range(2):
            parts = (CHUNKED, b"X-Tenant: blue\r\nAuthorization: Bearer late\r\nUser-Agent: late\r\n\r\n")
            for part in parts if pause else [b"".join(parts)]:
                client.sendall(part)
                time.sleep(pause)
            assert answer(client) == (200, b"{}")
    for request in server.requests:
        assert not {"x-tenant", "authorization", "user-agent"} & set(request.headers)


@pytest.mark.parametrize("trailer", [b"X: x\r\n", b"x" * 10], ids=["many", "one long"])
def test_trailers_without_an_end_are_refused(
    start_router: StartRouter, server: RawServer, trailer: bytes
) -> None:
    with connected(start_router()) as client:
        client.sendall(CHUNKED + b"X: ")
        for _number in range(100):
            send(client, trailer * 1000)
        assert seconds_until_closed(client) < 5
    assert not server.requests
