# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's Prometheus, and beside it a program that tells it what the cluster's monitors and rules say.

It is Debian's, unpacked in the cache and not installed: the package would start a server. As a Go module it
takes longer to compile than everything else that the lab adds to Kubernetes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .binaries import BinaryCache
from .cluster_objects import JSONObject, LabClient, path_of
from .commands import run
from .components import MONITORS
from .daemons import Daemon, DaemonTable
from .filesystem import differs, write_if_changed
from .health import http_check
from .locking import locked
from .postgresql import as_user, ensure_user
from .settings import SYSTEM_USER, Settings, cache_folder
from .steps import Progress, Step

PROMETHEUS = "prometheus"
TRANSLATOR = "monitors"
USER = "llmops-lab:prometheus"
_ROLE = "llmops-lab-prometheus"
_RBAC = "rbac.authorization.k8s.io"
_READS = ["get", "list", "watch"]
_EMPTY = '{"scrape_configs": []}\n'


@dataclass(frozen=True)
class Prometheus:
    """The server's files and commands. The translator writes its configuration, rules and targets."""

    settings: Settings
    cache: BinaryCache
    address: str

    @property
    def folder(self) -> Path:
        """Everything of both; the services' user owns the data only."""
        return self.settings.path("prometheus")

    @property
    def url(self) -> str:
        """Where it answers, people and pods alike."""
        return f"http://{self.address}:{self.settings.ports.prometheus}"

    @property
    def url_file(self) -> Path:
        """Holds the URL; there is no password."""
        return self.settings.path("prometheus.url")

    @property
    def configuration_file(self) -> Path:
        """What the translator writes, empty at first."""
        return self.folder / "prometheus.yml"

    @property
    def data(self) -> Path:
        """The measurements."""
        return self.folder / "data"

    def daemon(self) -> Daemon:
        """Return the server. It can listen at one address only: the one that pods reach too."""
        ports = self.settings.ports
        argv = [
            str(program(PROMETHEUS)),
            f"--config.file={self.configuration_file}",
            f"--storage.tsdb.path={self.data}",
            "--storage.tsdb.retention.time=6h",
            "--storage.tsdb.retention.size=512MB",
            f"--web.listen-address={self.address}:{ports.prometheus}",
            # By which the translator has it read its configuration again.
            "--web.enable-lifecycle",
            "--log.level=warn",
        ]
        healthy = partial(http_check, ports.prometheus, "/-/ready", address=self.address)
        return Daemon(PROMETHEUS, as_user(argv), healthy, ports=[ports.prometheus])

    def translator(self) -> Daemon:
        """Return the program that follows the cluster. It is well while Prometheus has what it wrote."""
        health = self.settings.ports.monitors
        kubeconfig = self.settings.pki / "prometheus.kubeconfig"
        argv = [
            str(self.cache.program(MONITORS, TRANSLATOR)),
            f"--kubeconfig={kubeconfig}",
            f"--folder={self.folder}",
            f"--prometheus={self.url}",
            f"--promtool={program('promtool')}",
            f"--health=127.0.0.1:{health}",
        ]
        return Daemon(
            TRANSLATOR,
            argv,
            partial(http_check, health, "/healthz"),
            inputs=[kubeconfig],
            follows="kube-apiserver",
            ports=[health],
        )


def unpacked() -> Path:
    """Return where Debian's package is unpacked, there or not."""
    return cache_folder() / "prometheus"


def program(name: str) -> Path:
    """Return the path of ``prometheus`` or ``promtool``: the installed one, else the unpacked one."""
    installed = shutil.which(name, path="/usr/local/bin:/usr/bin")
    return Path(installed) if installed else unpacked() / "usr/bin" / name


def provide(progress: Progress, deadline: Deadline) -> None:
    """Download and unpack Debian's package, unless both programs are there."""
    if not _missing():
        return
    if not shutil.which("apt-get"):
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"These programs are missing, and there is no apt-get to get them: {', '.join(_missing())}.",
            "Install Prometheus (https://prometheus.io/download) in /usr/local/bin; "
            "-e lab_prometheus=false does without.",
        )
    folder = unpacked()
    folder.parent.mkdir(parents=True, exist_ok=True)
    what = "getting Prometheus"
    with locked(folder.parent / ".prometheus.lock", f"is {what}", f"has been {what}", progress, deadline):
        if _missing():
            _unpack(folder, progress, deadline)


def _missing() -> list[str]:
    return [name for name in (PROMETHEUS, "promtool") if not program(name).exists()]


def _unpack(folder: Path, progress: Progress, deadline: Deadline) -> None:
    with tempfile.TemporaryDirectory(prefix=".prometheus-", dir=folder.parent) as scratch:
        # It downloads into the current folder, and has no option for another.
        download = ["env", f"--chdir={scratch}", "apt-get", "-qq", "download", "prometheus"]
        progress("prometheus: apt-get download")
        if run(download, timeout=deadline.share(300).remaining(), check=False).returncode != 0:
            run(["apt-get", "-qq", "update"], timeout=deadline.share(300).remaining())
            run(download, timeout=deadline.share(300).remaining())
        (package,) = Path(scratch).glob("*.deb")
        run(["dpkg", "--extract", package, f"{scratch}/unpacked"], timeout=120)
        shutil.rmtree(folder, ignore_errors=True)
        Path(scratch, "unpacked").replace(folder)


class ProgramsStep(Step):
    """Prometheus and promtool."""

    name = "prometheus programs"

    def pending(self) -> str:
        """Name those that are missing."""
        return f"missing: {', '.join(_missing())}" if _missing() else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Get them."""
        provide(progress, deadline)


class PrometheusStep(Step):
    """The server, and what it and the translator need to start."""

    name = PROMETHEUS

    def __init__(self, table: DaemonTable, server: Prometheus) -> None:
        self._table = table
        self._server = server

    def pending(self) -> str:
        """Say what is missing."""
        server = self._server
        if not server.configuration_file.exists() or differs(server.url_file, f"{server.url}\n"):
            return "is not set up yet, or for another address"
        return self._table.pending(server.daemon())

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Write the files and start the server."""
        ensure_user()
        server = self._server
        server.data.mkdir(parents=True, exist_ok=True)
        shutil.chown(server.data, SYSTEM_USER, SYSTEM_USER)
        if not server.configuration_file.exists():
            write_if_changed(server.configuration_file, _EMPTY)
        write_if_changed(server.url_file, f"{server.url}\n")
        daemon = server.daemon()
        if self._table.pending(daemon):
            self._table.start(daemon, progress, deadline)


class NoPrometheusStep(Step):
    """Neither processes nor data nor rights are left of a lab that had it."""

    name = PROMETHEUS
    needs_api = True

    def __init__(self, table: DaemonTable, client: LabClient, server: Prometheus) -> None:
        self._table = table
        self._client = client
        self._server = server

    def pending(self) -> str:
        """Say whether anything of it is there."""
        return "is not wanted" if self._processes() or self._files() or self._objects() else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Take it away."""
        for name in (TRANSLATOR, PROMETHEUS):
            self._table.stop(name)
        shutil.rmtree(self._server.folder, ignore_errors=True)
        self._server.url_file.unlink(missing_ok=True)
        for path in self._objects():
            self._client().delete(path)

    def _processes(self) -> bool:
        return any(self._table.identity(name) for name in (TRANSLATOR, PROMETHEUS))

    def _files(self) -> bool:
        return self._server.folder.exists() or self._server.url_file.exists()

    def _objects(self) -> list[str]:
        client = self._client()
        return [path for path in map(path_of, rights()) if client.find(path)]


def rights() -> Iterable[JSONObject]:
    """Yield what lets the translator read, in all namespaces, what is to be scraped and by whom."""
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _ROLE},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods"], "verbs": _READS},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READS},
            {
                "apiGroups": ["monitoring.coreos.com"],
                "resources": ["servicemonitors", "podmonitors", "prometheusrules"],
                "verbs": _READS,
            },
        ],
    }
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _ROLE},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": _ROLE},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": USER}],
    }
