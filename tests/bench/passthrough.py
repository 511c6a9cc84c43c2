# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The least that a proxy of the router's kind can do: pass every request on to one server, know nothing.

uvicorn with uvloop and httptools as in the router, and aiohttp as the client: what one would write first.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UPSTREAM = os.environ.get("PASSTHROUGH_UPSTREAM", "")
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class PassThrough:
    """An ASGI application."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {"Content-Type": "application/json"}
        async with self._session.post(UPSTREAM + scope["path"], data=body, headers=headers) as answer:
            kept = [
                (name.lower(), value)
                for name, value in answer.raw_headers
                if name.lower().decode() not in _HOP_BY_HOP
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            async for part in answer.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


app = PassThrough()
