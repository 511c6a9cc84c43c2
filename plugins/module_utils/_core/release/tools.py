# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is changed with, and how long each part of that may take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..cluster.client import ClusterClient
from ..cluster.shared_lists import SharedLists
from ..common.deadline import Deadline
from ..common.permit import Permit
from ..helm.binary import Helm
from .plan import Plan

_DEFAULT_ROLLOUT_MARGIN_S = 60.0


@dataclass
class Tools:
    """What a release is changed with. ``client`` and ``helm`` ask ``permit`` just before they write."""

    client: ClusterClient
    helm: Helm
    progress: Callable[[str], None]
    permit: Permit = field(default_factory=Permit)
    lists: SharedLists | None = None  #: of nodes and pods, shared with others of the same run
    run_folder: Path | None = None  #: of the run of the playbook, which only its user may read
    #: Told which part of the work begins, and the seconds that the whole is expected to take.
    phase: Callable[[str, float | None], None] = lambda name, expected_s: None
    reason: str = ""  #: why it is changed, for Helm's history

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change pods meanwhile: what is known of the cluster's room is not true any more."""
        lists = self.lists
        if lists is not None:
            lists.forget()
        try:
            yield
        finally:
            if lists is not None:
                lists.forget()

    def obey(self, permit: Permit) -> None:
        """Write only with this permission from now on."""
        self.permit = permit
        self.client.obey(permit)
        self.helm.obey(permit)


@dataclass(frozen=True)
class Waits:
    """One deadline, and how much of it each part may take at most, in seconds."""

    total: Deadline = field(default_factory=lambda: Deadline(math.inf))
    capacity_s: float = 600.0
    helm_s: float = 300.0  #: each command of helm
    rollout_s: float | None = None  #: default: the chart's progress deadline for each turn, and a minute
    removal_s: float = 600.0  #: an uninstall and the end of its pods
    takeover_s: float = 30.0  #: a pending release untouched for so long was left by a run that died

    def helm(self) -> Deadline:
        """Start the deadline of a command of helm."""
        return self.total.share(self.helm_s)

    def rollout(self, plan: Plan) -> Deadline:
        """Start the deadline of a rollout."""
        if self.rollout_s is not None:
            return self.total.share(self.rollout_s)
        progress_deadline = float(plan.wanted.deployment["spec"].get("progressDeadlineSeconds", 600))
        # The Deployment's deadline starts anew with each pod that becomes ready; this one does not.
        return self.total.share(progress_deadline * plan.turns + _DEFAULT_ROLLOUT_MARGIN_S)
