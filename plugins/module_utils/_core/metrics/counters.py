# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters of one program between two readings: what they grew by, also where it began anew meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .exposition import Sample

#: A name and its labels, in a fixed order.
Series = tuple[str, tuple[tuple[str, str], ...]]

_ENDINGS = ("_total", "_bucket")
_CREATED = "_created"


def counters(samples: Iterable[Sample]) -> dict[Series, float]:
    """Return the counters among samples, those of histograms included."""
    return {_series(sample): sample.value for sample in samples if sample.name.endswith(_ENDINGS)}


def began(samples: Iterable[Sample]) -> float | None:
    """Return when the oldest counter began, as a Unix time; ``None`` where the program does not tell."""
    return min((sample.value for sample in samples if sample.name.endswith(_CREATED)), default=None)


def restarted(before: Iterable[Sample], after: Iterable[Sample]) -> bool:
    """Tell whether the program began anew between two readings.

    All counters of a process begin together. One that went down or vanished shows it; where all are higher
    than before by now, only the time shows it at which they began.
    """
    before, after = list(before), list(after)
    now = counters(after)
    if any(now.get(series, -1.0) < value for series, value in counters(before).items()):
        return True
    first, second = began(before), began(after)
    return first is not None and second is not None and second > first


def grown(before: Iterable[Sample], after: Iterable[Sample]) -> Mapping[Series, float]:
    """Return what each counter grew by; after a restart, all that it has counted since."""
    before, after = list(before), list(after)
    base = {} if restarted(before, after) else counters(before)
    return {series: value - base.get(series, 0.0) for series, value in counters(after).items()}


def _series(sample: Sample) -> Series:
    return sample.name, tuple(sorted(sample.labels.items()))
