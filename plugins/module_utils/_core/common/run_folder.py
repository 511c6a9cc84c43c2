# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of a run, through which its workers tell each other what one of them has found out.

Only its user may read it, and it is gone when the run is.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.02


def find_once(folder: Path | None, what: str, find: Callable[[], str], patience_s: float) -> str:
    """Return what a worker of this run has found under the name ``what``, or find it.

    Who waits longer than ``patience_s`` for another, or has no folder, finds it for itself. What raises is
    not kept.
    """
    if folder is None:
        return find()
    kept = folder / f"llmops-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    with locked(kept.with_suffix(".lock"), patience_s):
        if kept.exists():
            return kept.read_text(encoding="utf-8")
        found = find()
        new = kept.with_suffix(f".{uuid.uuid4().hex}")
        new.write_text(found, encoding="utf-8")
        new.replace(kept)
        return found


@contextmanager
def locked(path: Path, patience_s: float) -> Iterator[bool]:
    """Take the lock of a file, which ends with its process; give up after a while, and tell so."""
    deadline = time.monotonic() + patience_s
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(_PAUSE_S)
            else:
                yield True
                return
