# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a command and measuring it, and the rows that come out of it."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds by the clock, and CPU seconds of the process and all its descendants."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Row:
    """One line of the result. ``ratio`` is ours divided by the peer's.

    Below 1, ours is the better one; of rates (unit ``1/s``) above 1.
    """

    name: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's, where both were measured."""
        return self.ours / self.peer if self.ours is not None and self.peer else None

    def as_json(self) -> dict[str, str | float | None]:
        """Return the row for ``build/bench.json``."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": _rounded(self.ours),
            "peer": _rounded(self.peer),
            "ratio": _rounded(self.ratio),
            "peer_name": self.peer_name,
        }


class RunFailedError(Exception):
    """A measured command failed: its figures would be worthless."""


def measure(argv: Sequence[str], log: Path, cwd: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end, with its output in ``log``; fail if it fails.

    CPU time is what the kernel charges to the process and to every descendant that was waited for. Ansible
    waits for its workers, and these for their modules and for Helm.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-4000:]
        raise RunFailedError(f"{' '.join(argv)} ended with {process.returncode} ({log}):\n{tail}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime)


def middle(figures: Sequence[float]) -> float | None:
    """Return the median, or ``None`` where nothing was measured."""
    return median(figures) if figures else None


def _rounded(value: float | None) -> float | None:
    """Keep what matters of large figures and of small ones, such as a fraction of a millisecond."""
    if value is None or value == 0:
        return value
    return round(value, max(3, 3 - math.floor(math.log10(abs(value)))))
