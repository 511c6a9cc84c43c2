# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time: a lock on a file, which the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .steps import Progress


@contextmanager
def locked(path: Path, does: str, has_done: str, progress: Progress, deadline: Deadline) -> Iterator[IO[str]]:
    """Hold the lock of a file and yield the open file; who comes second waits, and is told so.

    ``does`` and ``has_done`` say what the other run is about ("is changing this lab", "has held its lock").
    Raises ``locked`` at the deadline.
    """
    with path.open("a") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress(f"another run {does}; waiting for it")
                    told = True
                if deadline.expired():
                    raise PlatformError(
                        ErrorClass.LOCKED,
                        f"Another run {has_done} for {deadline.seconds:g} s.",
                        f"See who: fuser -v {path}.",
                    ) from None
                deadline.pause(0.5)
        yield file
