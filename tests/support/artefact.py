# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users install: the tarball that ``ansible-galaxy collection build`` makes of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT


def galaxy(*arguments: str, cwd: Path) -> None:
    """Run ``ansible-galaxy collection`` as somebody who has no checkout."""
    command = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", *arguments]
    # With the checkout's configuration, galaxy would find the collection installed already.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    finished = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def build(folder: Path) -> Path:
    """Build the artefact into a folder and return its path."""
    galaxy("build", "--output-path", str(folder), str(ROOT), cwd=folder)
    (tarball,) = folder.glob("llmops-platform-*.tar.gz")
    return tarball
