# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users install: the artefact that ``scripts/build`` makes of this checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.playbooks import ROOT


def build(folder: Path) -> Path:
    """Build the artefact into a folder and return its path."""
    command = [str(ROOT / "scripts/build"), str(folder)]
    finished = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (tarball,) = folder.glob("llmops-platform-*.tar.gz")
    return tarball
