# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CoreDNS and KWOK: daemons beside the cluster that work through its API."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..common.deadline import Deadline
from .binaries import BinaryCache
from .components import COREDNS, KWOK
from .daemons import Daemon
from .filesystem import differs, write_if_changed
from .gpus import FAKE_ANNOTATION
from .health import http_check
from .settings import CLUSTER_DOMAIN, Settings
from .steps import Progress, Step

_COREFILE = """\
.:{port} {{
    bind {address}
    errors
    health 127.0.0.1:{health}
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig} llmops-lab
        pods insecure
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }}
    forward . /etc/resolv.conf
    # Short: a Service that was just made must be found at once.
    cache 30 {{
        success 10000 5
        denial 1000 1
    }}
    loadbalance
}}
"""


def corefile(settings: Settings) -> Path:
    """Return the path of CoreDNS's configuration."""
    return settings.path("etc", "Corefile")


def corefile_content(settings: Settings, address: str) -> str:
    """Return CoreDNS's configuration: cluster names from the API, all others from the machine's resolver."""
    return _COREFILE.format(
        port=settings.ports.dns,
        address=address,
        health=settings.ports.dns_health,
        domain=CLUSTER_DOMAIN,
        kubeconfig=settings.pki / "coredns.kubeconfig",
    )


def coredns(settings: Settings, cache: BinaryCache) -> Daemon:
    """Return CoreDNS; pods reach it through the Service ``kube-dns``."""
    return Daemon(
        "coredns",
        [str(cache.program(COREDNS, "coredns")), "-conf", str(corefile(settings))],
        partial(http_check, settings.ports.dns_health, "/health"),
        inputs=[corefile(settings), settings.pki / "coredns.kubeconfig"],
        follows="kube-apiserver",
        ports=[settings.ports.dns, settings.ports.dns_health],
    )


def kwok(settings: Settings, cache: BinaryCache, address: str, kubeconfig: Path) -> Daemon:
    """Return KWOK; it plays the kubelet of the nodes that carry its annotation, and of no other."""
    stages = [f"--config={path}" for path in cache.data(KWOK)]
    return Daemon(
        "kwok",
        [
            str(cache.program(KWOK, "kwok")),
            f"--kubeconfig={kubeconfig}",
            f"--manage-nodes-with-annotation-selector={FAKE_ANNOTATION}=fake",
            "--manage-all-nodes=false",
            # Pods there have no real address; these ranges are reserved for documentation.
            "--cidr=198.18.0.0/15",
            f"--node-ip={address}",
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{settings.ports.kwok}",
            *stages,
        ],
        partial(http_check, settings.ports.kwok, "/healthz"),
        inputs=[kubeconfig],
        follows="kube-apiserver",
        ports=[settings.ports.kwok],
    )


class FilesStep(Step):
    """Configuration files that daemons read; a daemon whose file changed is restarted by its own step."""

    name = "configuration files"

    def __init__(self, files: Callable[[], dict[Path, str]]) -> None:
        self._files = files

    def pending(self) -> str:
        """Name the files that differ."""
        names = [path.name for path, content in self._files().items() if differs(path, content)]
        return f"missing or different: {', '.join(names)}" if names else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Write them."""
        for path, content in self._files().items():
            write_if_changed(path, content)
