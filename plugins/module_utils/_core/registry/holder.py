# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a lock: a person, a machine and, where it can be known, the process that the run lives in."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ..common.actor import awx_job

_STATE, _START_TIME = 0, 19  #: fields of /proc/PID/stat, counted after the program's name
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Holder:
    """A run that holds, or held, a lock. ``process_started`` tells processes of the same number apart."""

    name: str
    host: str | None = None
    pid: int | None = None
    process_started: str | None = None
    job: str | None = None

    @classmethod
    def here(cls, name: str, pid: int | None) -> Holder:
        """Describe a run on this machine.

        ``pid`` is the process that lives as long as the run; None where only a part of the run is known, such
        as a module that ends with its task.
        """
        started = process_identity(pid) if pid is not None else None
        return cls(name, platform.node() or None, pid if started else None, started, awx_job())

    def is_gone(self) -> bool:
        """Tell whether the run is certainly over, because its process ended.

        False wherever that cannot be seen from here: another machine, another container, no ``/proc``.
        """
        if self.pid is None or not self.process_started:
            return False
        where = self.process_started.rpartition(" ")[0]
        if not where or where != _pid_space():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            # It is there and belongs to somebody else.
            pass
        now = process_identity(self.pid)
        if now is None:
            # It ended just now, or this user may not look at it.
            return False
        return now != self.process_started or _state(self.pid) in _ENDED

    def __str__(self) -> str:
        job = f", AWX job {self.job}" if self.job else ""
        process = f", process {self.pid}" if self.pid is not None else ""
        return f"{self.name}{process}{job}"


def process_identity(pid: int) -> str | None:
    """Return what no other process ever shares: where numbers of processes count, and when this one started.

    None where the system does not tell.
    """
    space, fields = _pid_space(), _stat(pid)
    return f"{space} {fields[_START_TIME]}" if space and fields else None


def _pid_space() -> str | None:
    """Return which boot of which kernel, and which container: a pid means something within these only."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[_STATE] if fields else ""


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name stands in brackets and may hold anything.
    return text.rpartition(")")[2].split()
