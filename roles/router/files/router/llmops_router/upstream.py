# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to model servers: pooled connections, time limits, and an answer that is read as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from multidict import CIMultiDict

from .endpoints import Target

Headers = list[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """The model server gave no answer."""

    #: Whether the request certainly did not reach the server, so that it may be sent again.
    is_unsent = False


class ConnectFailedError(UpstreamError):
    """No connection."""

    is_unsent = True


class ConnectTimeoutError(UpstreamError):
    """No connection in time."""


class WithdrawnError(UpstreamError):
    """The route was withdrawn before the request was sent."""


class BrokenError(UpstreamError):
    """The connection broke, or what came is no HTTP."""


class Answer:
    """A model server's answer: status and headers first, then its body piece by piece."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.raw_headers]

    async def read(self) -> tuple[bytes, bool]:
        """Return what has arrived, and whether that was the end."""
        try:
            content = self._response.content
            chunk = await content.readany()
            return chunk, content.at_eof()
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenError(str(error) or type(error).__name__) from None

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstream:
    """All connections to model servers."""

    def __init__(self, connect_timeout_s: float, keepalive_s: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=keepalive_s or None, force_close=not keepalive_s, ttl_dns_cache=5
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )

    async def post(
        self, target: Target, path: str, headers: Headers, body: bytes, is_current: Callable[[], bool]
    ) -> Answer:
        """Send a request and return the answer once its headers are there.

        :raises UpstreamError: where there is none.
        """
        if not is_current():
            raise WithdrawnError
        fields = CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        try:
            response = await self._session.post(
                target.base + path, data=body, headers=fields, allow_redirects=False
            )
        except aiohttp.ConnectionTimeoutError:
            raise ConnectTimeoutError from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectFailedError(str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenError(str(error) or type(error).__name__) from None
        return Answer(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await asyncio.sleep(0)
