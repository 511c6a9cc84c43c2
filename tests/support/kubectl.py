# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kubectl``, the judge that users know."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against the lab."""

    binary: Path
    kubeconfig: str

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Return what kubectl wrote, failed or not."""
        return subprocess.run(
            [str(self.binary), "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=120,
        )
