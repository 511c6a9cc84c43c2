# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a NetworkPolicy says where a list of peers is empty: to Kubernetes an empty list means everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

_OWN: dict[str, dict[str, Any]] = {
    "router": {
        "_router_labels": {},
        "_router_selector": {"app": "router"},
        "_router_own_peers": [{"podSelector": {}}],
        "_router_door": "http",
        "_router_registry_ports": [5432, 6379],
    },
    "health_check": {
        "_health_check_labels": {},
        "_health_check_selector": {"app": "checker"},
        "_health_check_router_namespace": "llm",
        "_health_check_registry_ports": [5432],
    },
}


def policy(root: Path, role: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of a role's policy with its defaults, but for these variables."""
    defaults = yaml.safe_load((root / f"roles/{role}/defaults/main.yml").read_text(encoding="utf-8"))
    environment = jinja2.Environment(  # noqa: S701 - the output is YAML
        undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["to_json"] = json.dumps
    text = (root / f"roles/{role}/templates/networkpolicy.yml.j2").read_text(encoding="utf-8")
    rendered = environment.from_string(text).render({**defaults, **_OWN[role], **changes})
    spec: dict[str, Any] = yaml.safe_load(rendered)["spec"]
    return spec


def rules_for(spec: dict[str, Any], port: int) -> list[dict[str, Any]]:
    return [rule for rule in spec["egress"] if port in [entry["port"] for entry in rule["ports"]]]


@pytest.mark.parametrize("role", _OWN)
def test_dns_is_asked_of_the_cluster_and_of_nobody_without_peers(root: Path, role: str) -> None:
    (rule,) = rules_for(policy(root, role), 53)
    assert [next(iter(peer)) for peer in rule["to"]] == ["namespaceSelector", "ipBlock"]
    assert rules_for(policy(root, role, **{f"{role}_dns_peers": []}), 53) == []


@pytest.mark.parametrize("role", _OWN)
def test_the_registry_is_anywhere_unless_somebody_says_where(root: Path, role: str) -> None:
    (anywhere,) = rules_for(policy(root, role), 5432)
    assert "to" not in anywhere
    peers = [{"ipBlock": {"cidr": "192.0.2.7/32"}}]
    (there,) = rules_for(policy(root, role, **{f"{role}_registry_peers": peers}), 5432)
    assert there["to"] == peers


def test_a_health_checker_without_prometheus_lets_nobody_in(root: Path) -> None:
    assert policy(root, "health_check", health_check_prometheus_peers=[])["ingress"] == []
    (rule,) = policy(root, "health_check")["ingress"]
    assert rule["from"]


@pytest.mark.parametrize("role", _OWN)
@pytest.mark.parametrize(("option", "port"), [("_{}_registry_ports", 5432), ("{}_model_server_ports", 8000)])
def test_no_ports_are_no_rule(root: Path, role: str, option: str, port: int) -> None:
    """To Kubernetes a rule without ports is one for all of them."""
    usual = policy(root, role)["egress"]
    without = policy(root, role, **{option.format(role): []})["egress"]
    assert without == [rule for rule in usual if port not in [entry["port"] for entry in rule["ports"]]]
    assert len(without) == len(usual) - 1


def test_a_router_that_may_go_nowhere_says_so(root: Path) -> None:
    options = ("router_dns_peers", "router_model_server_ports", "_router_registry_ports")
    nothing: dict[str, Any] = {option: [] for option in options}
    assert policy(root, "router", **nothing)["egress"] == []


def test_with_tls_clients_come_in_by_it_alone(root: Path) -> None:
    tls: dict[str, Any] = {"router_tls_secret": "router-tls", "_router_door": "https"}
    everybody, platform = policy(root, "router", **tls)["ingress"]
    assert everybody == {"ports": [{"port": "https"}]}
    assert platform["ports"] == [{"port": "http"}]
    assert {"podSelector": {}} in platform["from"]
    clients = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    named, same = policy(root, "router", **tls, router_client_peers=clients)["ingress"]
    assert named == {"ports": [{"port": "https"}], "from": clients}
    assert same == platform
    # Without it there is one port for all of them.
    (rule,) = policy(root, "router", router_client_peers=clients)["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    assert len(rule["from"]) > len(clients)
