# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What containers leave behind when they are not stopped one by one: find it, and clear it away.

After a hard stop there are orphaned shims and pause processes, some ninety mounts, network namespaces, the
bridge with its veths, address leases, chains of iptables and control groups.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from ..common.errors import ErrorClass, PlatformError
from .commands import run
from .daemons import Identity, end, processes
from .node import Node
from .settings import BRIDGE, NETWORK

_CGROUPS = Path("/sys/fs/cgroup")
_CNI_RESULTS = Path("/var/lib/cni/results")
_CHAINS = ("KUBE-", "CNI-")


class Remains:
    """The traces of one node's containers on this machine."""

    def __init__(self, node: Node, cgroup: str) -> None:
        self._node = node
        self._cgroup = cgroup

    def shims(self) -> list[Identity]:
        """Return the shims of the lab's containerd: while they live, containers can be taken over."""
        socket = str(self._node.socket)
        return [
            process.identity
            for process in processes()
            if "containerd-shim" in process.argv[0] and socket in process.argv
        ]

    def found(self) -> str:
        """Say what is left behind, or return an empty string."""
        counts = {
            "shims": len(self.shims()),
            "processes of containers": len(self.container_pids()),
            "mounts": len(self._mounts()),
            "address leases": len(self._leases()),
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)

    def clear(self) -> None:
        """Remove everything but the images' archives; safe to repeat. Kubelet and containerd are down."""
        for shim in self.shims():
            end(shim, signal.SIGKILL)
        self._kill_containers()
        for mount in sorted(self._mounts(), key=len, reverse=True):
            # Lazy: a mount that is busy goes away with its last user.
            run(["umount", "--lazy", mount], check=False)
        left = self._mounts()
        if left:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"{len(left)} mounts cannot be removed, among them {left[0]}.",
                "See who uses them: fuser -vm <mount>.",
            )
        node = self._node
        for folder in (node.runtime_root, node.runtime_state, node.kubelet_root, node.leases, node.pod_logs):
            shutil.rmtree(folder, ignore_errors=True)
        for result in _CNI_RESULTS.glob(f"{NETWORK}-*-eth0"):
            container = result.name.removeprefix(f"{NETWORK}-").removesuffix("-eth0")
            (_CNI_RESULTS / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
            result.unlink(missing_ok=True)
        node.socket.unlink(missing_ok=True)
        node.socket.with_name(f"{node.socket.name}.ttrpc").unlink(missing_ok=True)

    def clear_network(self) -> None:
        """Remove bridge, veths and the packet filter's rules of kube-proxy, kubelet and CNI."""
        if Path(f"/sys/class/net/{BRIDGE}").exists():
            for port in Path(f"/sys/class/net/{BRIDGE}/brif").iterdir():
                run(["ip", "link", "delete", port.name], check=False)
            run(["ip", "link", "delete", BRIDGE], check=False)
        for save, restore in (("iptables-save", "iptables-restore"), ("ip6tables-save", "ip6tables-restore")):
            rules = run([save], check=False).stdout
            removal = removal_rules(rules)
            if removal:
                run([restore, "--noflush", "--wait", "10"], stdin=removal)

    def remove_cgroups(self) -> None:
        """Remove the control groups, innermost first."""
        for root in self._cgroup_roots():
            for folder, _folders, _files in os.walk(root, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError as error:
                    raise PlatformError(
                        ErrorClass.INFRASTRUCTURE,
                        f"The control group {folder} cannot be removed: {error.strerror}.",
                        "A process is still in it: see its cgroup.procs.",
                    ) from error

    def container_pids(self) -> list[int]:
        """Return the processes in the lab's control groups."""
        pids: set[int] = set()
        for root in self._cgroup_roots():
            for file in root.rglob("cgroup.procs"):
                pids.update(_pids(file))
        return sorted(pids)

    def _kill_containers(self) -> None:
        limit = time.monotonic() + 20
        while pids := self.container_pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > limit:
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE,
                    f"Processes of containers do not end: {pids}.",
                    "They hang in the kernel; look at /proc/<pid>/stack.",
                )
            time.sleep(0.05)

    def _cgroup_roots(self) -> list[Path]:
        """One group on version 2, one per controller on version 1."""
        groups = [parent / self._cgroup for parent in _hierarchies(_CGROUPS)]
        return [group for group in groups if group.is_dir()]

    def _mounts(self) -> list[str]:
        table = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        points = [line.split(" ")[1].encode().decode("unicode_escape") for line in table]
        folders = (self._node.runtime_root, self._node.runtime_state, self._node.kubelet_root)
        return [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]

    def _leases(self) -> list[Path]:
        folder = self._node.leases / NETWORK
        return [path for path in folder.glob("*.*.*.*") if path.is_file()] if folder.is_dir() else []


def make_cgroups(name: str, hierarchy: Path = _CGROUPS) -> None:
    """Make the control group that all pods go into, in each hierarchy."""
    for parent in _hierarchies(hierarchy):
        folder = parent / name
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # A new cpuset of version 1 is empty, and an empty one holds no process.
            if parent.name == "cpuset" and (folder / file).exists():
                (folder / file).write_text((parent / file).read_text(encoding="ascii"), encoding="ascii")


def cgroups_complete(name: str, hierarchy: Path = _CGROUPS) -> bool:
    """Tell whether the control group is there in each hierarchy."""
    return all((parent / name).is_dir() for parent in _hierarchies(hierarchy))


def _hierarchies(root: Path) -> list[Path]:
    if (root / "cgroup.controllers").exists():
        return [root]
    return [
        folder
        for folder in sorted(root.iterdir())
        if not folder.is_symlink() and (folder / "cgroup.procs").exists()
    ]


def removal_rules(saved: str) -> str:
    """Turn the output of ``iptables-save`` into input of ``iptables-restore --noflush``.

    It removes the chains of Kubernetes and CNI and the rules that lead there, and touches nothing else.
    """
    lines: list[str] = []
    for table in f"\n{saved}".split("\n*")[1:]:
        name, *body = table.splitlines()
        chains = [line.split()[0][1:] for line in body if line.startswith(tuple(f":{c}" for c in _CHAINS))]
        jumps = [
            "-D" + line[2:]
            for line in body
            if line.startswith("-A ")
            and not line[3:].startswith(_CHAINS)
            and any(f"-j {prefix}" in line or f"-g {prefix}" in line for prefix in _CHAINS)
        ]
        if chains or jumps:
            flush = [f"-F {chain}" for chain in chains]
            lines += [f"*{name}", *jumps, *flush, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def _pids(file: Path) -> list[int]:
    try:
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    except OSError:
        return []
