# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one interface of all labs, and what they have in common: lock, facts, services beside the cluster."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from .binaries import BinaryCache
from .cluster_objects import LabClient
from .components import HELM3, TOOLS, Component
from .daemons import DaemonTable
from .filesystem import differs, read_json, write_if_changed
from .locking import locked
from .logins import LOGINS, LoginsStep
from .postgresql import DATABASE, ROLE, PostgreSQL, PostgreSQLStep
from .redis import Redis, RedisStep
from .settings import CLUSTER_DOMAIN, MODEL_SERVER_IMAGE, POD_CIDR, Settings, cache_folder, node_address
from .steps import Change, Progress, Step, carry_out, plan


@dataclass
class Report:
    """What a call did (or, in check mode, would do) and what the lab is now."""

    changes: list[Change] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Provider(ABC):
    """A way to have a lab. Everything is observed; nothing is remembered between calls but pids."""

    name: str
    #: The network that pods come from, as PostgreSQL's access file says it.
    clients = POD_CIDR

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.table = DaemonTable(settings.folder)
        self.cache = BinaryCache(cache_folder(), settings.files / "go")
        self.address = node_address()
        self.client = LabClient(self.cluster_kubeconfig, settings.context)

    @property
    def cluster_kubeconfig(self) -> Path:
        """The kubeconfig through which the cluster is reached."""
        return self.settings.kubeconfig_path

    @property
    def tools(self) -> Sequence[Component]:
        """What people and modules use of the lab's programs."""
        return (*TOOLS, *((HELM3,) if self.settings.helm3 else ()))

    @abstractmethod
    def preflight(self) -> None:
        """Raise an error if this machine cannot have this kind of lab."""

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """Return the parts of the lab, in the order of their start."""

    @abstractmethod
    def stop(self, progress: Progress, deadline: Deadline) -> Report:
        """Stop everything that the lab runs."""

    @abstractmethod
    def running(self) -> list[str]:
        """Return what a stop would stop."""

    def start(self, progress: Progress, deadline: Deadline) -> Report:
        """Start what is missing, repair what is broken; the same call again does nothing."""
        self.preflight()
        self._make_folder()
        with lock(self.settings.path(LOCK), progress, deadline):
            changes = carry_out(self.steps(), progress, deadline)
            facts = self.facts()
            self._write_facts(facts)
        return Report(changes, facts)

    def status(self) -> Report:
        """Return what a start would do."""
        self.preflight()
        return Report(plan(self.steps()), read_json(self.settings.path("facts.json")))

    def facts(self) -> dict[str, Any]:
        """Describe the running lab; no secrets."""
        settings = self.settings
        version = self.client().get("/version")
        facts: dict[str, Any] = {
            "provider": self.name,
            "lab_dir": str(settings.folder),
            "kubeconfig": str(self.cluster_kubeconfig),
            "context": settings.context or "",
            "server": self.client().server,
            "kubernetes_version": version["gitVersion"],
            "node_address": self.address,
            "bin_dir": str(settings.bin),
            "logs_dir": str(settings.logs),
            "cluster_domain": CLUSTER_DOMAIN,
            "model_server_image": MODEL_SERVER_IMAGE,
            "real_gpus": settings.real_gpus,
            "fake_nodes": settings.fake_nodes,
        }
        if "postgresql" in settings.services:
            facts["postgresql"] = {
                "host": "127.0.0.1",
                "port": settings.ports.postgresql,
                "database": DATABASE,
                "user": ROLE,
                "dsn_file": str(settings.path("registry.dsn")),
                "service_dsn_files": {login.user: str(settings.path(login.dsn_file)) for login in LOGINS},
            }
        if "redis" in settings.services:
            facts["redis"] = {
                "host": self.address,
                "port": settings.ports.redis,
                "url_file": str(settings.path("redis.url")),
            }
        return facts

    def service_steps(self) -> list[Step]:
        """Return the steps of PostgreSQL and Redis, as far as they are wanted."""
        steps: list[Step] = []
        if "postgresql" in self.settings.services:
            server = PostgreSQL(self.settings, self.address, self.clients)
            steps += [PostgreSQLStep(self.table, server), LoginsStep(server)]
        if "redis" in self.settings.services:
            steps.append(RedisStep(self.table, Redis(self.settings, self.address)))
        return steps

    def stop_daemons(self, names: Sequence[str], progress: Progress) -> list[Change]:
        """Stop daemons in the given order."""
        changes = []
        for name in names:
            daemon_signal, grace_s = STOP_SIGNALS.get(name, (15, 5.0))
            if self.table.stop(name, daemon_signal, grace_s):
                progress(f"{name}: stopped")
                changes.append(Change(name, "stopped"))
        return changes

    def _make_folder(self) -> None:
        try:
            self.settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlatformError(
                ErrorClass.AUTH,
                f"lab_dir: {self.settings.folder} cannot be made: {error.strerror}.",
                "Run as root (sudo), or give a lab_dir of your own.",
            ) from error

    def _write_facts(self, facts: dict[str, Any]) -> None:
        content = f"{json.dumps(facts, indent=1, sort_keys=True)}\n"
        if differs(self.settings.path("facts.json"), content):
            write_if_changed(self.settings.path("facts.json"), content)


#: What is asked of a daemon at a stop, and for how many seconds, where it is not SIGTERM and five.
STOP_SIGNALS: dict[str, tuple[int, float]] = {"postgresql": (2, 10.0), "kube-apiserver": (15, 3.0)}
SERVICES = ("redis", "postgresql")
#: The file that is locked during changes. It is the first one in the folder, and so says whose that is.
LOCK = "lab.lock"


def lock(path: Path, progress: Progress, deadline: Deadline) -> AbstractContextManager[IO[str]]:
    """Hold the lab's lock."""
    return locked(path, "is changing this lab", "has held the lab's lock", progress, deadline)


def check_folder(folder: Path) -> None:
    """Refuse somebody else's folder: a lab ends processes that use its folder, and may remove all of it."""
    if folder.is_dir() and not (folder / LOCK).exists() and any(folder.iterdir()):
        raise invalid(
            "lab_dir",
            str(folder),
            "has files in it and is not the folder of a lab",
            "Give an empty folder, or one that does not exist yet.",
        )


def purge(folder: Path) -> None:
    """Remove a stopped lab's folder; refuse one that is not a lab's, or where something is mounted."""
    check_folder(folder)
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        mount = line.split(" ")[1]
        if Path(mount).is_relative_to(folder):
            raise invalid("lab_dir", str(folder), f"holds the mount {mount}", "Unmount it first.")
    shutil.rmtree(folder)


def require_root(reason: str) -> None:
    """Raise an error if we are not root; ``reason`` says what for."""
    if os.geteuid() != 0:
        raise PlatformError(
            ErrorClass.AUTH,
            f"{reason}, which needs root.",
            "Run as root (sudo); or use provider existing with a kubeconfig, or kind, and no services.",
        )
