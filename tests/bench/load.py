# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load from the Go program beside this file, and the figures that come out of it."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import RunFailedError
from tests.support.playbooks import ROOT

SOURCE = ROOT / "tests/bench/load_generator"


@dataclass
class Sample:
    """What one target did under one load, over all runs. Latencies are seconds; none is left out."""

    seconds: float = 0.0
    generator_cpu_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    first_event_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies_s) / self.seconds

    def add(self, other: Sample) -> None:
        """Add another run."""
        self.seconds += other.seconds
        self.generator_cpu_s += other.generator_cpu_s
        self.latencies_s += other.latencies_s
        self.first_event_s += other.first_event_s
        self.failures += other.failures


def build(folder: Path) -> Path:
    """Build the load generator; Go's cache makes repeats quick."""
    binary = folder / "load_generator"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=SOURCE, env=environment, check=True)
    return binary


def put_load(
    binary: Path,
    url: str,
    body: Path,
    connections: int,
    duration_s: float,
    *,
    key: str = "",
    events: int = 0,
    warm_up_s: float = 0.4,
) -> Sample:
    """Keep ``connections`` requests under way for a while; each stream must have ``events`` events."""
    command = [str(binary), "-url", url, "-body", str(body), "-connections", str(connections)]
    command += ["-duration", f"{duration_s}s", "-warm-up", f"{warm_up_s}s", "-events", str(events)]
    command += ["-key", key] if key else []
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailedError(f"the load generator ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    return Sample(
        seconds=report["seconds"],
        generator_cpu_s=report["cpu_s"],
        latencies_s=[value / 1e6 for value in report["latencies_us"] or []],
        first_event_s=[value / 1e6 for value in report["first_us"] or []],
        failures=Counter(report["failures"]),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
