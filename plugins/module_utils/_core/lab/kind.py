# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab in Docker: the cluster is made by kind; KWOK, PostgreSQL and Redis run beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .addons import kwok
from .binaries import BinariesStep
from .cluster_objects import ObjectsStep, definitions
from .commands import run
from .components import CRDS, KWOK
from .daemons import DaemonStep
from .filesystem import write_if_changed
from .gpus import FakeNodesStep, RealNodeStep
from .images import ImportStep, ModelServerStep
from .packages import PackagesStep
from .provider import LOCK, SERVICES, Provider, Report, lock, require_root
from .python_images import PythonImageStep
from .settings import Settings
from .steps import Change, Progress, Step

CLUSTER = "llmops-lab"
NODE = f"{CLUSTER}-control-plane"


def docker_problem() -> str:
    """Say why a kind cluster cannot be had here, or return an empty string."""
    for program in ("docker", "kind"):
        if not shutil.which(program):
            return f"{program} is not installed"
    answer = run(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=20, check=False)
    return "" if answer.returncode == 0 else f"Docker does not answer: {answer.stderr.strip()[:200]}"


def cluster_configuration() -> str:
    """Return kind's configuration: one node that takes GPU pods, and as many pods as the native lab."""
    kubelet = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "maxPods": 250,
        "serializeImagePulls": False,
    }
    return json.dumps(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": CLUSTER,
            "nodes": [
                {
                    "role": "control-plane",
                    "labels": {"node-type": "gpu", "llmops.platform/lab": "true"},
                    "kubeadmConfigPatches": [json.dumps(kubelet)],
                }
            ],
        },
        indent=1,
    )


class KindProvider(Provider):
    """A kind cluster whose node advertises GPUs, fake nodes beside it."""

    name = "kind"
    clients = "samenet"

    def preflight(self) -> None:
        """Docker answers and kind is there; services need root."""
        if problem := docker_problem():
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"Provider kind cannot be used: {problem}.",
                "Install Docker and kind (https://kind.sigs.k8s.io), or use provider native (root on Linux) "
                "or existing (a kubeconfig).",
            )
        if self.settings.services:
            require_root("PostgreSQL and Redis run as a system user of their own")

    def steps(self) -> Sequence[Step]:
        """Return the parts of the lab, in the order of their start."""
        settings = self.settings
        record = settings.path("kind", "imported.json")
        return [
            PackagesStep(node=False, services=bool(settings.services)),
            BinariesStep(self.cache, (*self.tools, KWOK), self.tools, settings.bin),
            ModelServerStep(settings),
            *(PythonImageStep(settings, service) for service in settings.python_services),
            *self.service_steps(),
            ClusterStep(settings, record),
            ImportStep(settings, record, load_image),
            ObjectsStep("cluster objects", self.client, lambda: definitions(self.cache.data(CRDS))),
            DaemonStep(self.table, kwok(settings, self.cache, self.address, settings.kubeconfig_path)),
            FakeNodesStep(self.client, settings.fake_nodes),
            RealNodeStep(self.client, settings.real_gpus, NODE),
        ]

    def running(self) -> list[str]:
        """Return the daemons that run, and the cluster."""
        names = [name for name in ("kwok", *SERVICES) if self.table.identity(name)]
        return [*names, *(["kind cluster"] if not docker_problem() and CLUSTER in clusters() else [])]

    def stop(self, progress: Progress, deadline: Deadline) -> Report:
        """Delete the cluster and stop what runs beside it."""
        if not self.settings.path(LOCK).exists():
            return Report()
        with lock(self.settings.path(LOCK), progress, deadline):
            changes = self.stop_daemons(["kwok", *SERVICES], progress)
            if not docker_problem() and CLUSTER in clusters():
                run(["kind", "delete", "cluster", "--name", CLUSTER], timeout=120)
                changes.append(Change("kind cluster", "deleted"))
            shutil.rmtree(self.settings.path("kind"), ignore_errors=True)
        return Report(changes)


@dataclass(frozen=True)
class ClusterStep(Step):
    """The kind cluster itself. One whose containers were stopped is made anew: kind cannot start it again."""

    settings: Settings
    import_record: Path
    name: str = "kube-apiserver"

    def pending(self) -> str:
        """Say whether the cluster is missing or stopped."""
        if CLUSTER not in clusters():
            return "there is no kind cluster"
        state = run(["docker", "inspect", "--format", "{{.State.Running}}", NODE], check=False)
        if state.stdout.strip() != "true":
            return "the node's container is stopped"
        return "" if self.settings.kubeconfig_path.exists() else "no kubeconfig"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Create it, or only write its kubeconfig."""
        kubeconfig = ["--name", CLUSTER, "--kubeconfig", str(self.settings.kubeconfig_path)]
        if self.pending() == "no kubeconfig":
            run(["kind", "export", "kubeconfig", *kubeconfig])
            return
        if CLUSTER in clusters():
            run(["kind", "delete", "cluster", "--name", CLUSTER], timeout=120)
        self.import_record.unlink(missing_ok=True)
        self.settings.kubeconfig_path.unlink(missing_ok=True)
        configuration = self.settings.path("kind", "cluster.json")
        write_if_changed(configuration, cluster_configuration())
        run(
            ["kind", "create", "cluster", *kubeconfig, "--config", str(configuration), "--wait", "120s"],
            timeout=deadline.share(900).remaining(),
        )


def clusters() -> list[str]:
    """Return the names of the kind clusters of this machine."""
    return run(["kind", "get", "clusters"]).stdout.split()


def load_image(archive: Path) -> None:
    """Load an image archive into the cluster's node."""
    run(["kind", "load", "image-archive", str(archive), "--name", CLUSTER], timeout=300)
