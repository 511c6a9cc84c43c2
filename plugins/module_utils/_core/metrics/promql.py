# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The questions to Prometheus, for the labels that service discovery adds to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

# How old a value may be that Prometheus still shows.
_LOOK_BACK_S = 300
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


def selector(also: Mapping[str, str] | None = None, **labels: str) -> str:
    """Return what selects series by labels, and ``also`` by others; a value may hold anything."""
    labels = {**labels, **(also or {})}
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items()) + "}"


def one_of(name: str, values: Sequence[str]) -> str:
    """Return a matcher for several plain values."""
    return f'{name}=~"{"|".join(values)}"'


def duration(seconds: float) -> str:
    """Return a time as PromQL writes it."""
    return f"{max(1, round(seconds * 1000))}ms" if seconds % 1 else f"{int(seconds)}s"


def counted(
    family: str, ending: str, labels: str, by: Sequence[str], since: datetime, window_s: float
) -> str:
    """Return what a counter of our programs grew by in the window before the question's time.

    ``increase`` extrapolates, and sees no step from nothing to a counter's first value, which for an error
    is often the only one. So it is asked only where a counter was reset or its pod is gone. Else a counter
    that was there before the window has grown by the difference, and one that began in the window (its
    program tells when) by all that it shows.
    """
    name, window = f"{family}{ending}{labels}", duration(window_s)
    before = f"{name} offset {window}"
    young = f"({family}_created{labels} >= {since.timestamp():.3f})"
    # Also resets between the value before the window and the first one in it.
    reset = f"(resets({name}[{duration(window_s + _LOOK_BACK_S)}]) > 0)"
    exact = f"(({name} - {before}) or ({name} and ignoring (le) {young} unless {before})) unless {reset}"
    return f"sum by ({', '.join(by)}) ({exact} or increase({name}[{window}]))"


def mean(name: str, labels: str, window_s: float) -> str:
    """Return a gauge's mean in the window, by pod, for pods that are still there."""
    return f"sum by (pod) (avg_over_time({name}{labels}[{duration(window_s)}]) and {name}{labels})"


def readings(name: str, labels: str, window_s: float) -> str:
    """Return how often a gauge was read in the window, by pod."""
    return f"min by (pod) (count_over_time({name}{labels}[{duration(window_s)}]))"


def now() -> str:
    """Return the server's own time, if it is asked without one."""
    return "vector(time())"


def up(labels: str) -> str:
    """Return who is scraped: 1, or 0 for who cannot be."""
    return f"min by (pod) (up{labels})"
