# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What network policies say: which pods they are about, and what their rules let through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..cluster.client import JSONObject
from ..placement.selectors import Labels, label_selector_matches

INGRESS, EGRESS = "Ingress", "Egress"
_PEERS = {INGRESS: "from", EGRESS: "to"}
_ALL_ADDRESSES = ("0.0.0.0/0", "::/0")
_LAST_PORT = 65535


@dataclass(frozen=True)
class Rule:
    """What one rule lets through; policies add up, so one that allows is enough."""

    policy: str
    peers: Sequence[JSONObject]  #: none for everybody
    ports: Sequence[JSONObject]  #: none for all

    @property
    def lets_everybody(self) -> bool:
        """Tell whether it is about all addresses, or all pods of the cluster."""
        return not self.peers or any(_is_everybody(peer) for peer in self.peers)

    @property
    def lets_all_ports(self) -> bool:
        """Tell whether it is about all ports, of one protocol at least."""
        return not self.ports or any(_is_all_ports(item) for item in self.ports)

    def lets_port(self, protocol: str, wanted: Sequence[int | str]) -> bool:
        """Tell whether it is about a port, which is known by its number and by its name."""
        return not self.ports or any(
            (item.get("protocol") or "TCP") == protocol and _is_one_of(item, wanted) for item in self.ports
        )


def _is_everybody(peer: JSONObject) -> bool:
    if "ipBlock" in peer:
        return peer["ipBlock"].get("cidr") in _ALL_ADDRESSES
    return _selects_all(peer.get("namespaceSelector")) and _selects_all(peer.get("podSelector") or {})


def _selects_all(selector: JSONObject | None) -> bool:
    return selector is not None and not any(selector.values())


def _is_all_ports(item: JSONObject) -> bool:
    first = item.get("port")
    return first is None or (first == 1 and item.get("endPort") == _LAST_PORT)


def _is_one_of(item: JSONObject, wanted: Sequence[int | str]) -> bool:
    first = item.get("port")
    if first is None or first in wanted:
        return True
    last = item.get("endPort")
    return last is not None and any(isinstance(port, int) and first <= port <= last for port in wanted)


def about(policies: Sequence[JSONObject], direction: str, labels: Labels) -> list[JSONObject]:
    """Return the policies that fence pods with these labels in a direction."""
    return [
        policy
        for policy in policies
        if direction in _directions(policy["spec"])
        and label_selector_matches(policy["spec"].get("podSelector") or {}, labels)
    ]


def about_all(policies: Sequence[JSONObject], direction: str) -> list[JSONObject]:
    """Return the policies that fence all pods in a direction."""
    return [policy for policy in policies if direction in _directions(policy["spec"]) and is_for_all(policy)]


def is_for_all(policy: JSONObject) -> bool:
    """Tell whether a policy is about all pods of its namespace."""
    return _selects_all(policy["spec"].get("podSelector") or {})


def _directions(spec: JSONObject) -> list[str]:
    # As the API server fills them in.
    return spec.get("policyTypes") or [INGRESS, *([EGRESS] if spec.get("egress") else [])]


def rules(policies: Sequence[JSONObject], direction: str) -> list[Rule]:
    """Return the rules of policies for a direction."""
    return [
        Rule(str(policy["metadata"]["name"]), rule.get(_PEERS[direction]) or (), rule.get("ports") or ())
        for policy in policies
        for rule in policy["spec"].get(direction.lower()) or ()
    ]
