# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes quantities (``500m``, ``1.5Gi``, ``2e3``) and the whole numbers that the scheduler counts in.

The API server rounds every quantity up to thousandths; the scheduler then counts CPU in thousandths of a
core and everything else in whole units (bytes, devices, pods), rounded up once a pod. ``Amounts`` holds
those whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from .errors import PlatformError, invalid

#: Resource name -> whole number: thousandths of a core for ``cpu``, units or bytes for all others.
Amounts = dict[str, int]

_NUMBER = r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
_QUANTITY = re.compile(
    _NUMBER + r"(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_SCALE = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    **{letter: Fraction(10 ** (3 * power)) for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": Fraction(2 ** (10 * power)) for power, letter in enumerate("KMGTPE", 1)},
}
_LARGEST = 2**63 - 1
_CACHED_LENGTH = 32
_ADVICE = "Write a Kubernetes quantity of zero or more, such as '500m', '4', '1.5Gi' or '40Gi'."


def parse_quantity(value: object, field: str = "quantity") -> Fraction:
    """Return the exact value of a quantity, never negative; raise an ``invalid`` error that names the field.

    Numbers are accepted as YAML gives them. Like the API server, cap at 2^63 - 1.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise invalid(field, value, "is not a quantity", _ADVICE)
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise invalid(field, value, "is not a quantity", _ADVICE)
    if match["exponent"] is not None:
        scale = Fraction(10) ** int(match["exponent"])
    else:
        scale = _SCALE[match["suffix"] or ""]
    result = Fraction(match["number"].rstrip(".")) * scale
    if result < 0:
        raise invalid(field, value, "is negative", _ADVICE)
    return min(result, Fraction(_LARGEST))


@lru_cache(maxsize=4096)
def _thousandths_of_text(text: str) -> int:
    return -(-parse_quantity(text) * 1000 // 1)


def thousandths(value: object, field: str = "quantity") -> int:
    """Return a quantity in thousandths, rounded up. Fast for text, because clusters repeat themselves."""
    if isinstance(value, str) and len(value) <= _CACHED_LENGTH:
        try:
            return _thousandths_of_text(value)
        except PlatformError:
            # Parsed once more for an error that names the field.
            parse_quantity(value, field)
    return -(-parse_quantity(value, field) * 1000 // 1)


def scheduler_amounts(in_thousandths: Mapping[str, int]) -> Amounts:
    """Turn sums in thousandths into what the scheduler counts: CPU stays, the rest is rounded up."""
    return {name: value if name == "cpu" else -(-value // 1000) for name, value in in_thousandths.items()}


def amounts(quantities: Mapping[str, object], field: str = "quantity") -> Amounts:
    """Parse a map of quantities such as a node's ``status.allocatable``."""
    return scheduler_amounts(
        {name: thousandths(value, f"{field}.{name}") for name, value in quantities.items()}
    )


def format_amount(name: str, amount: int) -> str:
    """Write an amount for people, still as a valid quantity: ``7.5`` cores, ``31.42Gi``, ``4``."""
    if name == "cpu":
        return f"{amount / 1000:.3f}".rstrip("0").rstrip(".")
    in_bytes = name in ("memory", "ephemeral-storage") or name.startswith("hugepages-")
    if in_bytes and abs(amount) >= 2**20:
        unit, power = ("Gi", 2**30) if abs(amount) >= 2**30 else ("Mi", 2**20)
        return f"{amount / power:.2f}".rstrip("0").rstrip(".") + unit
    return str(amount)
