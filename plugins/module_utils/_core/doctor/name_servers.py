# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who answers names in a cluster, and whether network policies let pods ask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from ..cluster.client import APIError, JSONObject
from ..placement.selectors import Labels, label_selector_matches
from .finding import Verdict
from .network_policies import Rule
from .site import Cluster

_NAMESPACE = "kube-system"
_PODS = {"labelSelector": "k8s-app=kube-dns"}
_PRIVATE = [
    ip_network(cidr)
    for cidr in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]


@dataclass(frozen=True)
class NameServers:
    """The pods of the cluster's DNS; not ``known`` where they are only assumed to be the usual ones."""

    namespace: Labels
    pods: Sequence[Labels]
    addresses: Sequence[str]
    ports: Sequence[int | str]
    known: bool

    @classmethod
    def of(cls, cluster: Cluster) -> NameServers:
        """Read them. They may run outside of pods, or be nobody's business who deploys."""
        try:
            pods = list(cluster.list_pages(f"/api/v1/namespaces/{_NAMESPACE}/pods", _PODS))
            space = cluster.client.find(f"/api/v1/namespaces/{_NAMESPACE}")
        except APIError as error:
            if error.status != 403:
                raise
            return USUAL
        if not pods or space is None:
            # They are somewhere else.
            return replace(USUAL, pods=[])
        ports = [
            name
            for pod in pods
            for container in pod["spec"]["containers"]
            for port in container.get("ports") or ()
            if port.get("protocol") == "UDP"
            for name in (port["containerPort"], port.get("name"))
            if name
        ]
        addresses = [
            str(item["ip"]) for pod in pods for item in (pod.get("status") or {}).get("podIPs") or ()
        ]
        labels = [pod["metadata"].get("labels") or {} for pod in pods]
        namespace = space["metadata"].get("labels") or {}
        return cls(namespace, labels, addresses, ports or USUAL.ports, known=True)

    def reached_by(self, rules: Sequence[Rule]) -> tuple[Verdict, str]:
        """Judge whether rules let pods ask them, and return the policy that decides it, if one does.

        They are asked over UDP first. A failure with a policy is one that lets pods ask somebody else.
        """
        asking = [rule for rule in rules if rule.lets_port("UDP", self.ports)]
        judged = [(self._reached_by(rule), rule.policy) for rule in asking]
        for verdict in (Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL):
            for told, policy in judged:
                if told is verdict:
                    return told, policy
        return Verdict.FAIL, ""

    def _reached_by(self, rule: Rule) -> Verdict:
        told = [self._is(peer) for peer in rule.peers]
        if not rule.peers or Verdict.PASS in told:
            return Verdict.PASS
        return Verdict.UNKNOWN if Verdict.UNKNOWN in told else Verdict.FAIL

    def _is(self, peer: JSONObject) -> Verdict:
        if "ipBlock" in peer:
            return self._is_in(peer["ipBlock"])
        if peer.get("namespaceSelector") is None:
            # Pods of the environment's own namespace.
            return Verdict.FAIL
        pods = peer.get("podSelector") or {}
        if label_selector_matches(peer["namespaceSelector"], self.namespace) and any(
            label_selector_matches(pods, labels) for labels in self.pods
        ):
            return Verdict.PASS
        return Verdict.FAIL if self.known else Verdict.UNKNOWN

    def _is_in(self, block: JSONObject) -> Verdict:
        if any(_holds(block, address) for address in self.addresses):
            return Verdict.PASS
        # A cache on the node, and the address of the Service, are private ones.
        return Verdict.UNKNOWN if not self.known or _holds_private(block) else Verdict.FAIL


#: Where most clusters have them.
USUAL = NameServers(
    {"kubernetes.io/metadata.name": _NAMESPACE}, [{"k8s-app": "kube-dns"}], [], [53, "dns"], known=False
)


def _holds_private(block: JSONObject) -> bool:
    """Tell whether a block has addresses that are nobody's on the Internet, and that are no exceptions."""
    within = ip_network(block["cidr"], strict=False)
    cuts = [str(ip_network(cut, strict=False)) for cut in block.get("except") or ()]
    return any(
        within.version == private.version and within.overlaps(private) and str(private) not in cuts
        for private in _PRIVATE
    )


def _holds(block: JSONObject, address: str) -> bool:
    """Tell whether an address is in a block, and in none of its exceptions."""
    asked = ip_address(address)
    within = asked in ip_network(block["cidr"], strict=False)
    return within and not any(asked in ip_network(cut, strict=False) for cut in block.get("except") or ())
