# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lab is: where its files are, which ports it takes, how many nodes it has."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

NODE_NAME = "lab-node"
MODEL_SERVER_IMAGE = "llmops.local/model-server:0.1.0"
#: The same program; a pod's sandbox runs an image by its entry point alone.
PAUSE_IMAGE = "llmops.local/pause:0.1.0"
POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
BRIDGE = "llmops0"
NETWORK = "llmops-lab"
SYSTEM_USER = "llmops-lab"


@dataclass(frozen=True)
class Ports:
    """TCP ports, away from the usual ones, so that the lab lives beside what the machine already runs."""

    api_server: int = 16443
    etcd: int = 12379
    etcd_peer: int = 12380
    etcd_health: int = 12381
    controller_manager: int = 20257
    scheduler: int = 20259
    kubelet: int = 20250
    kubelet_health: int = 20248
    proxy_health: int = 20256
    proxy_metrics: int = 20249
    kwok: int = 20247
    dns: int = 1053
    dns_health: int = 20253
    postgresql: int = 15432
    redis: int = 16379
    prometheus: int = 19090
    monitors: int = 20246


@dataclass(frozen=True)
class PythonService:
    """A service whose image the lab builds: the image's name, and the folder of its sources."""

    image: str
    sources: Path


@dataclass(frozen=True)
class Settings:
    """What the caller asked for and everything that follows from it.

    ``files`` is the ``files`` folder of role lab: Go modules and the source of the model server.
    """

    folder: Path
    files: Path
    real_gpus: int = 32
    fake_nodes: int = 12
    services: tuple[str, ...] = ("postgresql", "redis")
    helm3: bool = False
    network_policies: bool = True
    prometheus: bool = True
    python_services: tuple[PythonService, ...] = ()
    kubeconfig: Path | None = None
    context: str | None = None
    ports: Ports = field(default_factory=Ports)

    @property
    def kubeconfig_path(self) -> Path:
        """Administrator's kubeconfig of the lab."""
        return self.folder / "kubeconfig"

    @property
    def cgroup(self) -> str:
        """Name of the control group of all pods; another lab's has another name."""
        return f"llmops-lab-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def bin(self) -> Path:
        """Links to the programs that people and modules use."""
        return self.folder / "bin"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.folder / "logs"

    @property
    def pki(self) -> Path:
        """Certificates and keys; readable by root only."""
        return self.folder / "pki"

    @property
    def images(self) -> Path:
        """Image archives; each is imported into the node's container runtime at start."""
        return self.folder / "images"

    def path(self, *parts: str) -> Path:
        """Return a path under the lab's folder."""
        return self.folder.joinpath(*parts)


def cache_folder() -> Path:
    """Return where built binaries are kept between labs and checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "llmops-platform"


def node_address() -> str:
    """Return the machine's IPv4 address that pods and the API server use, never loopback.

    A UDP socket that connects sends nothing; it only asks the routing table.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""
