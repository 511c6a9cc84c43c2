# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry as the router asks it: one connection, every question with a time limit, three outcomes.

A question is answered, or the registry is unavailable (no connection, no answer in time, the server is
restarting or full), or it refused (schema too old, a right is missing). The last two never look like an
empty registry.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .snapshot import BadSnapshotError, Snapshot, Version, load, version_of

#: Reading thousands of rows takes longer than a plain question.
SNAPSHOT_TIMEOUT_S = 10.0
_CONNECT_S = 3.0

# One row with the models as one text, as in the shared cache. With thousands of them, rows and columns of
# their own take two to three times as long to read, and no request moves meanwhile.
_SNAPSHOT = """
SELECT registry.registry_id, registry.epoch, registry.changed_at::text, (
    SELECT coalesce(json_agg(json_build_array(model_name, deployment_status, desired_state,
                                              deployment_endpoint, row_version)), '[]')::text
      FROM model_states
     WHERE deployment_environment = %(environment)s
       AND model_name IS NOT NULL AND deployment_status IS NOT NULL)
  FROM registry_epoch registry
"""
_VERSION = "SELECT registry_id, epoch, changed_at::text FROM registry_epoch"
_HEARTBEAT = """
SELECT registry_id, epoch
  FROM router_heartbeat(%(instance)s, %(environment)s, %(registry_id)s::uuid, %(epoch)s, %(in_flight)s::jsonb)
"""
_GOODBYE = "SELECT router_goodbye(%(instance)s)"

# Classes of SQLSTATE that go away by themselves: connection, resources, operator's intervention, system.
_PASSING = ("08", "53", "57", "58")
# No such table, function or column.
_OLD_SCHEMA = ("42P01", "42883", "42703")
_PASSWORD = re.compile(r"(password\s*=\s*|//[^:/@\s]*:)[^\s@]+", re.IGNORECASE)


class RegistryError(Exception):
    """The registry gave no answer; what was known before still holds."""

    #: What anybody may know of it. The text may name hosts and users: it is for the log.
    kind = "failed"


class RegistryUnavailableError(RegistryError):
    """It cannot be reached now, or did not answer in time."""

    kind = "unavailable"


class RegistryRefusedError(RegistryError):
    """It answered that it will not: somebody has to change something."""

    kind = "refused"


def parameters(dsn: str, name: str) -> str:
    """Return a DSN with time limits and keepalives, where it has none of its own.

    :raises ValueError: where it cannot be parsed; the text does not quote it.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise ValueError(
            "the registry's DSN cannot be parsed (it is not shown, because it may hold a password)"
        ) from None
    defaults = {
        "connect_timeout": "3",
        "application_name": name,
        # A peer that vanished without a word is noticed within ten seconds, by the kernel.
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "2",
        "tcp_user_timeout": "10000",
    }
    return make_conninfo(
        "", **{**defaults, **{key: value for key, value in given.items() if value is not None}}
    )


def describe(error: BaseException) -> str:
    """Return what happened on one line, without secrets."""
    told = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = " ".join((told or str(error)).split()) or type(error).__name__
    return _PASSWORD.sub(r"\1***", text)[:300]


def classify(error: psycopg.Error | OSError) -> RegistryError:
    """Return the outcome that an error of the driver stands for."""
    state = getattr(error, "sqlstate", None)
    # Errors of the connection itself have no state.
    if state is None or state.startswith(_PASSING):
        return RegistryUnavailableError(describe(error))
    hint = " Apply the registry's migrations (playbook registry)." if state in _OLD_SCHEMA else ""
    return RegistryRefusedError(describe(error) + hint)


def sever(connection: psycopg.AsyncConnection[Any]) -> None:
    """Cut the wire, so that whoever waits on the connection wakes up at once with an error.

    Cancelling instead would first ask the server, which is the one that does not answer.
    """
    try:
        descriptor = os.dup(connection.fileno())
    except (psycopg.Error, OSError):
        return
    with socket.socket(fileno=descriptor) as wire:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


async def connect(conninfo: str, timeout_s: float) -> psycopg.AsyncConnection[Any]:
    """Connect; each statement is its own transaction, and nothing is prepared: a pooler may be between."""
    async with asyncio.timeout(timeout_s):
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)


class Registry:
    """Asks one question at a time over one connection, which it makes anew after each failure."""

    def __init__(self, conninfo: str, environment: str, instance: str, timeout_s: float) -> None:
        self._conninfo = conninfo
        self._environment = environment
        self._instance = instance
        self._timeout_s = timeout_s
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()
        self._connections = 0

    async def connect(self) -> int:
        """Connect if need be, and return the number of the connection: another one may lead elsewhere."""
        async with self._turn:
            await self._connected()
            return self._connections

    async def version(self) -> tuple[Version, str]:
        """Return the registry's version now, and when it was reached."""
        rows = await self._ask(_VERSION, {}, self._timeout_s)
        return self._version(rows), str(rows[0][2])

    async def snapshot(self) -> Snapshot:
        """Return all models of the environment, as of one moment."""
        rows = await self._ask(
            _SNAPSHOT, {"environment": self._environment}, max(self._timeout_s, SNAPSHOT_TIMEOUT_S)
        )
        version = self._version(rows)
        try:
            return load(version, rows[0][3], str(rows[0][2]))
        except BadSnapshotError as error:
            raise RegistryRefusedError(f"model_states: {error}") from None

    async def heartbeat(self, applied: Version, in_flight: Mapping[str, int]) -> Version:
        """Report what this router has applied and carries, and return the registry's version now."""
        rows = await self._ask(
            _HEARTBEAT,
            {
                "instance": self._instance,
                "environment": self._environment,
                "registry_id": applied.registry_id,
                "epoch": applied.epoch,
                "in_flight": json.dumps(in_flight),
            },
            self._timeout_s,
        )
        return self._version(rows)

    async def goodbye(self) -> None:
        """Say that this router has ended, so that nobody waits for it."""
        await self._ask(_GOODBYE, {"instance": self._instance}, self._timeout_s)

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification."""
        await self._ask(
            "SELECT pg_notify(%(channel)s, %(payload)s)",
            {"channel": channel, "payload": payload},
            self._timeout_s,
        )

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @staticmethod
    def _version(rows: Sequence[Sequence[Any]]) -> Version:
        if not rows:
            raise RegistryRefusedError(
                "registry_epoch has no row. Apply the registry's migrations (playbook registry)."
            )
        try:
            return version_of(rows[0][0], rows[0][1])
        except BadSnapshotError as error:
            raise RegistryRefusedError(str(error)) from None

    async def _ask(self, statement: str, values: Mapping[str, Any], timeout_s: float) -> list[Any]:
        async with self._turn:
            connection = await self._connected()
            try:
                return await self._run(connection, statement, values, timeout_s)
            except (psycopg.Error, OSError) as error:
                outcome = classify(error)
                if isinstance(outcome, RegistryUnavailableError) or connection.closed:
                    self._drop()
                raise outcome from None

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            try:
                self._connection = await connect(self._conninfo, _CONNECT_S)
            except TimeoutError:
                raise RegistryUnavailableError(f"no connection within {_CONNECT_S:g} s") from None
            except (psycopg.Error, OSError) as error:
                raise classify(error) from None
            self._connections += 1
        return self._connection

    async def _run(
        self,
        connection: psycopg.AsyncConnection[Any],
        statement: str,
        values: Mapping[str, Any],
        timeout_s: float,
    ) -> list[Any]:
        async def question() -> list[Any]:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

        task = asyncio.create_task(question())
        try:
            done, _pending = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._drop()
            # Its error says only that the wire was cut.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise
        if done:
            return task.result()
        sever(connection)
        await asyncio.wait({task}, timeout=1)
        task.cancel()
        self._connection = None
        raise RegistryUnavailableError(f"no answer within {timeout_s:g} s")

    def _drop(self) -> None:
        if self._connection is not None:
            sever(self._connection)
            self._connection = None
