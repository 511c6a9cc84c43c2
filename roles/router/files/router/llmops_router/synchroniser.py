# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the catalogue in step with the registry, and the registry informed of what was applied.

One loop does all of it, round after round: report and ask for the version; where that is newer, read
everything, apply it, report again. A round begins at every poll interval, and at once when somebody says
that something changed, or has asked for a model that the catalogue does not route.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

from . import log
from .catalogue import Catalogue
from .registry import Registry, RegistryError, RegistryRefusedError
from .snapshot import Snapshot, Version

# Rounds that somebody triggers leave the registry this much time between them.
_LEAST_PAUSE_S = 0.005
_LONGEST_REST_S = 0.25
#: Questions of clients that reach the registry within a second; what is more is answered from memory.
_ASKED_PER_S = 50


class Sync(Enum):
    """How the last question to the registry ended."""

    PENDING = "pending"
    OK = "ok"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"


class Synchroniser:
    """The loop and its state. ``recall`` may return a shared copy of the wanted version, to spare a read."""

    def __init__(
        self,
        registry: Registry,
        catalogue: Catalogue,
        in_flight: Callable[[], Mapping[str, int]],
        recall: Callable[[Version, str], Awaitable[Snapshot | None]],
        poll_interval_s: float,
    ) -> None:
        self._registry = registry
        self._catalogue = catalogue
        self._in_flight = in_flight
        self._recall = recall
        self._poll_interval_s = poll_interval_s
        self._wake = asyncio.Event()
        self._announced = 0
        self._connection = 0
        self._is_behind = False
        self._waiting: list[asyncio.Future[Sync]] = []
        self._asked_second = 0
        self._asked = 0
        self.on_applied: list[Callable[[Snapshot], None]] = []
        self.on_change_of_state: Callable[[], None] = lambda: None
        self.on_unannounced: Callable[[Version], None] = lambda _version: None
        self.state = Sync.PENDING
        self.problem = ""
        self.last_ok_at = 0.0

    def wake(self, epoch: int = 0) -> None:
        """Begin a round now; ``epoch`` is the one that somebody heard of, 0 if unknown."""
        self._announced = max(self._announced, epoch)
        self._wake.set()

    @property
    def is_away(self) -> bool:
        """Say whether the last question got no answer."""
        return self.state in (Sync.UNAVAILABLE, Sync.REFUSED)

    @property
    def is_busy(self) -> bool:
        """Say whether so many asked within this second that an answer from memory has to do."""
        return int(time.monotonic()) == self._asked_second and self._asked >= _ASKED_PER_S

    async def ask(self, timeout_s: float) -> Sync:
        """Wait for a round that begins from now on, and return how it ended.

        However many callers wait, they share one round.
        """
        if self.is_away:
            return self.state
        second = int(time.monotonic())
        self._asked = self._asked + 1 if second == self._asked_second else 1
        self._asked_second = second
        future: asyncio.Future[Sync] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return Sync.UNAVAILABLE

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            before = self.state
            started = time.monotonic()
            try:
                await self._round()
                self._went(Sync.OK, "")
            except RegistryRefusedError as error:
                self._went(Sync.REFUSED, str(error))
            except RegistryError as error:
                self._went(Sync.UNAVAILABLE, str(error))
            finally:
                for future in waiting:
                    if not future.done():
                        future.set_result(self.state)
            if before is Sync.OK and self.state is Sync.UNAVAILABLE:
                # Perhaps only the connection was lost: the next round makes another, and tells at once.
                self._wake.set()
            # Where reading takes long because there is much, half of the time is left to the rest.
            rest = min(max(time.monotonic() - started, _LEAST_PAUSE_S), _LONGEST_REST_S)
            await asyncio.sleep(rest)
            await self._wait_for_reason()

    async def _wait_for_reason(self) -> None:
        try:
            async with asyncio.timeout(self._poll_interval_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _round(self) -> None:
        connection = await self._registry.connect()
        applied = self._catalogue.version
        if applied is None:
            await self._load()
        elif self._announced > applied.epoch or self._is_behind or connection != self._connection:
            # Another connection may lead to another server, with which an epoch in common says nothing.
            await self._read()
        else:
            version = await self._report(applied)
            if version == applied:
                return
            if self._catalogue.is_newer(version):
                self.on_unannounced(version)
            await self._read()
        self._connection = connection
        # Whoever withdraws a route waits for this report.
        current = self._catalogue.version
        if current is not None:
            await self._report(current)

    async def _report(self, applied: Version) -> Version:
        """Report, and return the registry's version now. One that takes no reports is still followed."""
        try:
            version = await self._registry.heartbeat(applied, self._in_flight())
        except RegistryRefusedError as error:
            version, _changed_at = await self._registry.version()
            if not self._catalogue.is_newer(version):
                raise RegistryRefusedError(f"it takes no reports: {error}") from None
        return version

    async def _load(self) -> None:
        shared = await self._recall(*await self._registry.version())
        if shared is None:
            await self._read()
        else:
            self._apply(shared)

    async def _read(self) -> None:
        snapshot = await self._registry.snapshot()
        self._announced = min(self._announced, snapshot.version.epoch)
        current = self._catalogue.version
        if current is not None and self._is_older(snapshot.version, current):
            # It has lost changes, or is a standby that lags. The first learns of it by a report, and goes on
            # from an epoch that is new to everybody; the second takes no reports.
            if self._is_older(await self._report(current), current):
                self._is_behind = True
                raise RegistryRefusedError(
                    f"the registry is at epoch {snapshot.version.epoch}, but was at {current.epoch} before: "
                    "it is a standby that lags, or lost changes. The newer picture stays."
                )
            snapshot = await self._registry.snapshot()
        self._is_behind = False
        self._apply(snapshot)

    @staticmethod
    def _is_older(version: Version, current: Version) -> bool:
        return version.registry_id == current.registry_id and version.epoch < current.epoch

    def _apply(self, snapshot: Snapshot) -> None:
        if self._catalogue.advance(snapshot):
            for listener in self.on_applied:
                listener(snapshot)

    def _went(self, state: Sync, problem: str) -> None:
        if state is Sync.OK:
            self.last_ok_at = time.monotonic()
        if state is not self.state or problem != self.problem:
            if state is Sync.OK:
                log.info("the registry answers", epoch=getattr(self._catalogue.version, "epoch", None))
            else:
                log.warning(
                    "the registry gives no answer: the last picture stays", state=state.value, reason=problem
                )
        changed = state is not self.state
        self.state = state
        self.problem = problem
        if changed:
            self.on_change_of_state()
