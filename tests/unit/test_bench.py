# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark measures what it says."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.bench.load import Sample
from tests.bench.measure import Cost, Row, RunFailedError, measure, middle
from tests.bench.rollbacks import HELM, OURS, PEER, Rollbacks

# A grandchild that burns a third of a second of CPU time.
BURN = "import time\nend = time.process_time() + 0.33\nwhile time.process_time() < end: pass"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"


def test_cpu_time_of_descendants_counts(tmp_path: Path) -> None:
    cost = measure([sys.executable, "-c", NESTED], tmp_path / "log", tmp_path, os.environ)
    assert 0.33 <= cost.cpu_s < 2
    assert cost.wall_s >= 0.33


def test_a_failed_run_is_no_measurement(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no room')"]
    with pytest.raises(RunFailedError, match="no room"):
        measure(argv, tmp_path / "log", tmp_path, os.environ)


def test_rows() -> None:
    row = Row("deploy_10_wall", "s", 5.0, 20.0, "peer").as_json()
    assert row == {
        "name": "deploy_10_wall",
        "unit": "s",
        "ours": 5.0,
        "peer": 20.0,
        "ratio": 0.25,
        "peer_name": "peer",
    }
    assert Row("deploy_1_wall", "s", 5.0, None, "peer").ratio is None
    assert middle([3.0, 1.0, 2.0]) == 2.0
    assert middle([]) is None


def test_rows_of_rollbacks_take_off_the_models_own_start() -> None:
    nothing: Any = None
    measured = Rollbacks(nothing, Path("peer"), Path("generator"), Path("logs"), print)
    for way, seconds, failed in ((OURS, 9.0, 0), (PEER, 13.0, 2), (HELM, 7.0, 1)):
        measured.costs[5, way] = [Cost(seconds, 2.0)]
        measured.streams[5, way] = Sample(failures=Counter({"no answer": failed}))
    rows = {row.name: (row.ours, row.peer, row.ratio) for row in measured.rows(5)}
    assert rows["rollback_5_wall"] == (9.0, 13.0, 9 / 13)
    assert rows["rollback_5_beyond"] == (4.0, 8.0, 0.5)
    assert rows["rollback_5_beyond_helm"] == (4.0, 2.0, 2.0)
    assert rows["rollback_5_failed_streams"] == (0.0, 2.0, 0.0)
    assert rows["rollback_5_failed_streams_helm"] == (0.0, 1.0, 0.0)
