# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who brings a release to the cluster. All that a deployment reads and changes of a release goes this way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..cluster.drift import Drift
from ..helm.storage import ReleaseRecord
from .plan import Plan
from .recorded import Recorded
from .request import ReleaseRequest, ReleaseTarget
from .tools import Tools, Waits


@dataclass(frozen=True)
class Change:
    """A new revision, as it was planned."""

    request: ReleaseRequest
    plan: Plan
    left: str | None = None  #: digest of the manifest that it goes back from, if it does
    recorded: Recorded | None = None  #: what it goes back to, in the place of a chart


class Delivery(Protocol):
    """A way to the cluster. Each method raises where it cannot tell: what is unknown is never absent."""

    @property
    def name(self) -> str:
        """Who it is, for people."""

    def read(self, tools: Tools, target: ReleaseTarget) -> ReleaseRecord | None:
        """Return the newest revision as it is on record, None where there is none."""

    def drift(self, target: ReleaseTarget) -> list[Drift]:
        """Return what the last look found otherwise than it is to be, beside the objects themselves."""

    def managers(self, record: ReleaseRecord) -> tuple[str, ...]:
        """Return whose fields are the release's own; none where what others added cannot be told."""

    def refuse(self, tools: Tools, change: Change) -> None:
        """Raise what would refuse the change. Nothing is changed."""

    def refuse_removal(self, tools: Tools, target: ReleaseTarget, record: ReleaseRecord | None) -> None:
        """Raise what would keep the release from going away. Nothing is changed."""

    def recover(self, tools: Tools, target: ReleaseTarget, waits: Waits, *, chart_name: str) -> None:
        """Put right what a run that died left half done."""

    def upgrade(self, tools: Tools, change: Change, waits: Waits) -> ReleaseRecord | None:
        """Make the revision; return its record. Its pods are on their way then."""

    def uninstall(self, tools: Tools, target: ReleaseTarget, waits: Waits) -> None:
        """Take the release away and see its pods go."""
