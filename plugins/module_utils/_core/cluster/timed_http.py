# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP over a route, where all reads and writes of a request share one limit of time.

A server that sends one byte a second is cut off as one that sends nothing, which time-outs of single reads
would not do.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .access import Connection, Route

_CHUNK_BYTES = 64 * 1024


class TooSlowError(Exception):
    """No complete answer within the limit; ``received`` bytes came, the first after ``first_byte_s``."""

    def __init__(self, limit_s: float, received: int, first_byte_s: float | None) -> None:
        super().__init__(f"no complete answer within {limit_s:.1f} s ({received} bytes of it came)")
        self.limit_s = limit_s
        self.received = received
        self.first_byte_s = first_byte_s


class TooLargeError(Exception):
    """The answer is larger than any answer to our requests can be."""


@dataclass(frozen=True)
class Fetched:
    """One whole answer."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage


def fetch(
    route: Route,
    path: str,
    limit_s: float,
    max_bytes: int,
    *,
    headers: Mapping[str, str] | None = None,
    form: bytes | None = None,
) -> Fetched:
    """Send one request over a connection of its own and read the whole answer, whatever its status.

    With ``form`` it is a POST of that form, else a GET. The limit holds for connecting, too. Raises
    ``OSError`` and ``http.client.HTTPException`` for a broken connection, ``NotReadyError`` and
    ``PlatformError`` from the route, ``TooSlowError`` and ``TooLargeError``.
    """
    sent = http.client.HTTPMessage()
    own = {"User-Agent": "llmops.platform", "Connection": "close", **(headers or {})}
    if form is not None:
        own["Content-Type"] = "application/x-www-form-urlencoded"
    # Not a dictionary: the route may bring one header several times.
    for name, value in (*own.items(), *route.headers):
        sent[name] = value.encode().decode("latin-1")
    connection = TimedHTTPConnection(route)
    body = bytearray()
    response: http.client.HTTPResponse | None = None
    try:
        connection.connect_within(limit_s)
        method = "GET" if form is None else "POST"
        connection.request(method, route.prefix + path, form, sent)  # type: ignore[arg-type]
        response = connection.getresponse()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                raise TooLargeError(f"more than {max_bytes} bytes")
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
    except TimeoutError as error:
        raise TooSlowError(limit_s, len(body), None) from error
    finally:
        if response is not None:
            response.close()
        connection.close()
    return Fetched(response.status, bytes(body), response.headers)


class TimedHTTPConnection(http.client.HTTPConnection):
    """Speaks HTTP over a route's connections; every read and write ends by ``expires_at``."""

    def __init__(self, route: Route) -> None:
        super().__init__("localhost")
        self._route = route
        self.expires_at = 0.0

    def connect_within(self, seconds: float) -> None:
        """Open a connection unless one is open."""
        if self.sock is None:
            self.expires_at = time.monotonic() + seconds
            self.connect()

    def putrequest(
        self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False
    ) -> None:
        """Begin a request to the route's host, which comes with its port, if it has one."""
        super().putrequest(method, url, skip_host=True, skip_accept_encoding=skip_accept_encoding)
        if not skip_host:
            self.putheader("Host", self._route.host)

    def connect(self) -> None:
        self.sock = _TimedConnection(self, self._route.dial(self.remaining()))

    def remaining(self) -> float:
        """Return the seconds left; ``TimeoutError`` if none are."""
        seconds = self.expires_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("deadline passed")
        return seconds


class _TimedConnection:
    """What ``http.client`` uses of a socket, with one deadline over all reads and writes."""

    def __init__(self, owner: TimedHTTPConnection, connection: Connection) -> None:
        self._owner = owner
        self._connection = connection
        self._readers = 0
        self._closing = False

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._owner.remaining())
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_TimedReader(self))

    def receive(self, buffer: memoryview) -> int:
        self._connection.settimeout(self._owner.remaining())
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        """Close as a socket does: not before the answer that is still being read."""
        self._closing = True
        self._close_if_unused()

    def reader_closed(self) -> None:
        self._readers -= 1
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closing and self._readers == 0:
            self._connection.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: _TimedConnection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.receive(memoryview(buffer))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._connection.reader_closed()
