# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worst series decides: one pod that fails is not outvoted by others that do well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .gate import GateVerdict


@dataclass(frozen=True)
class Figure:
    """What one series says. ``said`` is it in words, ``value`` infinite where it is beyond all measure."""

    who: str
    value: float
    samples: int
    said: str


@dataclass(frozen=True)
class Decision:
    """Which series decided, and what."""

    figure: Figure
    verdict: GateVerdict
    why: str


def decide(
    figures: Sequence[Figure], total: Figure, limit: float, min_samples: int, gaps: Sequence[str] = ()
) -> Decision:
    """Judge series and their sum; a value over the limit fails.

    Too few samples never pass and never fail. A series of its own with too few counts in the sum only, but
    not where it is over the limit: then nobody knows whether that is chance. With a gap nothing passes.
    """
    everybody = [*figures, total]
    worst = max(everybody, key=_badness)
    known = [figure for figure in everybody if figure.samples >= min_samples]
    failed = [figure for figure in known if figure.value > limit]
    if failed:
        return _decision(max(failed, key=_badness), GateVerdict.FAIL, "over the limit", gaps)
    if total.samples < min_samples:
        why = f"{total.samples} of the {min_samples} samples that are needed"
        return _decision(worst, GateVerdict.INCONCLUSIVE, why, gaps)
    if worst.value > limit:
        why = f"over the limit, but only {worst.samples} of the {min_samples} samples that are needed"
        return _decision(worst, GateVerdict.INCONCLUSIVE, why, gaps)
    if gaps:
        return _decision(worst, GateVerdict.INCONCLUSIVE, "within the limit, but not all was seen", gaps)
    return _decision(worst, GateVerdict.PASS, "within the limit", gaps)


def _decision(figure: Figure, verdict: GateVerdict, why: str, gaps: Sequence[str]) -> Decision:
    shown = [*gaps[:3], f"{len(gaps) - 3} more"] if len(gaps) > 3 else list(gaps)
    return Decision(figure, verdict, "; ".join([why, *shown]))


def _badness(figure: Figure) -> tuple[float, int]:
    return figure.value, figure.samples
