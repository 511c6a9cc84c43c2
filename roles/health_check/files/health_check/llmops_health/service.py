# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process: stand by for the lease, check while it is held, give it back at the end."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aiohttp import web

from .checker import Checker
from .keys import UpstreamKeys
from .lease import BlindError, Lease, LeaseLostError
from .metrics import Metrics
from .network import Network
from .probe import Probe
from .registry import Registry, RegistryError
from .settings import Settings
from .web import application

log = logging.getLogger(__name__)

#: How often a standby looks whether the lease is free: it adds to the time of a takeover.
_STANDBY_S = 1.0
_LONGEST_BACKOFF_S = 10.0


class Service:
    """One replica of the health checker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._registry = Registry(settings, self._metrics)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        # Names are resolved in threads: those that take long must not keep the others waiting.
        loop.set_default_executor(ThreadPoolExecutor(2 * self._settings.concurrency, "resolver"))
        runner = web.AppRunner(application(self._metrics, self._registry), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, self._settings.host, self._settings.port)
        await site.start()
        log.info("%s serves %s on %s", self._settings.instance, self._settings.environment, site.name)
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            work.cancel()
            try:
                with suppress(asyncio.CancelledError):
                    await work
            finally:
                await self._release()
                await self._registry.close()
                await runner.cleanup()

    async def _work(self) -> None:
        """Become the leader whenever that is possible, and work for as long as it lasts."""
        pause_s = _STANDBY_S
        while True:
            self._metrics.looped()
            try:
                lease = await self._registry.acquire()
                pause_s = _STANDBY_S
            except RegistryError as error:
                log.warning("the registry cannot be asked for the lease: %s", error)
                lease = None
                pause_s = min(2 * pause_s, _LONGEST_BACKOFF_S)
            if lease is None:
                # Not all replicas at the same moment, nor all of them when a registry comes back.
                await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311
                continue
            log.info("%s is the leader, fence %d", self._settings.instance, lease.fence)
            try:
                await self._lead(lease)
            except BlindError as lost:
                log.warning("no longer the leader, gives way for %g s: %s", self._settings.lease_ttl_s, lost)
                await self._release()
                await self._stand_back()
            except LeaseLostError as lost:
                log.warning("no longer the leader: %s", lost)

    async def _lead(self, lease: Lease) -> None:
        """Check until the lease is lost."""
        try:
            reached = await self._registry.reached()
        except RegistryError as error:
            raise LeaseLostError(str(error)) from None
        probe = Probe(self._settings, UpstreamKeys(self._settings.upstream_keys_file))
        canary_url = self._settings.canary_url
        network = Network(
            window_s=1.5 * self._settings.interval_s,
            ask_canary=(lambda: probe.answers(canary_url)) if canary_url else None,
            was_let_through=bool(reached),
        )
        self._metrics.leader.set(1)
        try:
            await Checker(self._settings, self._metrics, self._registry, probe, network, lease, reached).run()
        finally:
            self._metrics.leader.set(0)
            self._metrics.forget_entries()
            await probe.close()

    async def _stand_back(self) -> None:
        """Let another replica take over, for as long as a dead leader would."""
        for _second in range(int(self._settings.lease_ttl_s)):
            self._metrics.looped()
            await asyncio.sleep(1)

    async def _release(self) -> None:
        try:
            await self._registry.release()
        except RegistryError as error:
            log.warning("the lease could not be given back, it ends by itself: %s", error)
