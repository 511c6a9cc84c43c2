# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies of requests: each within its limits, and all together within the memory that they may take."""

from __future__ import annotations

from .errors import ApiError, retry_after
from .exchange import ClientLeftError, Limit, Receive

# What follows is not read, so the connection is of no use any more.
_CLOSE = (b"connection", b"close")


class Budget:
    """The bytes that bodies may still take, counted as they come: who only announces many takes none."""

    def __init__(self, size: int) -> None:
        self.free = size


class Body:
    """One request's body. It counts until it is dropped, which is safe to do again."""

    def __init__(self, budget: Budget, retry_after_s: int) -> None:
        self.data = b""
        self._budget = budget
        self._retry_after_s = retry_after_s
        self._taken = 0

    async def read(self, declared: bytes | None, receive: Receive, limit: int, timeout_s: float) -> None:
        """Read all of it; ``declared`` is the length that the headers name.

        :raises ApiError: 413 where it is longer than ``limit`` bytes, 408 where it does not arrive in time,
            503 where other bodies leave no room for it.
        :raises ClientLeftError: where the client went away before its end.
        """
        length = int(declared) if declared is not None else 0
        if length > limit:
            raise _too_large(limit)
        if length > self._budget.free:
            raise self._no_room()
        try:
            with Limit(timeout_s):
                self.data = await self._read_parts(receive, limit)
        except TimeoutError:
            raise _too_slow(timeout_s) from None

    def drop(self) -> None:
        """Forget it."""
        self.data = b""
        self._budget.free += self._taken
        self._taken = 0

    async def _read_parts(self, receive: Receive, limit: int) -> bytes:
        parts: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            part = message.get("body", b"")
            more = message.get("more_body", False)
            if len(part) > self._budget.free:
                raise self._no_room()
            self._budget.free -= len(part)
            self._taken += len(part)
            if self._taken > limit:
                raise _too_large(limit)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _no_room(self) -> ApiError:
        seconds = self._retry_after_s
        return ApiError(
            503,
            "router_busy",
            f"The router holds as many request bodies as it can. Try again in {seconds} s.",
            headers=(*retry_after(seconds), _CLOSE),
        )


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413,
        "request_too_large",
        f"The request body is longer than {limit} bytes. Send a shorter one.",
        headers=(_CLOSE,),
    )


def _too_slow(timeout_s: float) -> ApiError:
    return ApiError(
        408,
        "request_timeout",
        f"The request body did not arrive within {timeout_s:g} s.",
        headers=(_CLOSE,),
    )
