# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real node: containerd, kubelet and kube-proxy, with files and sockets of their own."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from ..common.errors import ErrorClass, PlatformError
from .binaries import BinaryCache
from .commands import run
from .components import CONTROL_PLANE
from .daemons import Daemon
from .health import http_check
from .packages import cni_folder, system_program
from .settings import (
    BRIDGE,
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    NETWORK,
    NODE_NAME,
    PAUSE_IMAGE,
    POD_CIDR,
    Settings,
)

_CONTAINERD = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
                    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
                    "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox_image}"
# A machine without CAP_SYS_RESOURCE cannot lower a process's oom_score_adj: runc would fail.
restrict_oom_score_adj = true
tolerate_missing_hugetlb_controller = true
disable_apparmor = true
enable_unprivileged_ports = true
netns_mounts_under_state_dir = true
max_container_log_line_size = 65536

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_bin}"
conf_dir = "{cni_configuration}"
"""


class Node:
    """Builds the node's daemons and configuration files."""

    def __init__(self, settings: Settings, cache: BinaryCache, address: str) -> None:
        self._settings = settings
        self._cache = cache
        self._address = address
        self.runtime_root = settings.path("containerd", "root")
        self.runtime_state = settings.path("containerd", "state")
        self.socket = settings.path("containerd", "containerd.sock")
        self.kubelet_root = settings.path("kubelet")
        self.pod_logs = settings.path("pod-logs")
        self.leases = settings.path("cni", "leases")
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        self._snapshotter = snapshotter(settings.folder, mounts)
        self._cni = settings.path("cni", "net.d")
        self._containerd = settings.path("etc", "containerd.toml")
        self._kubelet = settings.path("etc", "kubelet.json")
        self._proxy = settings.path("etc", "kube-proxy.json")
        self._resolv = settings.path("etc", "resolv.conf")

    def files(self) -> dict[Path, str]:
        """Return the configuration files and their content."""
        return {
            self._containerd: _CONTAINERD.format(
                root=self.runtime_root,
                state=self.runtime_state,
                socket=self.socket,
                sandbox_image=PAUSE_IMAGE,
                snapshotter=self._snapshotter,
                cni_bin=cni_folder() or "/usr/lib/cni",
                cni_configuration=self._cni,
            ),
            self._cni / "10-lab.conflist": json.dumps(self._network(), indent=1),
            self._kubelet: json.dumps(self._kubelet_configuration(), indent=1),
            self._proxy: json.dumps(self._proxy_configuration(), indent=1),
            # Pods with dnsPolicy Default: the machine's own file may name a resolver on loopback.
            self._resolv: f"nameserver {DNS_SERVICE_ADDRESS}\n",
        }

    def containerd(self) -> Daemon:
        """Return the container runtime; its shims, and so the containers, outlive it."""
        return Daemon(
            "containerd",
            [system_program("containerd"), f"--config={self._containerd}", "--log-level=warn"],
            self._runtime_health,
            inputs=[self._containerd, self._cni / "10-lab.conflist"],
        )

    def kubelet(self) -> Daemon:
        """Return the kubelet of the real node."""
        argv = [
            str(self._cache.program(CONTROL_PLANE, "kubelet")),
            f"--config={self._kubelet}",
            f"--kubeconfig={self._settings.pki / 'kubelet.kubeconfig'}",
            f"--root-dir={self.kubelet_root}",
            f"--cert-dir={self.kubelet_root / 'pki'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={self._address}",
            "--node-labels=node-type=gpu,llmops.platform/lab=true",
            "--v=1",
        ]
        return Daemon(
            "kubelet",
            argv,
            partial(http_check, self._settings.ports.kubelet_health, "/healthz"),
            inputs=[
                self._kubelet,
                self._settings.pki / "kubelet.kubeconfig",
                self._settings.pki / "kubelet-server.crt",
            ],
            follows="kube-apiserver",
            ports=[self._settings.ports.kubelet, self._settings.ports.kubelet_health],
        )

    def proxy(self) -> Daemon:
        """Return kube-proxy, in iptables mode."""
        argv = [
            str(self._cache.program(CONTROL_PLANE, "kube-proxy")),
            f"--config={self._proxy}",
            f"--hostname-override={NODE_NAME}",
            "--v=1",
        ]
        return Daemon(
            "kube-proxy",
            argv,
            partial(http_check, self._settings.ports.proxy_health, "/livez"),
            inputs=[self._proxy, self._settings.pki / "kube-proxy.kubeconfig"],
            follows="kube-apiserver",
            ports=[self._settings.ports.proxy_health, self._settings.ports.proxy_metrics],
        )

    def ctr(self, *arguments: str, timeout: float = 60.0) -> str:
        """Call containerd's own client in the namespace of Kubernetes; return its output."""
        return run(["ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments], timeout).stdout

    def load_image(self, archive: Path) -> None:
        """Import an image archive into the runtime."""
        self.ctr("images", "import", "--snapshotter", self._snapshotter, str(archive), timeout=300)

    def _runtime_health(self) -> str:
        if not self.socket.exists():
            return "its socket is not there yet"
        try:
            plugins = self.ctr("plugins", "ls", timeout=10)
        except PlatformError as error:
            if error.error_class in {ErrorClass.INFRASTRUCTURE, ErrorClass.TIMEOUT}:
                return error.message
            raise
        states = {words[1]: words[-1] for words in map(str.split, plugins.splitlines()) if len(words) > 2}
        wrong = [name for name in ("cri", self._snapshotter) if states.get(name) != "ok"]
        return f"plugins do not load: {', '.join(wrong)}" if wrong else ""

    def _network(self) -> dict[str, object]:
        return {
            "cniVersion": "0.4.0",
            "name": NETWORK,
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": BRIDGE,
                    "isGateway": True,
                    "ipMasq": True,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self.leases),
                        "ranges": [[{"subnet": POD_CIDR}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            ],
        }

    def _kubelet_configuration(self) -> dict[str, object]:
        pki, ports = self._settings.pki, self._settings.ports
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self._address,
            "port": ports.kubelet,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": ports.kubelet_health,
            "tlsCertFile": str(pki / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "clusterDNS": [DNS_SERVICE_ADDRESS],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(self._resolv),
            # Both versions of control groups, and machines without systemd.
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._settings.cgroup}",
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "maxPods": 250,
            "podLogsDir": str(self.pod_logs),
            "serializeImagePulls": False,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "nodeStatusUpdateFrequency": "5s",
            "nodeStatusReportFrequency": "30s",
            "syncFrequency": "10s",
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "volumePluginDir": str(self.kubelet_root / "volume-plugins"),
        }

    def _proxy_configuration(self) -> dict[str, object]:
        ports = self._settings.ports
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": POD_CIDR,
            "clientConnection": {"kubeconfig": str(self._settings.pki / "kube-proxy.kubeconfig")},
            "healthzBindAddress": f"127.0.0.1:{ports.proxy_health}",
            "metricsBindAddress": f"127.0.0.1:{ports.proxy_metrics}",
            "oomScoreAdj": 0,
            "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
            # Zero: leave the machine's connection tracking settings alone.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }


def snapshotter(folder: Path, mounts: str) -> str:
    """Return how layers become root folders there: an overlay cannot lie on an overlay, as in a container.

    ``mounts`` is the content of ``/proc/self/mounts``.
    """
    lines = [line.split(" ") for line in mounts.splitlines()]
    holding = [words for words in lines if folder.is_relative_to(words[1])]
    nearest = max(holding, key=lambda words: len(words[1]))
    return "native" if nearest[2] == "overlay" else "overlayfs"
