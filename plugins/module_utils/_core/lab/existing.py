# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster that is already there: the lab only checks that it answers, and changes nothing in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import invalid
from .binaries import BinariesStep
from .cluster_objects import LabClient
from .packages import PackagesStep
from .provider import SERVICES, Provider, Report, require_root
from .steps import Progress, Step


class ExistingProvider(Provider):
    """The caller's kubeconfig, the command line tools and, where asked for, PostgreSQL and Redis."""

    name = "existing"
    clients = "samenet"

    @property
    def cluster_kubeconfig(self) -> Path:
        """The caller's own file."""
        return self.settings.kubeconfig or self.settings.kubeconfig_path

    def preflight(self) -> None:
        """A kubeconfig is given and readable; services need root."""
        kubeconfig = self.settings.kubeconfig
        if kubeconfig is None:
            raise invalid(
                "kubeconfig",
                None,
                "is missing",
                "Provider existing, which is also what auto means where it was used before, needs the path "
                "of a kubeconfig. Or choose provider native or kind.",
            )
        if not kubeconfig.is_file():
            raise invalid("kubeconfig", str(kubeconfig), "is not a file", "Give the path of a kubeconfig.")
        if self.settings.services:
            require_root("PostgreSQL and Redis run as a system user of their own")

    def steps(self) -> Sequence[Step]:
        """Return tools, link, check, services."""
        tools = [tool for tool in self.tools if tool.packages]
        return [
            PackagesStep(node=False, services=bool(self.settings.services)),
            BinariesStep(self.cache, tools, tools, self.settings.bin),
            LinkStep(self.settings.kubeconfig_path, self.cluster_kubeconfig),
            AnswersStep(self.client),
            *self.service_steps(),
        ]

    def running(self) -> list[str]:
        """Return the services that run."""
        return [name for name in SERVICES if self.table.identity(name)]

    def stop(self, progress: Progress, deadline: Deadline) -> Report:
        """Stop the services; the cluster is not ours."""
        return Report(self.stop_daemons(SERVICES, progress))


@dataclass(frozen=True)
class LinkStep(Step):
    """``kubeconfig`` in the lab's folder leads to the caller's file, so that paths stay the same."""

    link: Path
    target: Path
    name: str = "kubeconfig"

    def pending(self) -> str:
        """Say whether the link is missing or leads elsewhere."""
        if self.link == self.target:
            return ""
        return "" if self.link.is_symlink() and self.link.readlink() == self.target else "is not linked"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make the link."""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(self.target)


@dataclass(frozen=True)
class AnswersStep(Step):
    """The API server answers, and there is a node. Nothing here can be put right, so it only checks."""

    client: LabClient
    name: str = "cluster"
    needs_api: bool = True

    def pending(self) -> str:
        """Raise the client's error if the API server does not answer."""
        nodes = self.client().get("/api/v1/nodes", {"limit": 1})["items"]
        if not nodes:
            raise invalid("kubeconfig", self.client().server, "has no nodes", "Add a node to the cluster.")
        return ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Never called: ``pending`` returns an empty string or raises."""
