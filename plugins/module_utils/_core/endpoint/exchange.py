# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to a model server over a route: each within its own limit of time and size, no redirects.

``http.client`` over a connection that knows its deadline: a server that sends one byte a second is cut off
as one that sends nothing, which time-outs of single reads would not do.
"""

from __future__ import annotations

import http.client
import io
import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ..cluster.access import Connection, Route
from .answers import Answer

MAX_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_CONNECT_LIMIT_S = 5.0


class TooSlowError(Exception):
    """No complete answer within the limit; ``received`` bytes came, the first after ``first_byte_s``."""

    def __init__(self, limit_s: float, received: int, first_byte_s: float | None) -> None:
        super().__init__(f"no complete answer within {limit_s:.1f} s ({received} bytes of it came)")
        self.limit_s = limit_s
        self.received = received
        self.first_byte_s = first_byte_s


class TooLargeError(Exception):
    """The answer is larger than any answer to our requests can be."""


class Conversation:
    """Requests to one server, over one connection for as long as the server keeps it. A context manager."""

    def __init__(self, route: Route, api_key: str = "") -> None:
        self._route = route
        self._api_key = api_key
        self._http = _HTTPConnection(route)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def request(
        self, method: str, path: str, limit_s: float, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status.

        Raises ``OSError`` and ``http.client.HTTPException`` for a broken connection, ``NotReadyError`` and
        ``PlatformError`` from the route, ``TooSlowError`` and ``TooLargeError``. After any of them the next
        request opens a new connection.
        """
        # Not a dictionary: the route may bring one header several times.
        headers = http.client.HTTPMessage()
        sent = (("Accept", "application/json"), ("User-Agent", "llmops.platform"), *self._route.headers)
        for name, value in sent:
            # As the API server reads them; http.client knows Latin-1 only.
            headers[name] = value.encode().decode("latin-1")
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if self._api_key and path.startswith("/v1/"):
            del headers["Authorization"]
            headers["Authorization"] = f"Bearer {self._api_key}"
        # Connecting has a limit of its own: what is measured is the server, not the way to it.
        self._http.connect_within(min(limit_s, _CONNECT_LIMIT_S))
        started = time.monotonic()
        self._http.expires_at = started + limit_s
        chunks: list[tuple[float, bytes]] = []
        response: http.client.HTTPResponse | None = None
        try:
            self._http.request(method, self._route.prefix + path, payload, headers)  # type: ignore[arg-type]
            response = self._http.getresponse()
            self._read(response, chunks, started)
        except TimeoutError as error:
            self._http.close()
            received = sum(len(chunk) for _moment, chunk in chunks)
            raise TooSlowError(limit_s, received, chunks[0][0] if chunks else None) from error
        except (OSError, http.client.HTTPException, TooLargeError):
            self._http.close()
            raise
        finally:
            if response is not None:
                response.close()
        seconds = time.monotonic() - started
        lowered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lowered, tuple(chunks), seconds, self._route.via_api_server)

    def _read(
        self, response: http.client.HTTPResponse, chunks: list[tuple[float, bytes]], started: float
    ) -> None:
        size = 0
        while chunk := response.read1(_CHUNK_BYTES):
            chunks.append((time.monotonic() - started, chunk))
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise TooLargeError(f"more than {MAX_BODY_BYTES} bytes")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)


class _HTTPConnection(http.client.HTTPConnection):
    """Speaks HTTP over a route's connections; every read and write ends by ``expires_at``."""

    def __init__(self, route: Route) -> None:
        super().__init__("localhost")
        # Only for the Host header: the route knows where to connect.
        self.host, self.port = route.host, None  # type: ignore[assignment]
        self._route = route
        self.expires_at = 0.0

    def connect_within(self, seconds: float) -> None:
        """Open a connection unless one is open."""
        if self.sock is None:
            self.expires_at = time.monotonic() + seconds
            self.connect()

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

    def __init__(self, owner: _HTTPConnection, connection: Connection) -> None:
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
