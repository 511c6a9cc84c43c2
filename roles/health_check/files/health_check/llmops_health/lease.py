# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long this process may act as the leader, by its own monotonic clock."""

from __future__ import annotations

import time


class LeaseLostError(Exception):
    """This process is not the leader, or may not be any more; the text says why."""


class BlindError(LeaseLostError):
    """This process reaches no endpoint and suspects its own network: another one should try."""


class Lease:
    """A grant of the registry. It counts from when it was asked for, so it ends here before it ends there."""

    def __init__(self, fence: int, asked_at: float, ttl_s: float) -> None:
        self.fence = fence
        self._ttl_s = ttl_s
        self._until = asked_at + ttl_s

    def renewed(self, asked_at: float) -> None:
        """Note a renewal that was asked for at that moment."""
        self._until = max(self._until, asked_at + self._ttl_s)

    @property
    def remaining_s(self) -> float:
        """Seconds for which the lease still holds; not above zero if it does not."""
        return self._until - time.monotonic()

    def check(self) -> None:
        """Raise ``LeaseLostError`` if the time is over: another process may be the leader."""
        if self.remaining_s <= 0:
            raise LeaseLostError("it could not be renewed in time")
