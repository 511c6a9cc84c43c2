# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to model servers: pooled connections, and errors that say whether sending again is safe."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable

from .connection import Connection, ConnectionBrokenError, Headers
from .endpoints import Target

_Place = tuple[str, int, bool]

# A server that had closed an idle connection says so at once. One that takes longer has died of the request,
# or with it: then another one must not get it.
_STALE_S = 0.5


class UpstreamError(Exception):
    """The model server gave no answer, or no whole one."""

    #: Whether no server has begun to work on the request, by all signs, so that it may be sent again.
    may_repeat = False


class ConnectFailedError(UpstreamError):
    """No connection."""

    may_repeat = True


class ConnectTimeoutError(UpstreamError):
    """No connection in time."""


class StaleConnectionError(UpstreamError):
    """The server had closed an idle connection just when it was used again."""

    may_repeat = True


class WithdrawnError(UpstreamError):
    """The route was withdrawn before the request was sent."""


class BrokenError(UpstreamError):
    """The connection broke, or what came is no HTTP."""


class Answer:
    """A model server's answer: status and headers first, then its body piece by piece."""

    __slots__ = ("_connection", "_give_back", "headers", "status")

    def __init__(self, connection: Connection, give_back: Callable[[Connection], None]) -> None:
        self._connection = connection
        self._give_back = give_back
        self.status = connection.status
        self.headers = connection.headers

    async def read(self) -> tuple[bytes, bool]:
        """Return what has arrived, waiting for some, and whether that was the end.

        :raises BrokenError: where the rest will never come.
        """
        try:
            return await self._connection.read()
        except ConnectionBrokenError as error:
            raise BrokenError(str(error)) from None

    def close(self) -> None:
        """Keep the connection if the answer was read to its end, else close it."""
        self._give_back(self._connection)


class Upstream:
    """All connections to model servers. There is no limit: who waits in line here waits for nothing."""

    def __init__(self, connect_timeout_s: float, keepalive_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        # The connection used last is used next, so that those of a peak become idle and go.
        self._idle: defaultdict[_Place, list[Connection]] = defaultdict(list)
        self._places: dict[Connection, _Place] = {}
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def post(
        self, target: Target, path: str, headers: Headers, body: bytes, is_current: Callable[[], bool]
    ) -> Answer:
        """Send a request and return the answer once its headers are there.

        ``is_current`` is asked when nothing but the sending is left to do.

        :raises UpstreamError: where there is none.
        """
        place = (target.host, target.port, target.tls)
        connection = self._take(place) or await self._connect(place)
        began = self._loop.time()
        try:
            if not is_current():
                raise WithdrawnError
            await connection.send(_head(target, path, headers, body), body)
        except ConnectionBrokenError as error:
            connection.close()
            was_quick = self._loop.time() - began < _STALE_S
            if connection.uses and not connection.has_answer and was_quick:
                # The others have been idle for as long.
                self._drop_idle(place)
                raise StaleConnectionError(str(error)) from None
            raise BrokenError(str(error)) from None
        except BaseException:
            connection.close()
            raise
        return Answer(connection, self._give_back)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._places):
            connection.close()

    def _take(self, place: _Place) -> Connection | None:
        idle = self._idle[place]
        oldest = self._loop.time() - self._keepalive_s
        while idle:
            connection = idle.pop()
            if connection.is_open and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        place = self._places.get(connection)
        if place is None or not self._keepalive_s or not connection.is_reusable:
            connection.close()
            return
        connection.finish()
        self._idle[place].append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._keepalive_s, self._sweep)

    def _drop_idle(self, place: _Place) -> None:
        for connection in self._idle.pop(place, []):
            connection.close()

    def _sweep(self) -> None:
        """Close what has been idle for too long; the list is in the order of that time."""
        self._sweeper = None
        oldest = self._loop.time() - self._keepalive_s
        for place, idle in list(self._idle.items()):
            kept = [connection for connection in idle if connection.is_open]
            expired = [connection for connection in kept if connection.idle_since < oldest]
            for connection in expired:
                connection.close()
            kept = kept[len(expired) :]
            if kept:
                self._idle[place] = kept
            else:
                del self._idle[place]
        if self._idle:
            self._sweeper = self._loop.call_later(self._keepalive_s / 2, self._sweep)

    async def _connect(self, place: _Place) -> Connection:
        host, port, tls = place
        if tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _transport, connection = await self._loop.create_connection(
                    lambda: Connection(self._lost), host, port, ssl=self._tls if tls else None
                )
        except TimeoutError:
            raise ConnectTimeoutError(f"no connection within {self._connect_timeout_s:g} s") from None
        # Names that no resolver would be asked for are a UnicodeError.
        except (OSError, UnicodeError) as error:
            raise ConnectFailedError(str(error)) from None
        if connection.is_open:
            self._places[connection] = place
        return connection

    def _lost(self, connection: Connection) -> None:
        place = self._places.pop(connection, None)
        if place is not None and connection in (idle := self._idle.get(place, [])):
            idle.remove(connection)


def _head(target: Target, path: str, headers: Headers, body: bytes) -> bytes:
    """Return the request up to its body. Names and values were checked where they came from."""
    lines = [
        b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\n"
        % ((target.path + path).encode(), target.authority.encode(), len(body))
    ]
    lines += [b"%b: %b\r\n" % item for item in headers]
    lines.append(b"\r\n")
    return b"".join(lines)
