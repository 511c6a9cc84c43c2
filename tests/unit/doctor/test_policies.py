# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor says of network policies: the fence, the way to names, and each model's own ways."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.checks import policies
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.name_servers import (
    USUAL,
    NameServers,
)

ALL_PODS: dict[str, Any] = {}
BOTH = ["Ingress", "Egress"]
LABELS = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "llama"}
MINE = {"matchLabels": LABELS}
OTHERS = {"matchLabels": {"app.kubernetes.io/instance": "mistral"}}
OPEN: dict[str, Any] = {}

SYSTEM = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
KUBE_DNS = {"matchLabels": {"k8s-app": "kube-dns"}}
DNS_PORTS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
#: As the cluster says it; the usual ones are assumed where nothing is known.
SERVERS = NameServers(
    namespace={"kubernetes.io/metadata.name": "kube-system", "team": "platform"},
    pods=[{"k8s-app": "kube-dns", "tier": "control"}],
    addresses=["10.244.0.2", "fd00::2"],
    ports=[53, "dns"],
    known=True,
)


def policy(kinds_of: list[str], *, selector: dict[str, Any] = ALL_PODS, **more: Any) -> dict[str, Any]:
    """Return a network policy."""
    spec = {"podSelector": selector, "policyTypes": kinds_of, **more}
    return {"metadata": {"name": "p"}, "spec": spec}


def dns_to(*peers: dict[str, Any], ports: list[dict[str, Any]] = DNS_PORTS) -> dict[str, Any]:
    """Return a rule that lets pods ask whoever is there."""
    return {"to": list(peers), "ports": ports}


def block(cidr: str, *excepted: str) -> dict[str, Any]:
    """Return addresses as a peer."""
    return {"ipBlock": {"cidr": cidr, "except": list(excepted)}}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], "warn"),
        ([policy(["Ingress"])], "warn"),
        ([policy(BOTH, selector=MINE)], "warn"),
        ([policy(BOTH)], "pass"),
        ([policy(["Ingress"]), policy(["Egress"])], "pass"),
    ],
)
def test_fences(found: list[dict[str, Any]], verdict: str) -> None:
    assert policies.judge_fence(found).verdict == verdict


@pytest.mark.parametrize(
    ("direction", "rule", "verdict"),
    [
        ("ingress", OPEN, "warn"),
        # Which port it is does not matter: it is one that is served.
        ("ingress", {"ports": [{"port": 8000}]}, "warn"),
        ("ingress", {"from": []}, "warn"),
        ("ingress", {"from": [block("0.0.0.0/0")]}, "warn"),
        ("ingress", {"from": [block("::/0")]}, "warn"),
        ("ingress", {"from": [{"podSelector": ALL_PODS}, {"namespaceSelector": {}}]}, "warn"),
        ("ingress", {"from": [{"podSelector": {}, "namespaceSelector": {"matchLabels": {}}}]}, "warn"),
        ("ingress", {"from": [{"podSelector": ALL_PODS}]}, "pass"),
        ("ingress", {"from": [{"podSelector": KUBE_DNS, "namespaceSelector": {}}]}, "pass"),
        ("ingress", {"from": [{"namespaceSelector": SYSTEM}]}, "pass"),
        ("ingress", {"from": [block("10.0.0.0/8")]}, "pass"),
        ("egress", OPEN, "warn"),
        ("egress", {"to": [block("0.0.0.0/0", "10.0.0.0/8")]}, "warn"),
        ("egress", {"ports": [{"protocol": "TCP"}]}, "warn"),
        ("egress", {"ports": [{"port": 1, "endPort": 65535}]}, "warn"),
        ("egress", {"ports": [{"port": 443}]}, "pass"),
        ("egress", {"ports": DNS_PORTS}, "pass"),
        ("egress", {"to": [block("10.1.2.3/32")]}, "pass"),
    ],
)
def test_a_gate_that_everybody_passes(direction: str, rule: dict[str, Any], verdict: str) -> None:
    gate = {**policy([direction.title()]), "metadata": {"name": "gate"}}
    gate["spec"][direction] = [rule]
    found = policies.judge_fence([policy(BOTH), gate])
    assert found.verdict == verdict
    assert ("gate" in found.seen) == (verdict == "warn")


def test_a_gate_of_a_few_pods_leaves_the_fence_whole() -> None:
    gate = policy(["Ingress"], selector=MINE, ingress=[OPEN])
    assert policies.judge_fence([policy(BOTH), gate]).verdict == "pass"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([policy(BOTH)], "fail"),
        ([policy(BOTH), policy(["Egress"], egress=[{"ports": DNS_PORTS}])], "pass"),
        ([policy(BOTH, egress=[OPEN])], "pass"),
        ([policy(["Egress"], egress=[{"ports": [{"port": 443}]}])], "fail"),
        ([policy(BOTH), policy(["Egress"], selector=MINE, egress=[{"ports": DNS_PORTS}])], "fail"),
        # Not over UDP: TCP is what a rule means that says nothing.
        ([policy(["Egress"], egress=[{"ports": [{"port": 53}]}])], "fail"),
        ([policy(["Egress"], egress=[{"ports": [{"port": "dns", "protocol": "UDP"}]}])], "pass"),
        ([policy(["Egress"], egress=[{"ports": [{"port": 1, "endPort": 99, "protocol": "UDP"}]}])], "pass"),
        ([policy(["Egress"], egress=[{"ports": [{"protocol": "UDP"}]}])], "pass"),
    ],
)
def test_name_resolution_through_a_fence(found: list[dict[str, Any]], verdict: str) -> None:
    assert policies.judge_dns(found, SERVERS).verdict == verdict
    assert policies.judge_dns(found, USUAL).verdict == verdict


@pytest.mark.parametrize(
    ("peers", "known", "assumed"),
    [
        ([{"namespaceSelector": SYSTEM}], "pass", "pass"),
        ([{"namespaceSelector": SYSTEM, "podSelector": KUBE_DNS}], "pass", "pass"),
        ([{"namespaceSelector": {}}], "pass", "pass"),
        ([{"namespaceSelector": {"matchLabels": {"team": "platform"}}}], "pass", "unknown"),
        # A namespace that has no name servers, and pods of the own one.
        ([{"namespaceSelector": {"matchLabels": {"team": "other"}}}], "fail", "unknown"),
        ([{"podSelector": KUBE_DNS}], "fail", "fail"),
        ([{"namespaceSelector": SYSTEM, "podSelector": OTHERS}], "fail", "unknown"),
        ([block("10.244.0.0/16")], "pass", "unknown"),
        ([block("fd00::/64")], "pass", "unknown"),
        ([block("10.244.0.0/16", "10.244.0.0/24"), block("8.8.8.8/32")], "unknown", "unknown"),
        # A cache on the node, or the Service's own address.
        ([block("169.254.20.10/32")], "unknown", "unknown"),
        ([block("10.96.0.10/32")], "unknown", "unknown"),
        ([block("0.0.0.0/0", "10.0.0.0/8")], "unknown", "unknown"),
        ([block("8.8.8.8/32")], "fail", "unknown"),
        ([block("8.8.8.8/32"), {"namespaceSelector": SYSTEM}], "pass", "pass"),
    ],
)
def test_whom_pods_may_ask_for_names(peers: list[dict[str, Any]], known: str, assumed: str) -> None:
    found = [policy(["Egress"], egress=[dns_to(*peers)])]
    assert policies.judge_dns(found, SERVERS).verdict == known
    assert policies.judge_dns(found, USUAL).verdict == assumed


ROUTER = {"app.kubernetes.io/component": "router"}
FROM_ROUTER = {"from": [{"podSelector": {"matchLabels": ROUTER}}], "ports": [{"port": "http"}]}


def ingress(*rules: dict[str, Any], selector: dict[str, Any] = MINE) -> dict[str, Any]:
    """Return a policy about who comes in."""
    return policy(["Ingress"], selector=selector, ingress=list(rules))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([ingress(FROM_ROUTER)], "pass"),
        ([policy(BOTH), ingress(FROM_ROUTER)], "pass"),
        ([ingress({**FROM_ROUTER, "ports": [{"port": 8000}]})], "pass"),
        # Addresses, or pods of another namespace, are hardly the environment's own router.
        ([ingress({"from": [block("10.0.0.0/8")]})], "unknown"),
        (
            [ingress({"from": [{"namespaceSelector": SYSTEM, "podSelector": {"matchLabels": ROUTER}}]})],
            "unknown",
        ),
        ([ingress({"from": [{"namespaceSelector": SYSTEM, "podSelector": {}}]})], "unknown"),
        ([policy(BOTH)], "fail"),
        ([policy(BOTH), ingress(FROM_ROUTER, selector=OTHERS)], "fail"),
        ([ingress()], "fail"),
        ([ingress({**FROM_ROUTER, "ports": [{"port": 9000}]})], "fail"),
        ([ingress({**FROM_ROUTER, "ports": [{"port": 8000, "protocol": "UDP"}]})], "fail"),
        ([ingress({"from": [{"podSelector": OTHERS}]})], "unknown"),
        ([ingress(OPEN)], "warn"),
        ([ingress({"ports": [{"port": 8000}]}, FROM_ROUTER)], "warn"),
        # The fence tells that.
        ([ingress(OPEN, selector=ALL_PODS)], "pass"),
    ],
)
def test_who_comes_in_to_a_model(found: list[dict[str, Any]], verdict: str) -> None:
    told = policies.judge_ingress("llama", found, LABELS, [8000, "http"], ROUTER)
    assert told is not None
    assert (told.verdict, told.subject) == (verdict, "llama")


def test_a_model_of_which_no_policy_speaks() -> None:
    assert policies.judge_ingress("llama", [ingress(selector=OTHERS)], LABELS, [8000, "http"], ROUTER) is None
    assert policies.judge_egress("llama", [ingress()], LABELS, SERVERS, downloads=True) is None


def egress(*rules: dict[str, Any], selector: dict[str, Any] = MINE) -> dict[str, Any]:
    """Return a policy about who gets out."""
    return policy(["Egress"], selector=selector, egress=list(rules))


NAMES = dns_to({"namespaceSelector": SYSTEM})
HUB = {"to": [block("0.0.0.0/0", "10.0.0.0/8")], "ports": [{"port": 443}]}


@pytest.mark.parametrize(
    ("found", "downloads", "verdict"),
    [
        ([egress(NAMES, HUB)], True, "pass"),
        ([egress(NAMES)], False, "pass"),
        # One allows what another does not.
        ([policy(BOTH), egress(NAMES, selector=ALL_PODS), egress(HUB)], True, "pass"),
        ([egress(NAMES)], True, "warn"),
        ([egress(HUB)], True, "fail"),
        ([egress(dns_to(block("8.8.8.8/32")), HUB)], True, "fail"),
        ([egress(dns_to(block("169.254.20.10/32")), HUB)], True, "unknown"),
        ([egress()], True, "fail"),
        # It asks nobody for anything.
        ([egress()], False, "pass"),
        ([policy(BOTH), egress(NAMES, HUB, selector=OTHERS)], True, "fail"),
        ([egress(OPEN)], True, "warn"),
        ([egress(OPEN)], False, "warn"),
        ([egress(OPEN, selector=ALL_PODS)], True, "pass"),
    ],
)
def test_whom_a_model_gets_out_to(found: list[dict[str, Any]], downloads: bool, verdict: str) -> None:
    told = policies.judge_egress("llama", found, LABELS, SERVERS, downloads=downloads)
    assert told is not None
    assert (told.verdict, told.subject) == (verdict, "llama egress")


def test_a_policy_without_types_is_about_what_it_has_rules_for() -> None:
    spec = {"podSelector": MINE, "egress": [NAMES, HUB]}
    found = [{"metadata": {"name": "p"}, "spec": spec}]
    assert policies.judge_ingress("llama", found, LABELS, [8000, "http"], ROUTER) is not None
    assert policies.judge_egress("llama", found, LABELS, SERVERS, downloads=True) is not None
