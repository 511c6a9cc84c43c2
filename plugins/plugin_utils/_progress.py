# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a task that is still running to a callback: what it is at, as it happens. Private to this collection.

Ansible tells callbacks when a task begins and ends, and nothing between. A callback that wants to know more
listens at a socket in the folder that Ansible makes for a run and removes after it; the action plugins look
whether it is there.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = "progress"
#: Characters of a line; a datagram has to fit into the buffers of a socket.
_LONGEST = 4000
#: Seconds that a task waits for a callback that does not read.
_PATIENCE = 0.2


@dataclass(frozen=True)
class Progress:
    """What a host's task is at: a line, or the phase that begins, with the seconds that all may take."""

    host: str
    line: str = ""
    phase: str = ""
    expected_s: float | None = None


def send(folder: Path, progress: Progress) -> bool:
    """Tell the callback that listens in this folder, and say whether one does."""
    path = folder / _NAME
    if not path.exists():
        return False
    told = {**asdict(progress), "line": progress.line[:_LONGEST]}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.settimeout(_PATIENCE)
            way.sendto(json.dumps(told).encode(), str(path))
    except OSError:
        # It has gone, or does not read.
        return False
    return True


class Listener:
    """Where a callback hears of it. Raises OSError where the folder's path is too long for a socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._folder = folder
        try:
            self._socket.bind(str(folder / _NAME))
        except OSError:
            self._socket.close()
            raise

    def receive(self, timeout: float) -> Progress | None:
        """Return what comes next; None if nothing comes within the timeout, in seconds."""
        self._socket.settimeout(timeout)
        try:
            content = self._socket.recv(65536)
        except TimeoutError:
            return None
        return Progress(**json.loads(content))

    def wake(self) -> None:
        """End a wait for what comes next, of another thread, at once."""
        send(self._folder, Progress(""))

    def close(self) -> None:
        """Listen no more."""
        (self._folder / _NAME).unlink(missing_ok=True)
        self._socket.close()
