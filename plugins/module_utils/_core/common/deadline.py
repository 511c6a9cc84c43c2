# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deadline for a whole operation, and the jittered backoff that never sleeps past it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import ErrorClass, PlatformError, invalid

Answer = TypeVar("Answer")


class Deadline:
    """A point on the monotonic clock that every step of an operation shares.

    The clock and the sleep are parameters so that decisions about time can be tested without waiting.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._start = clock()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self._clock() - self._start

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.seconds - self.elapsed())

    def expired(self) -> bool:
        """Tell whether no time is left."""
        return self.remaining() <= 0.0

    def share(self, seconds: float) -> Deadline:
        """Return a deadline for one step: at most ``seconds``, and never later than this one."""
        return Deadline(min(seconds, self.remaining()), self._clock, self._sleep)

    def anew(self) -> Deadline:
        """Return a deadline of the same length that begins now."""
        return Deadline(self.seconds, self._clock, self._sleep)

    def pause(self, seconds: float) -> None:
        """Sleep for ``seconds`` or until the deadline, whichever comes first."""
        self._sleep(max(0.0, min(seconds, self.remaining())))

    def timeout_error(self, what: str, last_reason: str, resolution: str) -> PlatformError:
        """Build the error for an expired deadline; it always says the last reason seen."""
        return PlatformError(
            ErrorClass.TIMEOUT,
            f"{what} did not finish within {self.seconds:g} s. Last seen: {last_reason}",
            resolution,
            {"timeout_s": self.seconds, "last_reason": last_reason},
        )


class Backoff:
    """Delays with decorrelated jitter: ``min(cap, uniform(base, 3 * previous))``, reset on progress.

    Jitter keeps ten deployments that wait for the same GPUs from asking at the same moment.
    """

    def __init__(self, base: float, cap: float, rng: random.Random | None = None) -> None:
        if not 0 < base <= cap:
            raise ValueError("backoff needs 0 < base <= cap")
        self._base = base
        self._cap = cap
        # Not a security matter: the generator spreads polls over time.
        self._rng = rng or random.Random()  # noqa: S311
        self._previous = base

    def next(self) -> float:
        """Return the next delay in seconds."""
        self._previous = min(self._cap, self._rng.uniform(self._base, 3 * self._previous))
        return self._previous

    def reset(self) -> None:
        """Start again from the base, because something moved."""
        self._previous = self._base


def check_seconds(params: Mapping[str, Any], low: float, high: float, *names: str) -> None:
    """Raise ``invalid`` for an argument that is no number of seconds between two bounds."""
    for name in names:
        # Written so that NaN is refused as well.
        if not low <= params[name] <= high:
            raise invalid(name, params[name], f"is not between {low} and {high}", "Give a number of seconds.")


def patiently(read: Callable[[], Answer], deadline: Deadline, progress: Callable[[str], None]) -> Answer:
    """Read until it works or the deadline passes.

    While an API server restarts, a failed read says nothing about what is waited for: only errors of class
    ``infrastructure`` are sat out, all others are raised.
    """
    backoff = Backoff(0.5, 5.0)
    while True:
        try:
            return read()
        except PlatformError as error:
            if error.error_class is not ErrorClass.INFRASTRUCTURE or deadline.expired():
                raise
            progress(f"{error.message} Asking again.")
            deadline.pause(backoff.next())
