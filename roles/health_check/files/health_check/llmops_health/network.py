# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose fault is it that nothing answers? Before an endpoint is blamed, this process doubts its own network.

Taking all models from all users because the checker's own node, name service or network policy is broken
would be far worse than leaving a dead model on the list a little longer. So "no connection" counts against an
endpoint only if

* another endpoint answered a short while ago: then there is a network; or
* an endpoint has answered a health checker before, so that checkers are let through to them at all, and the
  canary, an address that has nothing to do with the models, answers now: then all models are really gone.

An answer, however wrong, always counts: it cannot come from a broken network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

_CANARY_REMEMBERED_S = 1.0


class Network:
    """What speaks for this process's own network. Times are those of the monotonic clock."""

    def __init__(
        self, window_s: float, ask_canary: Callable[[], Awaitable[bool]] | None, was_let_through: bool
    ) -> None:
        """Make it.

        :param window_s: how long an answer speaks for the network
        :param ask_canary: asks the canary, if there is one
        :param was_let_through: whether an endpoint has answered a health checker before
        """
        self._window_s = window_s
        self._was_let_through = was_let_through
        self._ask_canary = ask_canary
        self._newest: tuple[str, float] | None = None
        #: The last answer of another endpoint than the newest one's.
        self._other: tuple[str, float] | None = None
        self._canary = (float("-inf"), False)
        self._asking = asyncio.Lock()
        #: Since when unreachable endpoints are not believed; ``None`` while all is well.
        self.blind_since: float | None = None

    def answered(self, endpoint: str) -> None:
        """Note that an endpoint answered, whatever it said."""
        if self._newest is not None and self._newest[0] != endpoint:
            self._other = self._newest
        self._newest = (endpoint, time.monotonic())
        self._was_let_through = True
        self.blind_since = None

    async def blames(self, endpoint: str, began: float, alone: bool) -> bool:
        """Tell whether the endpoint is to blame for a check without a connection, and not the network.

        :param began: when the check began
        :param alone: whether no other endpoint is on the schedule
        """
        other = self._newest if self._newest is None or self._newest[0] != endpoint else self._other
        if other is not None and other[1] >= began - self._window_s:
            return True
        if self._was_let_through and await self._canary_answers(alone):
            return True
        if self.blind_since is None:
            self.blind_since = time.monotonic()
        return False

    async def _canary_answers(self, alone: bool) -> bool:
        """Ask the canary, at most once a second. Without one, a single endpoint can only be believed."""
        if self._ask_canary is None:
            return alone
        async with self._asking:
            if time.monotonic() - self._canary[0] > _CANARY_REMEMBERED_S:
                answers = await self._ask_canary()
                self._canary = (time.monotonic(), answers)
        return self._canary[1]
