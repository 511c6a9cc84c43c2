# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate of live completions: the source is asked again and again, as a client would."""

from __future__ import annotations

import math
from collections.abc import Callable

from ....common.errors import ErrorClass, PlatformError
from .gate import Gate, GateVerdict

_OF_THE_SERVER = (ErrorClass.VERIFICATION, ErrorClass.WORKLOAD)


def completions(ask: Callable[[], float], wanted: int, limit_s: float, name: str = "completions") -> Gate:
    """Ask for completions and set their p95 beside the limit, in seconds; all have to be answered.

    ``ask`` returns the seconds that one took, or raises ``verification`` or ``timeout`` for one that was not
    answered. Whatever else it raises says nothing about the server.
    """
    took: list[float] = []

    def gate(verdict: GateVerdict, reason: str) -> Gate:
        value = round(p95(took), 3) if took else None
        return Gate(name, verdict, reason, value, limit_s, "s", len(took), source="endpoint")

    while len(took) < wanted:
        try:
            took.append(ask())
        except PlatformError as error:
            told = f"completion {len(took) + 1} of {wanted}: {error.message}"
            return gate(GateVerdict.FAIL if is_of_the_server(error) else GateVerdict.ERROR, told)
    told = f"p95 of {wanted} completions is {p95(took):.3f} s, the slowest {max(took):.3f} s"
    return gate(GateVerdict.PASS if p95(took) <= limit_s else GateVerdict.FAIL, told)


def is_of_the_server(error: PlatformError) -> bool:
    """Tell whether it is the server that did not answer. A time that passed on the way says nothing of it."""
    if error.error_class is ErrorClass.TIMEOUT:
        return bool(error.details.get("of_the_server"))
    return error.error_class in _OF_THE_SERVER


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile by nearest rank: a value that was measured, none in between."""
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]
