# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of a run, through which its workers tell each other what one of them has found out.

Only its user may read it, and it is gone when the run is. It is a short cut and no more: where it cannot be
used, because it is full, gone, or knows no locks, everybody finds out for themselves.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PAUSE_S = 0.02


def find_once(folder: Path | None, what: str, find: Callable[[], str], patience_s: float) -> str:
    """Return what a worker of this run has found under the name ``what``, or find it.

    Who waits longer than ``patience_s`` for another finds it for itself. What raises is not kept.
    """
    if folder is None:
        return find()
    kept = folder / f"llmops-{digest(what)}"
    found = _read(kept)
    if found is None:
        deadline = time.monotonic() + patience_s
        with locked(kept.with_suffix(".lock"), lambda: time.monotonic() < deadline):
            found = _read(kept)
            if found is None:
                found = find()
                with suppress(OSError):
                    keep(kept, found)
    return found


@contextmanager
def locked(path: Path, is_worth_waiting: Callable[[], bool]) -> Iterator[bool]:
    """Take the lock of a file, which ends with its process; tell whether it was had."""
    try:
        file = path.open("ab")
    except OSError:
        yield False
        return
    with file:
        yield _lock(file, is_worth_waiting)


def keep(path: Path, text: str) -> None:
    """Write a file that others read meanwhile: they see the old one or the new one."""
    new = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def digest(*parts: str) -> str:
    """Return a name for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def surroundings() -> str:
    """Return a name for the environment variables: a task may have others than the rest of the run."""
    return digest(*(f"{name}={value}" for name, value in sorted(os.environ.items())))


def _lock(file: IO[bytes], is_worth_waiting: Callable[[], bool]) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_worth_waiting():
                return False
            time.sleep(_PAUSE_S)
        except OSError:
            return False
        else:
            return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
