# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NetworkPolicies take effect: a daemon judges the first packet of each connection from or to a pod.

The rules have no ``--queue-bypass``: while the daemon is down, the kernel drops what nobody judges. So a test
of isolation fails where nothing is enforced, and never passes by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .binaries import BinaryCache
from .commands import run
from .components import NETWORK_POLICIES
from .daemons import Daemon, DaemonTable
from .settings import BRIDGE, NETWORK, POD_CIDR, Settings
from .steps import Progress, Step

DAEMON = "network-policies"
#: The prefix is that of CNI's own chains: what clears those away takes this one too.
CHAIN = "CNI-LLMOPS-POLICY"
#: Number of the queue between kernel and daemon, away from the usual ones.
QUEUE = 20100
_QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")
# Packets between pods and to other machines are forwarded, those to processes of this machine come in. What
# the machine itself sends, the kubelet's probes among it, does neither.
_JUMPS: dict[str, list[str]] = {"FORWARD": [], "INPUT": ["-i", BRIDGE]}
_MANGLE = ["iptables", "--wait", "10", "-t", "mangle"]
_HERE = "-m addrtype --dst-type LOCAL"
_LINK = ["-m", "conntrack", "--ctstate", "NEW", "-m", "comment", "--comment", NETWORK, "-j", CHAIN]


def enforcer(settings: Settings, cache: BinaryCache) -> Daemon:
    """Return the daemon. It opens its queue once it knows all pods and policies."""
    kubeconfig = settings.pki / f"{DAEMON}.kubeconfig"
    return Daemon(
        DAEMON,
        [
            str(cache.program(NETWORK_POLICIES, DAEMON)),
            f"--kubeconfig={kubeconfig}",
            f"--queue={QUEUE}",
        ],
        lambda: queue_problem(_QUEUES.read_text(encoding="ascii") if _QUEUES.exists() else ""),
        inputs=[kubeconfig],
        follows="kube-apiserver",
    )


def queue_problem(table: str) -> str:
    """Say that nobody serves the queue, by the content of the kernel's table of queues."""
    open_queues = [line.split()[0] for line in table.splitlines()]
    return "" if str(QUEUE) in open_queues else f"netfilter queue {QUEUE} is not open"


def rules(settings: Settings, jumps: list[str]) -> str:
    """Return input of ``iptables-restore --noflush``: the chain, and jumps to it from those chains.

    They are in the table mangle, since an accepted packet skips what is left of its table: in the table
    filter it would miss the refusal of Services without a pod.
    """
    dns = settings.ports.dns
    lines = [
        "*mangle",
        f":{CHAIN} - [0:0]",
        # CoreDNS is no pod, and has another port than 53: no policy could allow it.
        *(f"-A {CHAIN} {_HERE} -p {protocol} --dport {dns} -j RETURN" for protocol in ("udp", "tcp")),
        *(f"-A {CHAIN} {end} {POD_CIDR} -j NFQUEUE --queue-num {QUEUE}" for end in ("-s", "-d")),
        *(f"-I {' '.join([chain, *_JUMPS[chain], *_LINK])}" for chain in jumps),
        "COMMIT",
    ]
    return "\n".join([*lines, ""])


@dataclass(frozen=True)
class EnforceStep(Step):
    """Rules that let the daemon judge."""

    settings: Settings
    name: str = "network policies"

    def pending(self) -> str:
        """Say which packets are not judged yet."""
        missing = _missing_jumps()
        return f"nobody judges packets of {' and '.join(missing)}" if missing else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make the rules."""
        text = rules(self.settings, _missing_jumps())
        answer = run(["iptables-restore", "--noflush", "--wait", "10"], stdin=text, check=False)
        if answer.returncode != 0:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"NetworkPolicies cannot be enforced here: {answer.stderr.strip()}",
                "The kernel needs NETFILTER_XT_TARGET_NFQUEUE (modprobe xt_NFQUEUE); "
                "-e lab_network_policies=false does without.",
            )


@dataclass(frozen=True)
class LetPassStep(Step):
    """Neither rules nor daemon are left of a lab that enforced NetworkPolicies."""

    table: DaemonTable
    name: str = "network policies"

    def pending(self) -> str:
        """Say whether they are enforced."""
        enforced = len(_missing_jumps()) < len(_JUMPS) or self.table.identity(DAEMON) is not None
        return "are enforced" if enforced else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Take the rules away before the daemon, without which they let nothing pass."""
        missing = _missing_jumps()
        for chain, match in _JUMPS.items():
            if chain not in missing:
                run([*_MANGLE, "-D", chain, *match, *_LINK])
        for action in ("-F", "-X"):
            run([*_MANGLE, action, CHAIN], check=False)
        self.table.stop(DAEMON)


def _missing_jumps() -> list[str]:
    return [
        chain
        for chain, match in _JUMPS.items()
        if run([*_MANGLE, "-C", chain, *match, *_LINK], check=False).returncode != 0
    ]
