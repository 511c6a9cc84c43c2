# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's artefact, as users install it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.playbooks import ROOT


def built_artefact(folder: Path) -> Path:
    """Make the artefact in the folder, some ten seconds, and return its path."""
    finished = subprocess.run(
        [str(ROOT / "scripts/build"), str(folder)],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return Path(finished.stdout.strip().splitlines()[-1])
