# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good a model has to be, and from how much that is told."""

from __future__ import annotations

from dataclasses import dataclass

from ....common.errors import invalid

#: The least and the most that each may be.
BOUNDS: dict[str, tuple[float, float]] = {
    "error_ratio": (0.0, 1.0),
    "latency_s": (0.001, 3600.0),
    "latency_quantile": (0.01, 0.9999),
    "queue_waiting": (0.0, 1e6),
    "min_samples": (1, 1e9),
    "window_s": (1.0, 7 * 86400.0),
}


@dataclass(frozen=True)
class MetricLimits:
    """The limits of the gates that read metrics; raises ``invalid`` for one that cannot be meant."""

    error_ratio: float = 0.01
    latency_s: float = 3.0
    latency_quantile: float = 0.95
    queue_waiting: float = 10.0
    min_samples: int = 50
    window_s: float = 300.0

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            # Written so that NaN is refused as well.
            if isinstance(value, bool) or not low <= value <= high:
                raise invalid(name, value, f"is not between {low:g} and {high:g}", "Give such a number.")
