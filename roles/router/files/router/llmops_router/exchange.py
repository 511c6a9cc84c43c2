# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One client's request, as ASGI hands it over: its name, its end, and the answer."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_PROCESS = os.urandom(8).hex().encode()
_numbers = itertools.count(1)
_WATCH_AFTER_S = 0.05


class ClientLeftError(Exception):
    """The client closed its connection: nobody waits for the answer."""


def request_id(headers: dict[bytes, bytes]) -> bytes:
    """Return the client's name for the request if it is harmless, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return b"%b%016x" % (_PROCESS, next(_numbers))


class Limit:
    """Cancels the work in its ``with`` block when the time is over; there comes ``TimeoutError`` then.

    Unlike ``asyncio.timeout`` it costs next to nothing to move further away: the timer is set anew only when
    it has run down, which few requests live to see.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.current_task(self._loop)
        self._deadline = self._loop.time() + seconds
        self._reason: type[Exception] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = self._deadline

    def move(self, seconds: float) -> None:
        """Let the time be over so many seconds from now."""
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._looks_at:
            self._set_timer(self._deadline)

    def __enter__(self) -> Self:
        self._set_timer(self._deadline)
        return self

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = moment
        self._timer = self._loop.call_at(moment, self._look)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reason is None or kind is not asyncio.CancelledError or self._work is None:
            return
        # Another cancellation, such as that at the end of the process, goes its own way.
        if self._work.uncancel() == 0:
            raise self._reason

    def _look(self) -> None:
        if self._loop.time() >= self._deadline:
            self._stop(TimeoutError)
        else:
            self._set_timer(self._deadline)

    def _stop(self, reason: type[Exception]) -> None:
        if self._reason is None and self._work is not None:
            self._reason = reason
            self._work.cancel()


class Watch(Limit):
    """A limit that also cancels the work when the client leaves; there comes ``ClientLeftError`` then."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        super().__init__(seconds)
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        # Answers that come sooner are not worth a task that watches the client.
        self._set_timer(min(self._deadline, self._loop.time() + _WATCH_AFTER_S))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        super().__exit__(kind, error, traceback)

    def _look(self) -> None:
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._watch())
        super()._look()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._stop(ClientLeftError)


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
