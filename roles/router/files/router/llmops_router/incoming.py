# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections of clients: uvicorn's, with the limits that it lacks to what comes before and after a body."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .errors import ApiError

_LONGEST_HEAD = 64 << 10
# What a header line has besides name and value.
_LINE = len(b": \r\n")


class _HeadTooLongError(Exception):
    """The parser stops where a callback raises."""


class ClientConnection(HttpToolsProtocol):
    """One connection. The head of a request may be so long, and take ``head_timeout_s`` to arrive."""

    def __init__(self, *arguments: Any, head_timeout_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        # Bytes that the parser has taken and that led to nothing yet: parts of a head, of trailers.
        self._pending = 0
        self._has_long_head = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whoever asks nothing is as idle as one who asks nothing more.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        # uvicorn leaves it after a reset: the connection would stay in memory until it rings.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._pending += len(data)
        super().data_received(data)
        if self._pending > _LONGEST_HEAD:
            self._refuse()
        elif self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._head_timer = self.loop.call_later(self._head_timeout_s, self.transport.close)

    # What the parser calls.

    def on_headers_complete(self) -> None:
        # A head may come with a body in one piece, which must not count.
        if self._pending > _LONGEST_HEAD and self._head_size() > _LONGEST_HEAD:
            self._has_long_head = True
            raise _HeadTooLongError
        self._pending = 0
        self._stop_head_timer()
        super().on_headers_complete()
        # Trailers come the same way: they go where nobody looks, not into the headers of the request.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending = 0
        super().on_message_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE for name, value in self.headers)

    # What ends it.

    def send_400_response(self, msg: str) -> None:
        if self._has_long_head:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            error = ApiError(
                431,
                "headers_too_large",
                f"Path and headers are longer than {_LONGEST_HEAD} bytes. Send shorter ones.",
            )
            body = error.body()
            self.transport.write(
                b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (STATUS_LINE[error.status], len(body), body)
            )
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
