# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counters grew by, where their program began anew and where it did not."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.counters import grown
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.exposition import (
    parse_exposition,
)


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("a_total 5", "a_total 8", [3]),
        ("a_total 5", "a_total 5", [0]),
        ("", "a_total 8", [8]),
        # A label that comes later begins at 0.
        ('a_total{s="1"} 5', 'a_total{s="1"} 6\na_total{s="2"} 4', [1, 4]),
        # One that went down or vanished tells that all of them began anew.
        ("a_total 5\nb_total 5", "a_total 4\nb_total 9", [4, 9]),
        ("a_total 5\nb_total 5", "b_total 9", [9]),
        ('a_bucket{le="1"} 5\na_bucket{le="+Inf"} 9', 'a_bucket{le="1"} 2\na_bucket{le="+Inf"} 20', [2, 20]),
        # All are higher than before, and only the time tells.
        ("a_total 5\na_created 100", "a_total 8\na_created 200.5", [8]),
        ("a_total 5\na_created 100", "a_total 8\na_created 100", [3]),
        # A label that came later was created later.
        (
            'a_total{s="1"} 5\na_created{s="1"} 100',
            'a_total{s="1"} 6\na_created{s="1"} 100\na_total{s="2"} 4\na_created{s="2"} 200',
            [1, 4],
        ),
        # Gauges may do what they want.
        ("a_total 5\ng 9", "a_total 8\ng 1", [3]),
    ],
)
def test_grown(before: str, after: str, wanted: list[float]) -> None:
    counts = grown(parse_exposition(before), parse_exposition(after))
    assert sorted(counts.values()) == wanted
