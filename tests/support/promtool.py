# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' own judge of rules, and where it comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def promtool() -> Path:
    """Return promtool: the installed one, else the one of Debian's package, kept in the user's cache."""
    installed = shutil.which("promtool")
    if installed:
        return Path(installed)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-platform" / "promtool"
    binary = cache / "usr/bin/promtool"
    if not binary.exists():
        assert shutil.which("apt-get"), "install promtool (it comes with Prometheus), then run again"
        cache.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked, not installed: the package would start a server.
        with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
            subprocess.run(["apt-get", "-qq", "download", "prometheus"], cwd=folder, check=True, timeout=300)
            (package,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg", "--extract", str(package), str(cache)], check=True, timeout=60)
    return binary
