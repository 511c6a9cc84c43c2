# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Argo CD beside a cluster: its repo server, its application controller, and a Redis between them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.argocd import argocd_programs
from tests.support.lab import Lab
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

_APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces"


@dataclass(frozen=True)
class ArgoCD:
    """A running Argo CD. It looks at Git only when it is asked to, and heals at once."""

    namespace: str
    folder: Path

    def log(self, program: str) -> str:
        """Return what a program has said."""
        return (self.folder / f"{program}.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def running_argocd(lab: Lab, api: ClusterClient, namespace: str, folder: Path) -> Iterator[ArgoCD]:
    """Run Argo CD for the Applications of a namespace; its definitions have to be there."""
    programs = argocd_programs(print)
    _configure(api, namespace)
    repo_port = free_port()
    common = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "KUBECONFIG": str(lab.kubeconfig),
        "PATH": f"{lab.folder / 'bin'}:{os.environ['PATH']}",
        # The cluster's inner address stands for the one of the kubeconfig.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_ASK_PASS_SOCK": str(folder / "ask-pass.sock"),
        "ARGOCD_CONTROLLER_REPLICAS": "1",
        "ARGOCD_CONTROLLER_SHARD": "0",
    }
    with ExitStack() as running:
        redis = running.enter_context(RedisServer(folder))
        shared = ["--kubeconfig", str(lab.kubeconfig), "--namespace", namespace]
        caching = ["--redis", f"127.0.0.1:{redis.port}"]
        metrics = ["--metrics-port", str(free_port())]
        listening = ["--address", "127.0.0.1", "--port", str(repo_port), "--disable-tls"]
        for name, arguments in (
            ("argocd-repo-server", [*listening, "--metrics-address", "127.0.0.1"]),
            (
                "argocd-application-controller",
                [
                    *shared,
                    *("--repo-server", f"127.0.0.1:{repo_port}", "--repo-server-plaintext"),
                    *("--self-heal-timeout-seconds", "1", "--app-resync", "3600"),
                ],
            ),
        ):
            command = [str(programs / name), *arguments, *caching, *metrics]
            running.enter_context(_process(name, command, common, folder))
            metrics = ["--metrics-port", str(free_port())]
        yield ArgoCD(namespace, folder)


@contextmanager
def _process(name: str, command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
        assert process.poll() is None, (folder / f"{name}.log").read_text(encoding="utf-8")[-2000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        shutil.rmtree(folder / "_argocd-repo", ignore_errors=True)


def _configure(api: ClusterClient, namespace: str) -> None:
    """Make what Argo CD wants to read, and the project in which everything is allowed."""
    part = {"app.kubernetes.io/part-of": "argocd"}
    core = f"/api/v1/namespaces/{namespace}"
    for name in ("argocd-cm", "argocd-rbac-cm"):
        api.create(f"{core}/configmaps", {"metadata": {"name": name, "labels": part}, "data": {}})
    secret = {"server.secretkey": "dGVzdHM="}
    api.create(f"{core}/secrets", {"metadata": {"name": "argocd-secret", "labels": part}, "data": secret})
    everything = [{"group": "*", "kind": "*"}]
    spec = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": everything,
    }
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default"},
        "spec": spec,
    }
    api.create(f"{_APPLICATIONS}/{namespace}/appprojects", project)
