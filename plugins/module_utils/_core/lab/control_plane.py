# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd, API server, controller manager and scheduler as daemons."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from .binaries import BinaryCache
from .components import CONTROL_PLANE, ETCD
from .daemons import Daemon
from .health import http_check
from .settings import POD_CIDR, SERVICE_CIDR, Settings

_READS = ["get", "list", "watch"]
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    # What the lab's own parts read and repeat is noise; what people and modules do is kept.
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io"}]},
        {"level": "None", "userGroups": ["system:nodes"]},
        {
            "level": "None",
            "users": [
                "llmops-lab:kwok",
                "llmops-lab:coredns",
                "llmops-lab:network-policies",
                "llmops-lab:prometheus",
                "system:apiserver",
            ],
        },
        {
            "level": "None",
            "users": ["system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"],
            "verbs": _READS,
        },
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"], "verbs": _READS},
        {"level": "Metadata"},
    ],
}

_SCHEDULER = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
    "podInitialBackoffSeconds": 1,
    "podMaxBackoffSeconds": 2,
}


class ControlPlane:
    """Builds the daemons from settings."""

    def __init__(self, settings: Settings, cache: BinaryCache, address: str) -> None:
        self._settings = settings
        self._cache = cache
        self._address = address
        self._pki = settings.pki
        self._ca = settings.pki / "ca.crt"
        self._audit_policy = settings.path("etc", "audit-policy.json")
        self._scheduler_configuration = settings.path("etc", "scheduler.json")

    def files(self) -> dict[Path, str]:
        """Return the configuration files and their content."""
        connection = {
            "clientConnection": {
                "kubeconfig": str(self._pki / "scheduler.kubeconfig"),
                "qps": 300,
                "burst": 600,
            }
        }
        return {
            self._audit_policy: json.dumps(_AUDIT_POLICY, indent=1),
            self._scheduler_configuration: json.dumps({**_SCHEDULER, **connection}, indent=1),
        }

    def etcd(self) -> Daemon:
        """Return etcd: TLS on both sides, no fsync (a lab may lose its last second)."""
        ports = self._settings.ports
        url, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
        server = [str(self._pki / "server.crt"), str(self._pki / "server.key")]
        argv = [
            str(self._cache.program(ETCD, "etcd")),
            "--name=lab",
            f"--data-dir={self._settings.path('etcd')}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=lab={peer}",
            f"--listen-metrics-urls=http://127.0.0.1:{ports.etcd_health}",
            f"--cert-file={server[0]}",
            f"--key-file={server[1]}",
            f"--peer-cert-file={server[0]}",
            f"--peer-key-file={server[1]}",
            "--client-cert-auth",
            "--peer-client-cert-auth",
            f"--trusted-ca-file={self._ca}",
            f"--peer-trusted-ca-file={self._ca}",
            "--quota-backend-bytes=4294967296",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=10m",
            "--log-level=warn",
        ]
        return Daemon(
            "etcd",
            argv,
            partial(http_check, ports.etcd_health, "/health"),
            inputs=[self._ca, self._pki / "server.crt"],
            ports=[ports.etcd, ports.etcd_peer, ports.etcd_health],
        )

    def api_server(self) -> Daemon:
        """Return the API server, with RBAC, node restriction and an audit log."""
        pki, ports = self._pki, self._settings.ports
        argv = [
            str(self._cache.program(CONTROL_PLANE, "kube-apiserver")),
            f"--advertise-address={self._address}",
            f"--secure-port={ports.api_server}",
            f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
            f"--etcd-cafile={self._ca}",
            f"--etcd-certfile={pki / 'etcd-client.crt'}",
            f"--etcd-keyfile={pki / 'etcd-client.key'}",
            f"--client-ca-file={self._ca}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            f"--kubelet-certificate-authority={self._ca}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'service-account.key'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
            f"--audit-policy-file={self._audit_policy}",
            f"--audit-log-path={self._settings.logs / 'audit.log'}",
            "--audit-log-maxsize=50",
            "--audit-log-maxbackup=1",
            "--v=1",
        ]
        return Daemon(
            "kube-apiserver",
            argv,
            partial(http_check, ports.api_server, "/readyz", ca=self._ca),
            inputs=[self._ca, pki / "server.crt", pki / "service-account.key", self._audit_policy],
            follows="etcd",
            ports=[ports.api_server],
            # On SIGTERM it waits for watches that nobody ends.
            stop_grace_s=3.0,
        )

    def controller_manager(self) -> Daemon:
        """Return the controller manager."""
        pki, port = self._pki, self._settings.ports.controller_manager
        kubeconfig = str(pki / "controller-manager.kubeconfig")
        argv = [
            str(self._cache.program(CONTROL_PLANE, "kube-controller-manager")),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--root-ca-file={self._ca}",
            f"--cluster-signing-cert-file={self._ca}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            f"--cluster-cidr={POD_CIDR}",
            "--allocate-node-cidrs=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
            "--concurrent-deployment-syncs=20",
            "--concurrent-namespace-syncs=20",
            "--v=1",
        ]
        return Daemon(
            "kube-controller-manager",
            argv,
            partial(http_check, port, "/healthz", ca=self._ca),
            inputs=[Path(kubeconfig), self._ca, pki / "server.crt", pki / "service-account.key"],
            follows="kube-apiserver",
            ports=[port],
        )

    def scheduler(self) -> Daemon:
        """Return the scheduler, which retries what did not fit within two seconds."""
        pki, port = self._pki, self._settings.ports.scheduler
        kubeconfig = str(pki / "scheduler.kubeconfig")
        argv = [
            str(self._cache.program(CONTROL_PLANE, "kube-scheduler")),
            f"--config={self._scheduler_configuration}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--v=1",
        ]
        return Daemon(
            "kube-scheduler",
            argv,
            partial(http_check, port, "/healthz", ca=self._ca),
            inputs=[self._scheduler_configuration, Path(kubeconfig), pki / "server.crt"],
            follows="kube-apiserver",
            ports=[port],
        )
