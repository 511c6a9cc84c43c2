# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection ``awx.awx``, out of the package ``ansible``: Galaxy cannot be reached from everywhere."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: The last release of the package that has it in its version 24.6.1.
PACKAGE = "ansible==12.3.0"
_WANTED = "ansible_collections/awx/awx/"


def awx_collections() -> Path:
    """Return a collections path with ``awx.awx`` and nothing else, made once for all checkouts."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmops-platform"
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / f"awx-collection-{PACKAGE.partition('==')[2]}"
    with (cache / "awx-collection.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                _download(Path(folder))
                shutil.move(Path(folder) / "collections", made)
    return made


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(_WANTED)]
        archive.extractall(folder / "collections", members)
