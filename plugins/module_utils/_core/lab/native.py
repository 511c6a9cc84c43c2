# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab without Docker and without downloads: every part is a process of this machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .addons import FilesStep, coredns, corefile, corefile_content, kwok
from .binaries import BinariesStep
from .certificates import CertificatesStep
from .cluster_objects import JSONObject, ObjectsStep, definitions, dns_objects
from .components import CRDS, DAEMONS, MONITORS, NETWORK_POLICIES, Component
from .control_plane import ControlPlane
from .daemons import DaemonStep, DaemonTable, processes
from .gpus import FakeNodesStep, RealNodeStep
from .images import ImportStep, ModelServerStep
from .network import NetworkStep
from .network_policies import DAEMON, EnforceStep, LetPassStep, enforcer
from .node import Node
from .packages import PackagesStep
from .prometheus import (
    PROMETHEUS,
    TRANSLATOR,
    NoPrometheusStep,
    ProgramsStep,
    Prometheus,
    PrometheusStep,
    rights,
)
from .provider import LOCK, SERVICES, Provider, Report, lock, require_root
from .python_images import PythonImageStep
from .remains import Remains, cgroups_complete, make_cgroups
from .settings import Settings
from .steps import Change, Progress, Step, carry_out
from .strays import StraysStep

_NEEDS_ROOT = "The native lab runs containers and sets up a network"


class NativeProvider(Provider):
    """etcd, API server, controllers, scheduler, one real node, and the services beside the cluster."""

    name = "native"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._node = Node(settings, self.cache, self.address)
        self._control_plane = ControlPlane(settings, self.cache, self.address)
        self._prometheus = Prometheus(settings, self.cache, self.address)
        self._remains = Remains(self._node, settings.cgroup)
        self._strays = StraysStep(settings.folder, self.table)

    def preflight(self) -> None:
        """Root on Linux, an address, and no other kubelet, whose packet filter rules would be ours too."""
        if platform.system() != "Linux":
            raise PlatformError(
                ErrorClass.INVALID,
                f"The native lab needs Linux, this is {platform.system()}.",
                "Use provider kind, or provider existing with a kubeconfig.",
            )
        require_root(_NEEDS_ROOT)
        if not self.address:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                "This machine has no IPv4 route, so pods would have no way to the API server.",
                "Bring a network interface up; no connection to the internet is needed.",
            )
        if (pid := self._other_kubelet()) is not None:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"Another kubelet runs on this machine (pid {pid}).",
                "Use that cluster by provider existing, or stop it.",
            )

    def steps(self) -> Sequence[Step]:
        """Return the parts of the lab, in the order of their start."""
        settings, table, node = self.settings, self.table, self._node
        control_plane = self._control_plane
        return [
            self._strays,
            PackagesStep(node=True, services=bool(settings.services)),
            *([ProgramsStep()] if settings.prometheus else []),
            BinariesStep(self.cache, (*self.tools, *self._daemons()), self.tools, settings.bin),
            ModelServerStep(settings),
            *(PythonImageStep(settings, service) for service in settings.python_services),
            CertificatesStep(settings, self.address),
            FilesStep(self._files),
            *self.service_steps(),
            DaemonStep(table, control_plane.etcd()),
            DaemonStep(table, control_plane.api_server()),
            DaemonStep(table, control_plane.controller_manager()),
            DaemonStep(table, control_plane.scheduler()),
            RemainsStep(table, node, self._remains),
            DaemonStep(table, node.containerd()),
            ImportStep(settings, node.runtime_root / "lab-imported.json", node.load_image),
            CgroupStep(settings.cgroup),
            NetworkStep(),
            # Before the kubelet, so that no pod that it starts goes unjudged.
            *self._network_policies(),
            DaemonStep(table, node.kubelet()),
            DaemonStep(table, node.proxy()),
            ObjectsStep(
                "cluster objects",
                self.client,
                self._objects,
            ),
            DaemonStep(table, coredns(settings, self.cache)),
            DaemonStep(table, kwok(settings, self.cache, self.address, settings.pki / "kwok.kubeconfig")),
            *self._monitoring(),
            FakeNodesStep(self.client, settings.fake_nodes),
            RealNodeStep(
                self.client, settings.real_gpus, kubelet_started=lambda: table.started_at("kubelet")
            ),
        ]

    def facts(self) -> dict[str, Any]:
        """Add where Prometheus answers."""
        facts = super().facts()
        return {**facts, "prometheus_url": self._prometheus.url} if self.settings.prometheus else facts

    def running(self) -> list[str]:
        """Return the daemons that run and what containers have left."""
        names = [name for name in self.table.names() if self.table.identity(name)]
        found = self._remains.found()
        return [*names, *([found] if found else [])]

    def stop(self, progress: Progress, deadline: Deadline) -> Report:
        """Stop every process and take away mounts, network, rules and control groups. Data stays."""
        require_root(_NEEDS_ROOT)
        if not self.settings.path(LOCK).exists():
            return Report()
        with lock(self.settings.path(LOCK), progress, deadline):
            found = self._remains.found()
            changes = self.stop_daemons(
                [TRANSLATOR, PROMETHEUS, "kwok", "coredns", "kube-proxy", "kubelet", "containerd", DAEMON],
                progress,
            )
            changes += carry_out([self._strays], progress, deadline)
            if changes or found:
                self._remains.clear()
                if self._other_kubelet() is None:
                    # The rules and the bridge have the same names in every lab.
                    self._remains.clear_network()
                progress(f"containers: cleared away ({found or 'nothing was left'})")
            self._remains.remove_cgroups()
            if found:
                changes.append(Change("containers", f"cleared away {found}"))
            order = ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd", *SERVICES]
            changes += self.stop_daemons(order, progress)
        return Report(changes)

    def _other_kubelet(self) -> int | None:
        """Return the pid of a kubelet that is not this lab's."""
        ours = f"--root-dir={self._node.kubelet_root}"
        for process in processes():
            if Path(process.executable).name == "kubelet" and ours not in process.argv:
                return process.identity.pid
        return None

    def _daemons(self) -> Sequence[Component]:
        settings = self.settings
        return (
            *DAEMONS,
            *((NETWORK_POLICIES,) if settings.network_policies else ()),
            *((MONITORS,) if settings.prometheus else ()),
        )

    def _network_policies(self) -> Sequence[Step]:
        if not self.settings.network_policies:
            return [LetPassStep(self.table)]
        return [DaemonStep(self.table, enforcer(self.settings, self.cache)), EnforceStep(self.settings)]

    def _monitoring(self) -> Sequence[Step]:
        server = self._prometheus
        if not self.settings.prometheus:
            return [NoPrometheusStep(self.table, self.client, server)]
        return [PrometheusStep(self.table, server), DaemonStep(self.table, server.translator())]

    def _objects(self) -> Iterator[JSONObject]:
        yield from definitions(self.cache.data(CRDS))
        yield from dns_objects(self.settings, self.address)
        if self.settings.prometheus:
            yield from rights()

    def _files(self) -> dict[Path, str]:
        return {
            **self._control_plane.files(),
            **self._node.files(),
            corefile(self.settings): corefile_content(self.settings, self.address),
        }


@dataclass(frozen=True)
class RemainsStep(Step):
    """Containers that nobody looks after any more are cleared away before the runtime starts.

    While a shim lives, containerd takes its containers over, and nothing is cleared.
    """

    table: DaemonTable
    node: Node
    remains: Remains
    name: str = "remains of a hard stop"

    def pending(self) -> str:
        """Say what is left behind, if containerd is down and cannot take it over."""
        if self.table.identity("containerd") is not None or self.remains.shims():
            return ""
        return self.remains.found()

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Clear it away; the kubelet makes the pods anew."""
        self.table.stop("kubelet")
        self.remains.clear()
        self.remains.clear_network()


@dataclass(frozen=True)
class CgroupStep(Step):
    """The control group that holds all pods."""

    cgroup: str
    name: str = "control group"

    def pending(self) -> str:
        """Say whether it is missing."""
        return "" if cgroups_complete(self.cgroup) else "is missing"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make it."""
        make_cgroups(self.cgroup)
