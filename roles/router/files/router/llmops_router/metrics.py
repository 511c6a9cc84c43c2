# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus sees. A label takes only values that the registry or this code knows, so it is bounded."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from .catalogue import Catalogue

#: The label of requests whose model the registry does not have.
UNKNOWN = "unknown"
# 3.0 is the limit of the platform's latency objective.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """All metrics of one router."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "llmops_router_requests",
            "Answers by model and status",
            ["model", "status"],
            registry=self.registry,
        )
        self._errors = Counter(
            "llmops_router_errors",
            "Answers that the router itself gave, by model and code",
            ["model", "code"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "llmops_router_request_duration_seconds",
            "From the request's last byte to the answer's last",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_byte = Histogram(
            "llmops_router_time_to_first_token_seconds",
            "From the request's last byte to the first byte of a streamed answer",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.retries = Counter(
            "llmops_router_upstream_retries",
            "Requests sent again before the first byte",
            registry=self.registry,
        )
        self.misses = Counter(
            "llmops_router_lookup_misses",
            "Requests for models that were not routed, by how that was settled",
            ["result"],
            registry=self.registry,
        )
        self.cache = Counter(
            "llmops_router_cache_operations",
            "Uses of the shared cache by result",
            ["operation", "result"],
            registry=self.registry,
        )
        self.in_flight: Tally[str] = Tally()
        # Looking a child up by its labels costs more than counting.
        self._request_children: dict[tuple[str, int], Counter] = {}
        self._duration_children: dict[str, Histogram] = {}

    def gauge(self, name: str, help_text: str) -> Gauge:
        """Add a gauge."""
        return Gauge(f"llmops_router_{name}", help_text, registry=self.registry)

    def answered(self, model: str, status: int, seconds: float) -> None:
        """Count an answer."""
        child = self._request_children.get((model, status))
        if child is None:
            child = self._requests.labels(model, str(status))
            self._request_children[model, status] = child
        child.inc()
        duration = self._duration_children.get(model)
        if duration is None:
            duration = self._duration_children[model] = self._duration.labels(model)
        duration.observe(seconds)

    def refused(self, model: str, code: str) -> None:
        """Count an error of our own."""
        self._errors.labels(model, code).inc()

    def first_byte(self, model: str, seconds: float) -> None:
        """Note when a streamed answer began."""
        self._first_byte.labels(model).observe(seconds)

    def render(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)


def observe_catalogue(metrics: Metrics, catalogue: Catalogue) -> None:
    """Add what is known of the picture and of the requests in flight."""
    metrics.gauge("snapshot_epoch", "Epoch of the registry that is applied").set_function(
        lambda: catalogue.version.epoch if catalogue.version else 0
    )
    metrics.gauge("models", "Models of the environment in the picture").set_function(
        lambda: len(catalogue.routes)
    )
    metrics.gauge("routable_models", "Models that requests may go to").set_function(
        lambda: sum(route.target is not None for route in catalogue.routes.values())
    )
    metrics.gauge("in_flight", "Requests at model servers now").set_function(
        lambda: sum(metrics.in_flight.values())
    )


def in_flight(metrics: Metrics) -> Mapping[str, int]:
    """Return the requests in flight by model."""
    return {model: count for model, count in metrics.in_flight.items() if count}
