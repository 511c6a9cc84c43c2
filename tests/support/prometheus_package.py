# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' programs, and where they come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def prometheus_program(name: str) -> Path:
    """Return a program: the installed one, else that of Debian's package, kept in the user's cache."""
    installed = shutil.which(name)
    if installed:
        return Path(installed)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-platform" / "promtool"
    binary = cache / "usr/bin" / name
    if not binary.exists():
        assert shutil.which("apt-get"), f"install {name} (it comes with Prometheus), then run again"
        cache.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked, not installed: the package would start a server.
        with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
            subprocess.run(["apt-get", "-qq", "download", "prometheus"], cwd=folder, check=True, timeout=300)
            (package,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg", "--extract", str(package), str(cache)], check=True, timeout=60)
    return binary
