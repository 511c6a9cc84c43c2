# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of the lab whose record is lost, found by what they run and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from .components import CONTROL_PLANE, COREDNS, ETCD, KWOK, MONITORS, NETWORK_POLICIES
from .daemons import DaemonTable, Process, end, processes
from .steps import Progress, Step

_PROGRAMS = frozenset(
    {
        *(
            name
            for component in (CONTROL_PLANE, ETCD, KWOK, COREDNS, NETWORK_POLICIES, MONITORS)
            for name in component.packages
        ),
        "containerd",
        "postgres",
        "prometheus",
        "redis-server",
        # Debian's redis-server is a link to this one.
        "redis-check-rdb",
    }
)


@dataclass(frozen=True)
class StraysStep(Step):
    """No process of the lab runs without a record: it would hold the ports of its successor.

    A run that was killed between starting a process and writing its record leaves one.
    """

    folder: Path
    table: DaemonTable
    name: str = "strays"

    def pending(self) -> str:
        """Name the strays."""
        found = [f"{Path(stray.executable).name} ({stray.identity.pid})" for stray in self._found()]
        return f"run without a record: {', '.join(found)}" if found else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """End them."""
        for stray in self._found():
            end(stray.identity)

    def _found(self) -> Iterator[Process]:
        recorded = [self.table.identity(name) for name in self.table.names()]
        prefix = f"{self.folder}/"
        for process in processes():
            if (
                Path(process.executable).name in _PROGRAMS
                and any(prefix in word for word in process.argv)
                # A shim reports events through a containerd that lives for a moment.
                and "publish" not in process.argv
                and process.identity not in recorded
            ):
                yield process
