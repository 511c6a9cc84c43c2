# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hears of changes as they are committed, over a connection that does nothing else.

A notification only says "look again". One that is lost costs at most the poll interval.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable

import psycopg
from psycopg import sql

from . import log
from .registry import RegistryError, RegistryUnavailableError, classify, connect, sever

CHANNEL = "llmops_registry"
#: How long the way from NOTIFY to LISTEN may take at start.
PROBE_S = 2.0
_CONNECT_S = 5.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


class DeafError(RegistryError):
    """Notifications do not come through."""

    kind = "deaf"


Notify = Callable[[str, str], Awaitable[None]]


class Listener:
    """Keeps one LISTEN connection; calls ``on_change`` with the epoch that a notification names."""

    def __init__(self, conninfo: str, notify: Notify, on_change: Callable[[int], None]) -> None:
        self._conninfo = conninfo
        self._notify = notify
        self._on_change = on_change
        self._connection: psycopg.AsyncConnection[object] | None = None
        self._probe_channel = f"llmops_probe_{uuid.uuid4().hex}"
        self.is_listening = False
        #: The kind of error that keeps it from listening.
        self.problem: str | None = "pending"
        self._reason = ""
        self.heard_epoch = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            problem = await self._listen_until_lost()
            pause = _FIRST_PAUSE_S if self.is_listening else min(pause * 2, _LONGEST_PAUSE_S)
            self.is_listening = False
            reason = str(problem)
            if reason != self._reason:
                log.warning("not listening for changes of the registry: polling goes on", reason=reason)
            self._reason = reason
            self.problem = problem.kind
            # Spread, so that many routers do not come back at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def suspect(self) -> None:
        """Make the connection anew: the registry changed, and nothing was heard of it."""
        if self._connection is not None and self.is_listening:
            log.warning("a change was not announced: LISTEN connects again")
            sever(self._connection)

    async def _listen_until_lost(self) -> RegistryError:
        try:
            await self._listen()
        except TimeoutError:
            return RegistryUnavailableError("no connection in time")
        except (psycopg.Error, OSError) as error:
            return classify(error)
        except RegistryError as error:
            return error
        return RegistryUnavailableError("the connection ended")

    async def _listen(self) -> None:
        connection = await connect(self._conninfo, _CONNECT_S)
        self._connection = connection
        # Another connection may lead to another registry, whose epochs are others.
        self.heard_epoch = 0
        try:
            for channel in (CHANNEL, self._probe_channel):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            # From here on every change is heard; what came before is found by reading once.
            self._on_change(0)
            await self._probe(connection)
            self.is_listening = True
            self.problem = None
            self._reason = ""
            log.info("listening for changes of the registry")
            async for notification in connection.notifies():
                if notification.channel == CHANNEL:
                    self._heard(notification.payload)
        finally:
            self._connection = None
            sever(connection)
            await connection.close()

    async def _probe(self, connection: psycopg.AsyncConnection[object]) -> None:
        """Send a notification over another connection and wait for it here.

        A pooler in transaction mode accepts LISTEN and then delivers nothing, without an error.
        """
        await self._notify(self._probe_channel, "")
        async for notification in connection.notifies(timeout=PROBE_S):
            if notification.channel == self._probe_channel:
                return
            self._heard(notification.payload)
        raise DeafError(
            "LISTEN hears nothing: there is a pooler in transaction mode between, or a standby. "
            "Set LLMOPS_ROUTER_LISTEN_DSN to the primary itself; until then changes are found by polling."
        )

    def _heard(self, payload: str) -> None:
        try:
            epoch = int(json.loads(payload)["epoch"])
        except (ValueError, KeyError, TypeError):
            epoch = 0
        self.heard_epoch = max(self.heard_epoch, epoch)
        self._on_change(epoch)
