# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is asked for metrics, by the arguments of a module: Prometheus, or the routers themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...cluster.client import ClusterClient
from ...common.deadline import Deadline
from ...common.errors import invalid
from ...metrics.from_pods import PodsSource
from ...metrics.from_prometheus import PrometheusSource
from ...metrics.matchers import checked_matchers
from ...metrics.prometheus import PrometheusAPI
from ...metrics.window import MetricsSource
from .gate_set import GateSet
from .gates.limits import MetricLimits

#: Seconds over which is asked, if nobody says otherwise: Prometheus remembers, at routers it is waited for.
_REMEMBERED_S, _WAITED_S = 300.0, 30.0


def metrics_source(
    kind: str,
    prometheus: Mapping[str, Any] | None,
    client: ClusterClient,
    total: Deadline,
    warn: Callable[[str], None],
) -> MetricsSource[Any] | None:
    """Return who is asked; None where nobody is to be. Raises ``invalid`` for what cannot be asked.

    ``warn`` is told of a secret that goes over the network in plain text.
    """
    given = {name: value for name, value in (prometheus or {}).items() if value is not None}
    url = given.pop("url", None)
    if kind == "none":
        return None
    if kind == "router" or (kind == "auto" and not url):
        return PodsSource.of_cluster(client, total)
    if not url:
        raise invalid("prometheus.url", url, "is missing", "Give it, or take the routers' own metrics.")
    if "timeout" in given:
        given["timeout_s"] = given.pop("timeout")
    matchers = checked_matchers(given.pop("labels", None))
    api = PrometheusAPI(url, **given, total=total)
    if api.plain:
        warn(f"the token or password for {api.plain} goes over the network in plain text: use https")
    return PrometheusSource(api, matchers=matchers)


def metric_limits(gates: GateSet, source: MetricsSource[Any]) -> MetricLimits:
    """Return the limits of the gates that read metrics."""
    return MetricLimits(
        error_ratio=gates.error_ratio,
        latency_s=gates.max_latency_s,
        queue_waiting=gates.queue_waiting,
        min_samples=gates.min_samples,
        window_s=gates.window_s or (_REMEMBERED_S if source.remembers else _WAITED_S),
    )
