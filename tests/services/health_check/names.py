# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A name service at the tests' command."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Says that every name is this machine's, or fails as the system's resolver does."""

    def __init__(self, fails_with: int = 0) -> None:
        """Make it; ``fails_with`` is a number of ``gaierror``, and may be changed."""
        self.fails_with = fails_with
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the loopback address."""
        self.asked += 1
        if self.fails_with:
            raise socket.gaierror(self.fails_with, f"error {self.fails_with} of the name service")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""
