# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to model servers: the last moment before a request is sent, and many requests at once."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from llmops_router.endpoints import AllowedEndpoints, Target
from llmops_router.upstream import (
    Answer,
    BrokenError,
    ConnectFailedError,
    StaleConnectionError,
    Upstream,
    WithdrawnError,
)
from tests.support.model_server import wait_until
from tests.support.raw_server import RawServer, Request, reply

PATH = "/v1/completions"


def target(server: RawServer) -> Target:
    """Return where a server is."""
    return AllowedEndpoints.parse("127.0.0.1").target(server.url)


async def whole(answer: Answer) -> bytes:
    """Read an answer to its end."""
    parts = []
    is_last = False
    while not is_last:
        part, is_last = await answer.read()
        parts.append(part)
    answer.close()
    return b"".join(parts)


@pytest.mark.parametrize("has_idle_connection", [False, True])
def test_a_route_that_was_withdrawn_meanwhile_gets_no_byte(has_idle_connection: bool) -> None:
    async def play(server: RawServer) -> None:
        upstream = Upstream(5, 4)
        if has_idle_connection:
            await whole(await upstream.post(target(server), PATH, [], b"{}", lambda: True))
        with pytest.raises(WithdrawnError):
            await upstream.post(target(server), PATH, [], b"{}", lambda: False)
        await upstream.close()

    with RawServer(reply()) as server:
        asyncio.run(play(server))
        wait_until(lambda: server.closed == {1})
        assert len(server.requests) == has_idle_connection


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_name_that_no_resolver_takes_is_no_connection(host: str) -> None:
    async def play() -> None:
        upstream = Upstream(5, 4)
        with pytest.raises(ConnectFailedError):
            await upstream.post(Target(host, 80, False, ""), PATH, [], b"{}", lambda: True)
        await upstream.close()

    asyncio.run(play())


def test_answers_do_not_get_mixed_up() -> None:
    """Each answer is its request's body, whatever the order; connections are used again."""

    def echo(request: Request, wire: socket.socket) -> bool:
        return reply(request.body * 50)(request, wire)

    async def ask(upstream: Upstream, server: RawServer, number: int) -> None:
        for turn in range(20):
            body = f"{number}-{turn};".encode() * 100
            assert await whole(await upstream.post(target(server), PATH, [], body, lambda: True)) == body * 50

    async def play(server: RawServer) -> None:
        upstream = Upstream(5, 4)
        await asyncio.gather(*(ask(upstream, server, number) for number in range(16)))
        await upstream.close()

    with RawServer(echo) as server:
        asyncio.run(play(server))
        assert len(server.requests) == 320
        assert server.connections <= 16


def test_one_stale_connection_tells_of_all() -> None:
    """A server that restarted has closed every idle connection: the next attempt must not find another."""

    async def play(server: RawServer) -> None:
        upstream = Upstream(5, 4)
        answers = [await upstream.post(target(server), PATH, [], b"{}", lambda: True) for _number in range(5)]
        for answer in answers:
            await whole(answer)
        server.answer = lambda request, wire: request.connection > 5 and reply(b"new")(request, wire)
        with pytest.raises(StaleConnectionError):
            await upstream.post(target(server), PATH, [], b"{}", lambda: True)
        assert await whole(await upstream.post(target(server), PATH, [], b"{}", lambda: True)) == b"new"
        await upstream.close()

    with RawServer(reply()) as server:
        asyncio.run(play(server))
        assert server.connections == 6


def test_a_server_that_dies_of_a_request_does_not_get_it_twice() -> None:
    def die_slowly(_request: Request, _wire: socket.socket) -> bool:
        time.sleep(0.7)
        return False

    async def play(server: RawServer) -> None:
        upstream = Upstream(5, 4)
        await whole(await upstream.post(target(server), PATH, [], b"{}", lambda: True))
        server.answer = die_slowly
        with pytest.raises(BrokenError) as broken:
            await upstream.post(target(server), PATH, [], b"{}", lambda: True)
        assert not broken.value.may_repeat
        await upstream.close()

    with RawServer(reply()) as server:
        asyncio.run(play(server))
        assert [request.connection for request in server.requests] == [1, 1]


def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    def too_much(request: Request, wire: socket.socket) -> bool:
        # In one piece, so that the second half is there when the first has been read.
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright" + b"HTTP/1.1 200 OK\r\n\r\nwrong")
        return True

    async def play(server: RawServer) -> None:
        upstream = Upstream(5, 4)
        for _number in range(5):
            assert await whole(await upstream.post(target(server), PATH, [], b"{}", lambda: True)) == b"right"
            await asyncio.sleep(0.02)
        await upstream.close()

    with RawServer(too_much) as server:
        asyncio.run(play(server))
        assert server.connections == 5
