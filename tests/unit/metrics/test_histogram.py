# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing is said of a histogram that its buckets do not know."""

from __future__ import annotations

import math

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.histogram import Histogram

INF = math.inf


@pytest.mark.parametrize(
    ("counts", "quantile", "bound"),
    [
        ({1: 95, 3: 95, INF: 100}, 0.95, 1),
        ({1: 94, 3: 95, INF: 100}, 0.95, 3),
        ({1: 94, 3: 94, INF: 100}, 0.95, INF),
        ({1: 0, INF: 1}, 0.5, INF),
        ({1: 1, INF: 1}, 0.99, 1),
        # Prometheus' counts are fractions; the sum is reached exactly, but for a rounding.
        ({0.5: 6.9999999999, INF: 100}, 0.07, 0.5),
        # A bucket that seems to hold less than a smaller one.
        ({1: 10, 3: 9, INF: 10}, 0.95, 1),
        ({INF: 5}, 0.5, INF),
    ],
)
def test_a_quantile_is_told_by_the_bound_of_its_bucket(
    counts: dict[float, float], quantile: float, bound: float
) -> None:
    assert Histogram.of(counts).quantile_bound(quantile) == bound


@pytest.mark.parametrize(
    ("limit", "within"),
    [
        (3, (3, 0.9)),
        (4.9, (3, 0.9)),
        (5, (5, 0.95)),
        (100, (5, 0.95)),
        (INF, (INF, 1.0)),
        (1, (1, 0.5)),
        (0.9, None),
    ],
)
def test_a_share_is_that_of_the_next_bound_below(limit: float, within: tuple[float, float] | None) -> None:
    assert Histogram.of({1: 50, 3: 90, 5: 95, INF: 100}).within(limit) == within


def test_nothing_is_no_share_and_no_quantile() -> None:
    empty = Histogram.of({1: 0, INF: 0})
    assert empty.within(1) is None
    assert math.isnan(empty.quantile_bound(0.95))


def test_a_histogram_without_its_last_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\+Inf"):
        Histogram.of({1: 3})


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({math.nan: 1, INF: 1}, "bound nan"),
        ({-1: 1, INF: 1}, "bound -1"),
        ({1: -1, INF: 1}, "counts -1"),
        ({1: math.nan, INF: 1}, "counts nan"),
        ({1: 1, INF: INF}, "counts inf"),
    ],
)
def test_what_cannot_be_is_refused(counts: dict[float, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Histogram.of(counts)


@pytest.mark.parametrize(
    ("buckets", "why"),
    [
        ([(None, 1.0), ("+Inf", 1.0)], "the bound None"),
        ([("", 1.0), ("+Inf", 1.0)], "the bound ''"),
        # Added up they would say that all were within 1 s.
        ([("1", 90.0), ("1.0", 90.0), ("+Inf", 100.0)], "1 and 1.0 are one bound"),
        ([("+Inf", 90.0), ("1e999", 90.0)], r"\+Inf and 1e999 are one bound"),
    ],
)
def test_labels_that_are_no_bounds_are_refused(buckets: list[tuple[str | None, float]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Histogram.read(buckets)


def test_buckets_of_one_label_are_added_up() -> None:
    read = Histogram.read([("1", 1.0), ("+Inf", 2.0), ("1", 3.0), ("+Inf", 5.0)])
    assert list(read.cumulative) == [(1, 4), (INF, 7)]


def test_a_sum_has_the_bounds_that_all_have() -> None:
    total = Histogram.total([Histogram.of({1: 1, 3: 2, INF: 3}), Histogram.of({3: 10, INF: 20})])
    assert list(total.cumulative) == [(3, 12), (INF, 23)]
    assert total.last_bound == 3
    assert Histogram.total([]).count == 0
