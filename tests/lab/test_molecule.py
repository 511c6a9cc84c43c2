# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The molecule scenario passes: converge, idempotence, verify, destroy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.lab import Lab
from tests.support.playbooks import ROOT

# What says why a scenario failed, in a run of a thousand lines.
_TELLING = re.compile(r"^(TASK|fatal|failed|CRITICAL|\* \[)|^ +(msg|error_class):")


def _what_matters(output: str) -> str:
    """The first failure of the last playbook in one line, then all."""
    lines = [line for line in output[output.rfind("] Executing") :].splitlines() if _TELLING.search(line)]
    failures = [n for n, line in enumerate(lines) if line.startswith(("fatal", "failed", "CRITICAL"))]
    return " | ".join(lines[max(0, failures[0] - 1) :][:8] if failures else []) + f"\n{output}"


def test_scenario_deploys_twice_and_the_second_time_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    finished = subprocess.run(
        [str(programs / "molecule"), "test"],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "molecule"),
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, _what_matters(finished.stdout)
    for action in ("converge", "idempotence", "verify", "destroy"):
        assert f"{action}: Executed: Successful" in finished.stdout, finished.stdout
