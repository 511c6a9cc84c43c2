# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quantities mean here what they mean to Kubernetes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.quantity import (
    amounts,
    format_amount,
    parse_quantity,
    thousandths,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("4", 4), ("+4", 4), ("1.5", Fraction(3, 2)), ("1.", 1), (".5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)), ("100n", Fraction(1, 10**7)), ("7u", Fraction(7, 10**6)),
        ("1k", 1000), ("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("2M", 2 * 10**6), ("1Ti", 2**40), ("1Pi", 2**50),
        ("1E", 10**18), ("1E3", 1000), ("1e3", 1000), ("12e-1", Fraction(6, 5)), ("1Ei", 2**60),
        ("99Ei", 2**63 - 1), ("1e999", 2**63 - 1), (4, 4), (0.5, Fraction(1, 2)),
    ],
)  # fmt: skip
def test_value(text: object, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "four", "1 Gi", "1gi", "1GiB", "1K", "0x10", "1e", "1e1.5", "--1", "1_000", "\u0663", "NaN",
     "1\n", None, True, [1], {}, "-1", "-0.5Gi", -3],
)  # fmt: skip
def test_error_names_field_and_value(text: object) -> None:
    with pytest.raises(PlatformError) as caught:
        parse_quantity(text, "memory")
    assert caught.value.error_class.value == "invalid"
    assert caught.value.message.startswith(f"memory: {text!r} ")
    assert "1.5Gi" in caught.value.resolution


def test_cached_texts_still_name_the_field() -> None:
    for field in ("first", "second"):
        with pytest.raises(PlatformError, match=f"^{field}: 'nonsense'"):
            thousandths("nonsense", field)


def test_scheduler_counts_cores_in_thousandths_and_rounds_everything_up() -> None:
    assert amounts({"cpu": "1500u", "memory": "1500m", "pods": "110"}) == {"cpu": 2, "memory": 2, "pods": 110}


@given(st.fractions(min_value=0, max_value=10**9), st.sampled_from(["", "m", "k", "Mi"]))
def test_rounding_up_never_loses_and_adds_less_than_a_thousandth(value: Fraction, suffix: str) -> None:
    text = f"{float(value):.6f}{suffix}"
    exact = parse_quantity(text) * 1000
    assert 0 <= thousandths(text) - exact < 1


@given(st.integers(min_value=0, max_value=2**50), st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]))
def test_formatted_amounts_are_quantities_of_nearly_the_same_size(amount: int, name: str) -> None:
    shown = parse_quantity(format_amount(name, amount)) * (1000 if name == "cpu" else 1)
    assert abs(shown - amount) <= max(Fraction(amount, 100), Fraction(0))


def test_formats_for_people() -> None:
    assert format_amount("cpu", 7500) == "7.5"
    assert format_amount("cpu", 20) == "0.02"
    assert format_amount("memory", 48 * 2**30) == "48Gi"
    assert format_amount("memory", 300 * 2**20) == "300Mi"
    assert format_amount("nvidia.com/gpu", 4) == "4"
