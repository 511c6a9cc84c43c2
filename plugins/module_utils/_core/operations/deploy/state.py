# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment is decided from: one plain value, and what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LockIs(StrEnum):
    """Who may change the target."""

    UNUSED = "unused"  #: no registry, so no lock but Helm's own
    FREE = "free"
    OURS = "ours"
    THEIRS = "theirs"


class ReleaseIs(StrEnum):
    """What Helm's newest record says."""

    ABSENT = "absent"
    DEPLOYED = "deployed"
    FAILED = "failed"
    PENDING = "pending"  #: a helm is, or was, in the middle of it
    UNINSTALLING = "uninstalling"


#: The status of a row that is not there.
NO_ROW = "absent"


@dataclass(frozen=True)
class Wanted:
    """What a run is for. A model server that is to be absent is neither verified nor registered."""

    present: bool = True
    verifies: bool = True
    registers: bool = True


@dataclass(frozen=True)
class State:
    """Where a target stands. What this run has done itself is part of it; nothing is remembered after it."""

    lock: LockIs = LockIs.UNUSED
    release: ReleaseIs = ReleaseIs.ABSENT
    on_record: bool = False  #: Helm's record is deployed, and is what would be rendered now
    drifted: bool = False  #: somebody changed on the cluster what is on record
    serves: bool = False  #: pods are there that can answer
    rolled_out: bool = False  #: exactly the wanted pods are ready
    row: str = NO_ROW  #: status of the registry's row
    announced: bool = False  #: clients are sent nowhere else while the model is away
    planned: bool = False  #: this run knows how pods are replaced
    room: bool = False  #: this run has seen room for the pods that the change makes
    interrupts: bool = False  #: the change takes the model away, known once it is planned
    verified: bool = False  #: a completion was answered in this run
    registered: bool = False  #: this run has seen to it that the row says what is there
    needs_lock: bool = False  #: a write was refused because somebody else is at work

    @property
    def in_sync(self) -> bool:
        """Tell whether Helm has nothing to do."""
        return self.on_record and not self.drifted
