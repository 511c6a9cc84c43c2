# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the lock of an operation while a module works, and stop the work when the lock is lost.

A thread renews the lock four times in its life. A holder that could not renew it for two thirds of that time
stops by itself: nobody can have taken it yet, and nobody has to be asked. With the usual 60 s that is a
renewal each 15 s and an end after 40 s.

The session of the lease has an advisory lock, by which others see that the holder lives, wherever it runs.
One whose session is gone, and that has stopped by then if it lives, is followed before the lock ends.

A lock that ran out and that nobody took may be renewed by the next module that starts, which looks at what is
there. It is not in the middle of one: whoever slept past its end was about to act on what it saw before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from ..common.deadline import Deadline, patiently
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.permit import Permit
from .connection import Database, Session, Settings, settings
from .lock import LOST_AFTER, TTL_S, OperationRef, claim, renew, unwatch
from .operations import begin_step, end_step

T = TypeVar("T")

_RENEWALS = 4
# A renewal that failed is tried again so much sooner.
_HURRY = 5
#: An answer of the database is good for so long, in seconds: who writes twice in a row asks once.
_FRESH_S = 1.0
_SLOWEST_ANSWER_S = 10.0


def _clock() -> float:
    """Return seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease(Permit):
    """The lock of an operation, for the time of a ``with`` block. Raises ``fenced`` where it is lost."""

    def __init__(
        self,
        where: Settings,
        operation: OperationRef,
        progress: Callable[[str], None],
    ) -> None:
        self.operation_id = operation.id
        self.fence = operation.fence
        self._operation = operation
        self._target = ("", "")  # as the database says
        # One connection for all that this lease asks: a step is two questions, a renewal one.
        self._where = where
        self._database = Database(where, Deadline(0.0))
        self._asking = threading.Lock()
        self._progress = progress
        self._ttl = TTL_S
        self._renewed = _clock()
        self._lost: PlatformError | None = None
        self._one_at_a_time = threading.Lock()
        self._stop = threading.Event()
        self._begun = False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        patiently(self._renew, Deadline(_SLOWEST_ANSWER_S), self._progress)
        self._begun = True
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(1.0)
        # One that still waits for an answer closes what it uses by itself.
        if not self._thread.is_alive():
            # Whoever comes would take the end of this session for the end of the operation.
            with suppress(PlatformError):
                self._transaction(lambda session: unwatch(session, self._operation))
            self._database.close()

    @property
    def target(self) -> tuple[str, str]:
        """Model and environment that the lock is for."""
        return self._target

    def check(self) -> None:
        """Raise ``fenced`` unless the lock is ours now. The database is asked if it can be reached."""
        if self._lost is None and _clock() - self._renewed > _FRESH_S:
            # Without an answer the lock is ours for as long as nobody else can have it.
            with suppress(PlatformError):
                self._renew()
        self.watch()

    def watch(self) -> None:
        """Raise ``fenced`` if the lock was lost, or may be because it could not be renewed."""
        if self._lost is not None:
            raise self._lost
        age = _clock() - self._renewed
        if age > self._ttl * LOST_AFTER:
            raise self._not_renewed(age)

    def _not_renewed(self, age: float) -> PlatformError:
        model, environment = self._target
        return PlatformError(
            ErrorClass.FENCED,
            f"The lock of {model} in {environment} was not renewed for {age:.0f} of its {self._ttl:g} s. "
            "The database was out of reach, or this run was stopped. Somebody else may be at work.",
            "Nothing more was written. Run the playbook again: it goes on from what is there.",
            {"locked_by": None},
        )

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Write a step into the record before it is taken, and afterwards how it ended."""
        detail: dict[str, Any] = {}

        def begin(session: Session) -> int:
            claim(session, *self._target, self._operation)
            return begin_step(session, self._operation, name)

        def end(error_class: str | None = None, reason: str | None = None) -> None:
            self._transaction(
                lambda session: end_step(
                    session,
                    self._operation,
                    number,
                    error_class=error_class,
                    reason=reason,
                    detail=detail,
                )
            )

        self.check()
        number = self._patiently(lambda: self._transaction(begin))
        try:
            yield detail
        except BaseException as error:
            kind = error.error_class.value if isinstance(error, PlatformError) else "unknown"
            # The failure itself matters more than its record.
            with suppress(PlatformError):
                end(kind, str(error) or type(error).__name__)
            raise
        self._patiently(end)

    def _patiently(self, work: Callable[[], T]) -> T:
        """Try again while the database is away, for as long as the lock is ours anyhow."""
        left = self._ttl * LOST_AFTER - (_clock() - self._renewed)
        return patiently(work, Deadline(max(0.0, left)), self._progress)

    def _transaction(self, work: Callable[[Session], T]) -> T:
        with self._asking:
            self._database.begin_anew(Deadline(max(1.0, min(_SLOWEST_ANSWER_S, self._ttl / 6))))
            try:
                return self._database.transaction(work)
            except PlatformError as error:
                # Whatever became of it, the next question begins anew.
                self._database.close()
                self._database = Database(self._where, Deadline(0.0))
                if error.error_class is not ErrorClass.TIMEOUT:
                    raise
                # A database that does not answer in time may do so next time.
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE, error.message, error.resolution, error.details
                ) from error

    def _renew(self) -> None:
        with self._one_at_a_time:
            # Before it is asked for: the lock lasts from a later moment than this.
            asked = _clock()
            if self._begun and asked - self._renewed > self._ttl:
                self._lost = self._not_renewed(asked - self._renewed)
                raise self._lost
            try:
                ttl, *target = self._transaction(
                    lambda session: renew(session, self._operation, revive=not self._begun)
                )
            except PlatformError as error:
                if error.error_class is ErrorClass.FENCED:
                    self._lost = error
                raise
            self._ttl, self._renewed, self._target = ttl, asked, (target[0], target[1])

    def _keep(self) -> None:
        try:
            self._renew_until_stopped()
        finally:
            if self._stop.is_set():
                self._database.close()

    def _renew_until_stopped(self) -> None:
        pause = self._ttl / _RENEWALS
        while self._lost is None and not self._stop.wait(pause):
            pause = self._ttl / _RENEWALS
            try:
                self._renew()
            except PlatformError as error:
                pause /= _HURRY
                if error.error_class is not ErrorClass.FENCED:
                    self._progress(f"The lock was not renewed: {error.message} Trying again.")


@contextmanager
def permit(
    params: Mapping[str, Any],
    progress: Callable[[str], None],
    *,
    target: tuple[str, str] | None = None,
    check_mode: bool = False,
) -> Iterator[Permit]:
    """Hold the lease of the operation that a module's parameters name; without one, all is permitted.

    ``target`` is the model and environment that the module changes: the operation has to be theirs. In check
    mode nothing is written, so nothing has to be held.
    """
    operation = OperationRef.from_params(params)
    if operation is None or check_mode:
        yield Permit()
        return
    with Lease(settings(params), operation, progress) as lease:
        if target is not None and target != lease.target:
            raise invalid(
                "lock.id",
                operation.id,
                f"is an operation on {' in '.join(lease.target)}",
                f"Start one on {' in '.join(target)}.",
            )
        yield lease
