# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write files so that a crash never leaves half of one, and only when something changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_if_changed(path: Path, content: str | bytes, mode: int = 0o644) -> bool:
    """Write ``content`` with ``mode``, atomically; tell whether the file was different before."""
    data = content.encode() if isinstance(content, str) else content
    if differs(path, data, mode):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        # The mode is set at creation: a secret is never readable by others, not even for a moment.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.chmod(mode)
        temporary.replace(path)
        return True
    return False


def write_to_disk(folder: Path) -> None:
    """Flush a folder of files to the disk, so that a rename of it never outlives its content."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def differs(path: Path, content: str | bytes, mode: int = 0o644) -> bool:
    """Tell whether the file is missing, a link, or has another content or mode."""
    data = content.encode() if isinstance(content, str) else content
    try:
        if path.is_symlink():
            return True
        return path.stat().st_mode & 0o7777 != mode or path.read_bytes() != data
    except OSError:
        return True


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file; an empty one if the file is missing or damaged."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
