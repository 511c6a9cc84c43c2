# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine's network must allow before pods can talk: forwarding, and rules that see the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .commands import run
from .settings import NETWORK, POD_CIDR
from .steps import Progress, Step

#: The prefix is that of CNI's own chains: what clears those away takes this one too.
CHAIN = "CNI-LLMOPS-LAB"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
#: Without it the answer of a Service's pod to a pod on the same bridge bypasses the address translation.
_BRIDGE = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_JUMP = ["FORWARD", "-m", "comment", "--comment", NETWORK, "-j", CHAIN]


@dataclass(frozen=True)
class NetworkStep(Step):
    """Packets of pods are forwarded, also where a firewall (Docker's, for one) drops by default."""

    name: str = "network"

    def pending(self) -> str:
        """Say what is not allowed yet."""
        for setting in (_FORWARD, _BRIDGE):
            if not _is_on(setting):
                return f"{setting.name} is off"
        rule = run(["iptables", "--wait", "10", "-C", *_JUMP], check=False)
        return "" if rule.returncode == 0 else "packets of pods are not accepted explicitly"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Turn the settings on and put the rules in the first place."""
        if not _BRIDGE.exists():
            run(["modprobe", "br_netfilter"], check=False)
        for setting in (_FORWARD, _BRIDGE):
            if not setting.exists():
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE,
                    f"The kernel has no {setting}.",
                    "Load its module: modprobe br_netfilter (in a container: on the host).",
                )
            if not _is_on(setting):
                setting.write_text("1\n", encoding="ascii")
        filter_rules = [
            "*filter",
            f":{CHAIN} - [0:0]",
            f"-A {CHAIN} -s {POD_CIDR} -j ACCEPT",
            f"-A {CHAIN} -d {POD_CIDR} -j ACCEPT",
            f"-I {' '.join(_JUMP)}",
            "COMMIT",
        ]
        run(["iptables-restore", "--noflush", "--wait", "10"], stdin="\n".join([*filter_rules, ""]))


def _is_on(setting: Path) -> bool:
    return setting.exists() and setting.read_text(encoding="ascii").strip() == "1"
