# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The random cases that are put to kube-scheduler have in them what they are there for."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.support.scheduler_cases import SHARES, kinds, make_case

_CASES = 200


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_among_the_cases_of_one_run(seed: int) -> None:
    cases = [
        make_case(Random(f"{seed}-{number}"), "run", number, "shared")  # noqa: S311
        for number in range(_CASES)
    ]
    seen = Counter(kind for case in cases for kind in kinds(case))
    assert set(seen) == {"resized", *SHARES}
    for kind, share in SHARES.items():
        assert _CASES * share / 2 <= seen[kind] <= _CASES * share * 1.5
    assert seen["resized"] > _CASES / 5
