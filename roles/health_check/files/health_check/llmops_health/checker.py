# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leader's work, until the lease is lost: check what is due, tell the registry, follow what it says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress

from .answers import Result, Verdict
from .lease import BlindError, Lease, LeaseLostError
from .metrics import Metrics
from .network import Network
from .probe import Probe
from .registry import Record, Registry, RegistryError
from .schedule import Entry, Plan, Schedule
from .settings import Settings

log = logging.getLogger(__name__)

#: The schedule is looked at no more often than this, so that checks that are due together begin together.
_SHORTEST_SLEEP_S = 0.01
_LONGEST_SLEEP_S = 0.25


class Checker:
    """Checks the entries of one environment for as long as a lease lasts."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        registry: Registry,
        probe: Probe,
        network: Network,
        lease: Lease,
        reached: set[str],
    ) -> None:
        """Make it; ``reached`` are the models that have answered a health checker before."""
        self._settings = settings
        self._metrics = metrics
        self._registry = registry
        self._probe = probe
        self._network = network
        self._lease = lease
        self._reached = reached
        self._schedule = Schedule(settings.interval_s, settings.completion_interval_s, settings.jitter)
        self._stale = asyncio.Event()
        self._warned: set[str] = set()
        # Slow completions must not keep the quick checks waiting.
        self._health_lane = asyncio.Semaphore(settings.concurrency)
        self._completion_lane = asyncio.Semaphore(settings.concurrency)

    async def run(self) -> None:
        """Check until the lease is lost: raises ``LeaseLostError``. Nothing runs on afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_lease())
                tasks.create_task(self._follow_registry())
                tasks.create_task(self._start_checks(tasks))
        except* LeaseLostError as lost:
            raise lost.exceptions[0] from None

    async def _keep_lease(self) -> None:
        """Renew the lease in time, and end everything when that fails for too long."""
        pause_s = self._settings.lease_renew_s
        while True:
            await asyncio.sleep(min(pause_s, max(self._lease.remaining_s, 0)))
            self._lease.check()
            self._check_sight()
            try:
                async with asyncio.timeout(self._lease.remaining_s):
                    await self._registry.renew(self._lease)
                pause_s = self._settings.lease_renew_s
            except (RegistryError, TimeoutError) as error:
                log.warning("the lease could not be renewed: %s", error)
                pause_s = min(1.0, self._settings.lease_renew_s)

    def _check_sight(self) -> None:
        """Give way to a standby, which may see more, after two intervals without reaching anything."""
        since = self._network.blind_since
        self._metrics.blind.set(0 if since is None else 1)
        if since is not None and time.monotonic() - since > 2 * self._settings.interval_s:
            raise BlindError("nothing can be reached from here")

    async def _follow_registry(self) -> None:
        """Read the entries every so often, and at once after the registry refused a result."""
        while True:
            self._stale.clear()
            try:
                self._take_over(await self._registry.entries())
            except RegistryError as error:
                log.warning("the registry cannot be read: %s", error)
            try:
                async with asyncio.timeout(self._settings.refresh_s):
                    await self._stale.wait()
            except TimeoutError:
                pass

    def _take_over(self, entries: list[Entry]) -> None:
        """Put on the schedule what the registry says now."""
        places = self._settings.allowed_endpoints
        allowed = [entry for entry in entries if places.allows(entry.endpoint)]
        for entry in entries:
            if not places.allows(entry.endpoint):
                self._warn_once(
                    f"{entry.model}: {entry.endpoint!r} is not checked: its host is not in "
                    f"LLMOPS_HEALTH_ALLOWED_ENDPOINTS ({places})"
                )
        self._metrics.not_allowed.set(len(entries) - len(allowed))
        for model in self._schedule.update(allowed, time.monotonic()):
            with suppress(KeyError):
                self._metrics.endpoint_up.remove(model)
        counts = Counter(entry.status for entry in allowed)
        for status in ("ready", "degraded"):
            self._metrics.entries.labels(status).set(counts[status])

    async def _start_checks(self, tasks: asyncio.TaskGroup) -> None:
        """Begin every check when it is due, as long as this process is the leader."""
        while True:
            self._lease.check()
            now = time.monotonic()
            self._metrics.looped()
            for plan in self._schedule.take(now):
                tasks.create_task(self._check(plan))
            next_due = self._schedule.next_due()
            wait_s = _LONGEST_SLEEP_S if next_due is None else next_due - now
            await asyncio.sleep(min(max(wait_s, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S))

    async def _check(self, plan: Plan) -> None:
        """Check one entry, tell the registry, and plan the next check."""
        completion = plan.wants_completion(time.monotonic())
        healthy: bool | None = None
        try:
            async with self._completion_lane if completion else self._health_lane:
                # After the wait for the lane: the lease may be over, and the entry may have changed.
                self._lease.check()
                entry = plan.entry
                began = time.monotonic()
                self._metrics.lag_seconds.observe(began - plan.due)
                verdict = await self._ask(entry, completion)
                latency_s = time.monotonic() - began
            if await self._counts(entry, verdict, began):
                healthy = verdict.healthy
                self._metrics.endpoint_up.labels(entry.model).set(int(healthy))
                await self._record(Record(entry, verdict, latency_s))
        except LeaseLostError:
            raise
        except Exception:  # one entry that nobody thought of must not end the checks of all others
            self._metrics.records.labels("error").inc()
            log.exception("a check failed in an unexpected way: %s", plan.entry.model)
        finally:
            self._schedule.done(plan, time.monotonic(), healthy, completion)

    async def _counts(self, entry: Entry, verdict: Verdict, began: float) -> bool:
        """Tell whether the verdict says something about the endpoint, and not about our own network."""
        if verdict.connected:
            self._network.answered(entry.endpoint)
            self._reached.add(entry.model)
            return True
        if verdict.result is Result.SILENT and entry.model not in self._reached:
            self._metrics.records.labels("held_back").inc()
            self._warn_once(
                f"{entry.model}: no connection, and no health checker ever had one, so it is not blamed: "
                "does its network policy admit pods labelled app.kubernetes.io/component=health-checker?"
            )
            return False
        was_blind = self._network.blind_since is not None
        blames = await self._network.blames(entry.endpoint, began, alone=len(self._schedule) == 1)
        if blames and verdict.result is not Result.UNRESOLVED:
            return True
        self._metrics.records.labels("held_back").inc()
        if blames:
            log.warning("%s: %s: it is not blamed for the name service", entry.model, verdict.reason)
        elif not was_blind:
            log.error(
                "nothing can be reached: this process's own network is suspected, no entry is blamed: %s: %s",
                entry.model,
                verdict.reason,
            )
        return False

    def _warn_once(self, text: str) -> None:
        """Write a warning that would be the same at every check."""
        if text not in self._warned:
            self._warned.add(text)
            log.warning(text)

    async def _ask(self, entry: Entry, completion: bool) -> Verdict:
        """Ask for a completion, or for its health; for both where the completion says nothing."""
        if completion:
            verdict = await self._timed("completion", self._probe.completion(entry.endpoint, entry.model))
            if verdict.result is not Result.INCONCLUSIVE:
                return verdict
            log.warning("%s: %s; only /health counts", entry.model, verdict.reason)
        return await self._timed("health", self._probe.health(entry.endpoint))

    async def _timed(self, kind: str, asked: Awaitable[Verdict]) -> Verdict:
        began = time.monotonic()
        verdict = await asked
        self._metrics.check_seconds.labels(kind).observe(time.monotonic() - began)
        self._metrics.checks.labels(kind, verdict.result.value).inc()
        return verdict

    async def _record(self, record: Record) -> None:
        """Tell the registry. If it cannot be told, the result is lost, and the next check says it again."""
        entry, verdict = record.entry, record.verdict
        try:
            status = await self._registry.record(self._lease, record)
        except RegistryError as error:
            self._metrics.records.labels("error").inc()
            log.warning("%s: the result could not be recorded: %s", entry.model, error)
            return
        self._metrics.records.labels(status or "refused").inc()
        if status is None:
            # Changed since it was read, locked, or gone: leave it alone, and look again.
            self._stale.set()
            return
        if status != entry.status:
            self._metrics.transitions.labels(status).inc()
            log.warning(
                "%s: %s, was %s: %s", entry.model, status, entry.status, verdict.reason or "serves again"
            )
            self._stale.set()
        elif not verdict.healthy:
            log.debug("%s: %s (%s)", entry.model, verdict.reason, status)
