# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP/1.1 connection to a model server: a request goes out, an answer comes in piece by piece.

The parser is httptools, as in uvicorn. A general client's layers between it and us were most of the router's
time (docs/decisions), and they hide two things we need: whether a connection was used before, and the last
moment before a request is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from .wire import notice_vanished_peers

Headers = list[tuple[bytes, bytes]]

# A server that sends more than the client reads is held back beyond this many bytes.
_HIGH_WATER = 256 << 10
_LONGEST_HEAD = 64 << 10
# How long a server may confirm nothing of what it is sent.
_PATIENCE_S = 15.0


class ConnectionBrokenError(Exception):
    """The connection ended before the answer did, or what came is no HTTP."""


class Connection(asyncio.Protocol):
    """One exchange at a time; afterwards it can be used again if ``is_reusable``."""

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._broken: ConnectionBrokenError | None = None
        self._is_paused = False
        #: Exchanges that ended well; 0 for a connection that is new.
        self.uses = 0
        #: When it became idle, by the loop's clock.
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self._head_size = 0
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_chunked_or_counted = False
        self._has_head = False
        self._is_complete = False
        self._is_kept_alive = False
        self.has_answer = False
        self.is_busy = False
        self.status = 0
        self.headers: Headers = []

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have its methods, but are no subclass.
        self._transport = cast("asyncio.Transport", transport)
        notice_vanished_peers(transport.get_extra_info("socket"), _PATIENCE_S)

    def data_received(self, data: bytes) -> None:
        if not self.is_busy or self._is_complete:
            # Nobody asked for this: the connection is out of step.
            self.close()
            return
        self.has_answer = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"what it sent is no HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._has_head and not self._is_complete and not self._is_chunked_or_counted and exc is None:
            # An answer without a length ends with its connection.
            self._is_complete = True
            self._wake()
        elif self.is_busy and not self._is_complete:
            self._fail(f"it closed the connection{f': {exc}' if exc else ''}")
        self._on_lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise ConnectionBrokenError("it sent more than the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > _LONGEST_HEAD:
            raise ConnectionBrokenError("its headers are too long")
        if self._has_head:
            # Trailers are no headers: nobody waits for them, and what they say came too late.
            return
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._is_chunked_or_counted = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            # 100 Continue and its like: the answer is still to come.
            self.headers = []
            return
        self._has_head = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._size += len(body)
        if self._size > _HIGH_WATER and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._has_head:
            # Afterwards the parser has forgotten it.
            self._is_kept_alive = self._parser.should_keep_alive()
            self._is_complete = True
            self._wake()

    # What the router calls.

    @property
    def is_open(self) -> bool:
        """Say whether requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Say whether the exchange is over and the server keeps the connection for another one."""
        return (
            self._is_complete
            and not self._chunks
            and self.is_open
            and self._transport is not None
            and not self._transport.get_write_buffer_size()
            and self._is_kept_alive
        )

    async def send(self, head: bytes, body: bytes) -> None:
        """Send a request and wait for the answer's headers.

        :raises ConnectionBrokenError: where none came; ``has_answer`` tells whether any byte did.
        """
        if self._transport is None:
            raise ConnectionBrokenError("it closed the connection")
        self.is_busy = True
        self._transport.writelines((head, body))
        while not self._has_head:
            await self._wait()

    async def read(self) -> tuple[bytes, bool]:
        """Return what has arrived of the body, waiting for some, and whether that was the end.

        :raises ConnectionBrokenError: where the rest will never come.
        """
        while not self._chunks:
            if self._is_complete:
                return b"", True
            await self._wait()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._size = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data, self._is_complete

    def finish(self) -> None:
        """Make ready for the next exchange."""
        self.uses += 1
        self.idle_since = self._loop.time()
        self._begin()

    def close(self) -> None:
        """Close at once: a server that still works on the request learns that nobody waits."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._broken is not None:
            raise self._broken
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str) -> None:
        self._broken = ConnectionBrokenError(reason)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._broken)
