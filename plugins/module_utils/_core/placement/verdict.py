# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answer of a capacity check, and what it is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .occupancy import Occupancy
from .quota import QuotaFinding
from .scheduling import Misfit, PodShape
from .volumes import ClaimRules


@dataclass
class Verdict:
    """The answer.

    ``verdict`` is ``fits``, ``no_room``, ``never_fits``, or ``fits_by_preemption`` or
    ``fits_after_termination`` where there would be room if others went.
    """

    verdict: str
    replicas: int
    #: How many replicas find a place now, at most ``replicas``
    placeable: int
    message: str
    resolution: str
    #: False where the answer depends on which node the scheduler happens to prefer
    exact: bool
    resource: str | None
    needs: dict[str, str]
    api: dict[str, Any]
    nodes_total: int
    nodes_fit: list[dict[str, Any]] = field(default_factory=list)
    nodes_excluded: list[dict[str, Any]] = field(default_factory=list)
    excluded_by: dict[str, int] = field(default_factory=dict)
    holders: list[dict[str, Any]] = field(default_factory=list)
    quota: list[dict[str, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    terminating: list[dict[str, Any]] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)
    preemption: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether all replicas are placed now, without evicting anybody."""
        return self.verdict == "fits"

    @property
    def permanent(self) -> bool:
        """Whether waiting cannot help: somebody must change the configuration or the cluster."""
        return self.verdict == "never_fits"

    @property
    def reason(self) -> str:
        """Message and resolution in one text."""
        return f"{self.message} {self.resolution}".strip()

    def summary(self) -> dict[str, Any]:
        """Return the verdict without its lists of nodes and pods, which may have thousands of lines."""
        shown = (
            "verdict message resolution replicas placeable resource needs nodes_total excluded_by"
            " fits permanent"
        )
        return {name: getattr(self, name) for name in shown.split()}

    def as_result(self) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "warnings"}
        return {**shown, "fits": self.fits, "permanent": self.permanent}


@dataclass
class Assessment:
    """Everything that was found out; the report is written from it."""

    shape: PodShape
    replicas: int
    occupancy: Occupancy
    claims: ClaimRules
    quota: QuotaFinding
    refusals: list[str]
    api: dict[str, Any]
    exact: bool = True
    #: Nodes that may be used (in principle) -> room now; and why others may not, or have none
    room: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, Misfit] = field(default_factory=dict)
    placeable: int = 0
    placeable_after_termination: int = 0
    placeable_by_preemption: int = 0
    placeable_when_empty: int = 0
    preemption_nodes: list[str] = field(default_factory=list)
