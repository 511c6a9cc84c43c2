# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes belong to a run, and what everybody on the machine can see of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.playbooks import RunningPlay


def processes_of(run: RunningPlay) -> dict[int, str]:
    """Return the processes of a run and their command lines, whatever their group or parent is now."""
    mark = f"LLMOPS_TEST_EVENTS={run.events}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            if mark in environment and b"State:\tZ" not in (folder / "status").read_bytes():
                found[int(folder.name)] = command_line(folder)
        except OSError:
            continue
    return found


def command_line(folder: Path) -> str:
    """Return the command line of a process as ``ps`` shows it."""
    return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


@contextmanager
def paused(run: RunningPlay) -> Iterator[None]:
    """Stop the processes of a run, but for helm, and let them go on at the end."""
    stopped = [pid for pid, line in processes_of(run).items() if "ansible-playbook" in line]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
