# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routers as the registry sees them: they report with ``router_heartbeat``, as the real ones do.

A test decides when one takes over the present epoch, and what it has in flight.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import psycopg2


class ReportingRouter:
    """A router that reports what it is told to, whenever it is told to."""

    def __init__(self, dsn: str, instance: str, environment: str = "staging") -> None:
        self.instance, self.environment = instance, environment
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self.registry_id, self.epoch = self._ask("SELECT registry_id::text, epoch FROM registry_epoch")

    def report(self, in_flight: Mapping[str, int] | None = None, **others: Any) -> int:
        """Send one heartbeat with the epoch of this router, or another; return the registry's epoch."""
        said = {"registry_id": self.registry_id, "epoch": self.epoch, **others}
        _, epoch = self._ask(
            "SELECT registry_id, epoch FROM router_heartbeat(%s, %s, %s::uuid, %s, %s::jsonb)",
            (
                self.instance,
                self.environment,
                said["registry_id"],
                said["epoch"],
                json.dumps(dict(in_flight or {})),
            ),
        )
        return int(epoch)

    def take_over(self, in_flight: Mapping[str, int] | None = None) -> None:
        """Take over the present epoch and say so."""
        self.epoch = self.report(in_flight)
        self.report(in_flight)

    def say_goodbye(self) -> None:
        """End in an orderly way."""
        self._ask("SELECT router_goodbye(%s)", (self.instance,))

    def vanish(self, seconds: float) -> None:
        """Be silent since so many seconds."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE router_instances SET seen_at = now() - make_interval(secs => %s) WHERE instance = %s",
                (seconds, self.instance),
            )

    def close(self) -> None:
        """Close the connection; the last report stays."""
        self._connection.close()

    def _ask(self, statement: str, values: Any = None) -> tuple[Any, ...]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone()
            assert row is not None
            return tuple(row)


class FollowingRouter(ReportingRouter):
    """A router that takes over each epoch by itself, after ``lag_s``.

    From the first change that it sees, one of the requests in flight ends every ``lag_s``.
    """

    def __init__(
        self,
        dsn: str,
        instance: str,
        environment: str = "staging",
        lag_s: float = 0.05,
        in_flight: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(dsn, instance, environment)
        self.in_flight = dict(in_flight or {})
        self._lag_s = lag_s
        self._ended = threading.Event()
        self.report(self.in_flight)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        started_with = self.epoch
        while not self._ended.wait(self._lag_s):
            self.epoch = self.report(self.in_flight)
            if self.epoch > started_with:
                # No new requests come from now on, and those that there are end.
                self.in_flight = {model: count - 1 for model, count in self.in_flight.items() if count > 1}

    def close(self) -> None:
        """Stop following."""
        self._ended.set()
        self._thread.join(10)
        super().close()
