# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be said of a histogram without guessing: shares at its bounds, and the bound of a quantile.

Between two bounds nobody knows where the requests were. So nothing is interpolated, and what lies beyond the
last bound is only known to be more than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .plausible import plausible

# Counts of Prometheus are extrapolated, so that a sum may miss by a rounding what it reaches exactly.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Histogram:
    """Counts at or under each bound, ascending; the last bound is infinite."""

    cumulative: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, counts: Mapping[float, float]) -> Histogram:
        """Take cumulative counts by bound; raises ``ValueError`` for bounds or counts that cannot be."""
        for bound, count in counts.items():
            # Written so that NaN is refused as well.
            if not bound >= 0:
                raise ValueError(f"a bucket has the bound {bound:g}")
            if not plausible(count):
                raise ValueError(f"the bucket of {bound:g} s counts {count:g}")
        if math.inf not in counts:
            raise ValueError("a histogram has no bucket +Inf")
        highest = 0.0
        rising = []
        for bound in sorted(counts):
            highest = max(highest, counts[bound])
            rising.append((bound, highest))
        return cls(tuple(rising))

    @classmethod
    def read(cls, buckets: Iterable[tuple[str | None, float]]) -> Histogram:
        """Take buckets as they are labelled; what has the same label is added up.

        Raises ``ValueError`` as :meth:`of` does, and for labels that are no bound or one bound twice.
        """
        labels: dict[float, str] = {}
        counts: dict[float, float] = {}
        for label, count in buckets:
            try:
                bound = float(label or "")
            except ValueError:
                raise ValueError(f"a bucket has the bound {label!r}") from None
            if labels.setdefault(bound, label or "") != label:
                raise ValueError(f"{labels[bound]} and {label} are one bound")
            counts[bound] = counts.get(bound, 0.0) + count
        return cls.of(counts)

    @classmethod
    def total(cls, parts: Iterable[Histogram]) -> Histogram:
        """Add histograms up; only the bounds that all of them have can be kept."""
        tables = [dict(part.cumulative) for part in parts]
        bounds = set.intersection(*(set(table) for table in tables)) if tables else {math.inf}
        return cls(tuple((bound, sum(table[bound] for table in tables)) for bound in sorted(bounds)))

    @property
    def count(self) -> float:
        """How many there are."""
        return self.cumulative[-1][1]

    def within(self, limit: float) -> tuple[float, float] | None:
        """Return the greatest bound up to a limit and the share at or under it.

        ``None`` where there is nothing, or no bound up to the limit.
        """
        bounds = [item for item in self.cumulative if item[0] <= limit]
        if not bounds or self.count <= 0:
            return None
        bound, count = bounds[-1]
        return bound, count / self.count

    def quantile_bound(self, quantile: float) -> float:
        """Return the upper bound of the bucket that holds a quantile: it is that, or less.

        Infinite where it is beyond the last bound; NaN where there is nothing.
        """
        if self.count <= 0:
            return math.nan
        wanted = quantile * self.count * (1 - _ROUNDING)
        return next((bound for bound, count in self.cumulative if count >= wanted), math.inf)

    @property
    def last_bound(self) -> float:
        """The greatest bound that is a number; 0 where there is none."""
        return max((bound for bound, _count in self.cumulative if bound != math.inf), default=0.0)
