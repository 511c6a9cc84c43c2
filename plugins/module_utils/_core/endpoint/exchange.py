# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to a model server over a route: each within its own limit of time and size, no redirects."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ..cluster.access import Route
from ..cluster.timed_http import TimedHTTPConnection, TooLargeError, TooSlowError
from .answers import Answer

MAX_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_CONNECT_LIMIT_S = 5.0


class Conversation:
    """Requests to one server, over one connection for as long as the server keeps it. A context manager."""

    def __init__(self, route: Route, api_key: str = "") -> None:
        self._route = route
        self._api_key = api_key
        self._http = TimedHTTPConnection(route)

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
