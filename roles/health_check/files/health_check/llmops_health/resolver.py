# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves names, and tells a name that does not exist from a name service that does not answer."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
from aiohttp.abc import ResolveResult

#: What the name service says of a name: there is none, or it has no address. Every other error is its own.
_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)


class Resolver(aiohttp.ThreadedResolver):
    """Asks the system, but not for long: the system's own limits are longer than those of a check."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._limit_s = limit_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host, or raise ``gaierror``."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await super().resolve(host, port, family)
        except TimeoutError:
            raise socket.gaierror(
                socket.EAI_AGAIN, f"the name service did not answer within {self._limit_s:g} s"
            ) from None


def does_not_exist(error: OSError) -> bool:
    """Tell whether an error of a resolver is an answer of the name service: there is no such name."""
    return isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME
