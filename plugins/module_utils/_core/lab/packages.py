# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""System packages that the native lab needs, installed with apt-get where there is one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .commands import run
from .steps import Progress, Step

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What is used, and the Debian package that has it.
_NODE_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "ip": "iproute2",
    "modprobe": "kmod",
    "mount": "mount",
    "setpriv": "util-linux",
}
_SERVICE_PROGRAMS = {"redis-server": "redis-server", "useradd": "passwd", "setpriv": "util-linux"}


def cni_folder() -> Path | None:
    """Return the folder of the CNI plugins, if they are installed."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").exists()), None)


def system_program(name: str) -> str:
    """Return the path of a program of the distribution; one that is yet to be installed comes to /usr/bin."""
    return shutil.which(name, path=_SYSTEM_PATH) or f"/usr/bin/{name}"


@dataclass(frozen=True)
class PackagesStep(Step):
    """Everything that comes from the distribution."""

    node: bool
    services: bool
    name: str = "system packages"

    def missing(self) -> list[str]:
        """Return the packages to install, sorted."""
        wanted = {**(_NODE_PROGRAMS if self.node else {}), **(_SERVICE_PROGRAMS if self.services else {})}
        packages = {
            package for program, package in wanted.items() if not shutil.which(program, path=_SYSTEM_PATH)
        }
        if self.node and cni_folder() is None:
            packages.add("containernetworking-plugins")
        return sorted(packages)

    def pending(self) -> str:
        """Name the packages that are missing."""
        missing = self.missing()
        return f"missing: {', '.join(missing)}" if missing else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Install them."""
        missing = self.missing()
        if not shutil.which("apt-get"):
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"These programs are missing, and there is no apt-get to install them: {', '.join(missing)}.",
                "Install them with the package manager of this system (the names are Debian's), "
                "or use provider kind or existing.",
            )
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        progress("system packages: apt-get update")
        run(["apt-get", "-qq", "update"], timeout=deadline.share(300).remaining(), environment=quiet)
        progress(f"system packages: apt-get install {' '.join(missing)}")
        run(
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing],
            timeout=deadline.share(600).remaining(),
            environment=quiet,
        )
