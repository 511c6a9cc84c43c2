# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New figures against those from before: what was as bad already is not the fault of what is new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .gate import Gate, GateVerdict

#: How much worse a value may be than before, in the unit of its gate.
MARGINS: Mapping[str, float] = {"errors": 0.005, "latency": 0.0, "queue": 5.0}


def against_baseline(
    before: Sequence[Gate], after: Sequence[Gate], margins: Mapping[str, float] | None = None
) -> list[Gate]:
    """Return the gates of after, where one fails only if it is over its limit and worse than before.

    Worse is a value over that of before and a margin. Where before was not measured with enough samples, the
    limit alone counts. A gate that does not fail is returned as it is.
    """
    old = {gate.name: gate for gate in before if gate.verdict in (GateVerdict.PASS, GateVerdict.FAIL)}
    return [_compared(old.get(gate.name), gate, (margins or MARGINS).get(gate.name, 0.0)) for gate in after]


def _compared(before: Gate | None, after: Gate, margin: float) -> Gate:
    if before is None or after.verdict is not GateVerdict.FAIL:
        return after
    was, is_now = _number(before), _number(after)
    if was is None or is_now is None:
        return after
    if is_now <= was + margin:
        reason = f"{after.reason}; no worse than before ({before.value} {before.unit})"
        return replace(after, verdict=GateVerdict.PASS, reason=reason)
    return replace(after, reason=f"{after.reason}; before it was {before.value} {before.unit}")


def _number(gate: Gate) -> float | None:
    """Return the value; one beyond all measure is infinite."""
    if isinstance(gate.value, str):
        return math.inf
    return gate.value
