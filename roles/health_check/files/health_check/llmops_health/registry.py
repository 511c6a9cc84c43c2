# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry as the health checker sees it: one view to read, three functions to call, one connection.

Each call is one statement, committed by itself. Rows are named by the version that was read, so that a check
of what has been changed since is refused by the database.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .answers import Verdict
from .lease import Lease, LeaseLostError
from .metrics import Metrics
from .schedule import Entry
from .settings import Settings

_ENTRIES = """
    SELECT model_name, deployment_endpoint, deployment_status, row_version FROM model_states
     WHERE deployment_environment = %(environment)s AND deployment_status IN ('ready', 'degraded')
       AND desired_state = 'enabled' AND deployment_endpoint IS NOT NULL
"""
_REACHED = """
    SELECT model_name FROM health_states
     WHERE deployment_environment = %(environment)s AND last_ok_at IS NOT NULL
"""
_ACQUIRE = "SELECT acquire_lease(%(lease)s, %(holder)s, %(ttl_s)s)"
_RELEASE = "SELECT release_lease(%(lease)s, %(holder)s)"
# Whoever is no longer the leader writes nothing: the lease's row stays locked until the write is committed.
_RECORD = """
    WITH leader AS MATERIALIZED (SELECT acquire_lease(%(lease)s, %(holder)s, %(ttl_s)s) AS fence)
    SELECT fence, CASE WHEN fence = %(fence)s THEN record_health_check(
        %(model)s, %(environment)s, %(row_version)s, %(healthy)s, %(latency_s)s, %(reason)s)
        END
      FROM leader
"""

#: What waits on a connection that was cut notices within this time.
_SEVERED_S = 1.0
#: A row that somebody else holds is not worth waiting for: its next check comes soon, and others wait.
_LOCK_WAIT_MS = 200
_ROW_IS_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)


class RegistryError(Exception):
    """The registry did not do what it was asked for; nothing is known to be written."""


@dataclass(frozen=True)
class Record:
    """One result to write."""

    entry: Entry
    verdict: Verdict
    latency_s: float


class Registry:
    """A connection that is made when it is needed, and again after it broke."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        #: Whether it has ever answered.
        self.was_reached = False
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()
        self._who = {
            "lease": settings.lease_name,
            "holder": settings.instance,
            "ttl_s": settings.lease_ttl_s,
            "environment": settings.environment,
        }

    async def acquire(self) -> Lease | None:
        """Return the lease, or ``None`` if another process holds it."""
        asked_at = time.monotonic()
        (fence,) = (await self._run(_ACQUIRE, {}))[0]
        return None if fence is None else Lease(int(fence), asked_at, self._settings.lease_ttl_s)

    async def renew(self, lease: Lease) -> None:
        """Keep the lease; raise ``LeaseLostError`` if it is another's now."""
        asked_at = time.monotonic()
        (fence,) = (await self._run(_ACQUIRE, {}))[0]
        self._kept(lease, fence, asked_at)

    async def release(self) -> None:
        """Give the lease back, if this process holds it."""
        await self._run(_RELEASE, {})

    async def entries(self) -> list[Entry]:
        """Return the entries of the environment that are to be checked."""
        return [Entry(*row) for row in await self._run(_ENTRIES, {})]

    async def reached(self) -> set[str]:
        """Return the models that have answered a health checker before."""
        return {model for (model,) in await self._run(_REACHED, {})}

    async def record(self, lease: Lease, record: Record) -> str | None:
        """Write a result; return the entry's status, or ``None`` if the registry refused it.

        It refuses what was changed since it was read, is locked, or is gone.
        """
        asked_at = time.monotonic()
        values = {
            "fence": lease.fence,
            "model": record.entry.model,
            "row_version": record.entry.row_version,
            "healthy": record.verdict.healthy,
            "latency_s": record.latency_s,
            "reason": record.verdict.reason,
        }
        # Under the lock: the wait for it may have been long enough to lose the lease.
        rows = await self._run(_RECORD, values, before=lease.check)
        fence, status = rows[0]
        self._kept(lease, fence, asked_at)
        return None if status is None else str(status)

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            await self._drop()

    def _kept(self, lease: Lease, fence: int | None, asked_at: float) -> None:
        if fence != lease.fence:
            raise LeaseLostError("another process took it" if fence is None else "it had expired")
        lease.renewed(asked_at)

    async def _run(
        self, statement: str, values: dict[str, Any], before: Callable[[], None] = lambda: None
    ) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; raise ``RegistryError`` if it fails for whatever reason."""
        async with self._turn:
            before()
            question = asyncio.create_task(self._ask(statement, values))
            try:
                done, _pending = await asyncio.wait({question}, timeout=self._settings.registry_timeout_s)
                if not done:
                    raise TimeoutError(f"no answer within {self._settings.registry_timeout_s:g} s")
                rows = question.result()
            except _ROW_IS_BUSY as error:
                raise RegistryError(_explained(error)) from None
            except (psycopg.Error, TimeoutError, OSError, ValueError) as error:
                # The next connection may find another server, where the DSN names several.
                await self._drop(question)
                self._metrics.registry_up.set(0)
                raise RegistryError(_explained(error)) from None
            except BaseException:
                # Cancelled in the middle: what the server still says belongs to nobody.
                await self._drop(question)
                raise
            self._metrics.registry_up.set(1)
            self.was_reached = True
            return rows

    async def _ask(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        connection = await self._connected()
        cursor = await connection.execute(statement, {**self._who, **values})
        return await cursor.fetchall()

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        """Return the connection, made anew if there is none."""
        if self._connection is None or self._connection.closed:
            limit_ms = int(self._settings.registry_timeout_s * 500)
            dsn = self._settings.current_dsn()
            own = conninfo_to_dict(dsn).get("options") or ""
            self._connection = await psycopg.AsyncConnection.connect(
                dsn,
                autocommit=True,
                application_name="llmops-health-checker",
                options=f"{own} -c statement_timeout={limit_ms} -c lock_timeout={_LOCK_WAIT_MS}",
            )
        return self._connection

    async def _drop(self, question: asyncio.Task[Any] | None = None) -> None:
        """Cut the connection. That ends whatever waits on it, also if the server does not listen."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _sever(connection)
        if question is not None:
            if connection is None:
                question.cancel()
            await asyncio.wait({question}, timeout=_SEVERED_S)
            question.cancel()
            if question.done() and not question.cancelled():
                question.exception()
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _sever(connection: psycopg.AsyncConnection[Any]) -> None:
    """Shut the connection's socket down, so that reading from it ends at once."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _explained(error: Exception) -> str:
    """Return the first line of what went wrong; libpq shows no passwords."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
