# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus reads. A label takes only values of the registry or of this code, so it is bounded."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

_LATENCY_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
_LAG_S = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics of one process. Those of entries are the leader's only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.leader = self._gauge("leader", "1 while this process is the leader and checks, else 0")
        self.registry_up = self._gauge("registry_up", "1 if the registry answered last time, else 0")
        self.blind = self._gauge("blind", "1 while nothing can be reached and no endpoint is blamed for it")
        self.not_allowed = self._gauge(
            "entries_not_allowed", "Entries not checked: their host is not allowed"
        )
        self._last_loop = self._gauge("last_loop_timestamp_seconds", "When this process last did its round")
        self.entries = Gauge(
            "llmops_health_entries", "Entries that are checked, by status", ["status"], registry=self.registry
        )
        self.endpoint_up = Gauge(
            "llmops_health_endpoint_up", "1 if the last check of the model succeeded, else 0", ["model"],
            registry=self.registry,
        )  # fmt: skip
        self.checks = Counter(
            "llmops_health_checks", "Requests to endpoints, by kind and result", ["kind", "result"],
            registry=self.registry,
        )  # fmt: skip
        self.check_seconds = Histogram(
            "llmops_health_check_seconds", "Time that a request to an endpoint took", ["kind"],
            buckets=_LATENCY_S, registry=self.registry,
        )  # fmt: skip
        self.lag_seconds = Histogram(
            "llmops_health_schedule_lag_seconds", "How much later than planned a check began",
            buckets=_LAG_S, registry=self.registry,
        )  # fmt: skip
        self.records = Counter(
            "llmops_health_records",
            "Results by what the registry made of them: ready, degraded, refused, held_back, error",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self.transitions = Counter(
            "llmops_health_transitions", "Entries that checks made ready or degraded", ["status"],
            registry=self.registry,
        )  # fmt: skip
        self._looped_at = time.monotonic()

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"llmops_health_{name}", meaning, registry=self.registry)

    def looped(self) -> None:
        """Note that the main loop goes round."""
        self._looped_at = time.monotonic()
        self._last_loop.set_to_current_time()

    @property
    def loop_age_s(self) -> float:
        """Seconds since the main loop went round."""
        return time.monotonic() - self._looped_at

    def forget_entries(self) -> None:
        """Drop what only a leader knows."""
        self.entries.clear()
        self.endpoint_up.clear()
        self.not_allowed.set(0)
        self.blind.set(0)

    def render(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)
