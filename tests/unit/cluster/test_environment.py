# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment may be called, and how far its pods may reach."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.environment import Environment
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)


@pytest.mark.parametrize(
    ("name", "tier", "level", "told"),
    [
        ("development", "", "", ("development", "baseline")),
        ("staging", "", "", ("staging", "restricted")),
        ("prod-eu", "production", "", ("production", "restricted")),
        ("qa", "development", "", ("development", "baseline")),
        ("production", "development", "restricted", ("development", "restricted")),
    ],
)
def test_the_tier_chooses_the_level(name: str, tier: str, level: str, told: tuple[str, str]) -> None:
    made = Environment.build(name, tier, pod_security=level)
    assert (made.tier, made.pod_security) == told
    assert made.namespace == f"llm-{name}"


@pytest.mark.parametrize(
    ("cidr", "cut"),
    [
        ("10.0.0.0/8", []),
        ("169.253.0.0/16", []),
        (
            "0.0.0.0/0",
            ["100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.192/32"],
        ),
        ("169.0.0.0/8", ["169.254.0.0/16"]),
        ("100.64.0.0/10", ["100.100.100.200/32"]),
        ("::/0", ["64:ff9b::a9fe:0/112", "fd00:ec2::254/128", "fd20:ce::254/128", "fe80::/10"]),
        ("fc00::/7", ["fd00:ec2::254/128", "fd20:ce::254/128"]),
        ("64:ff9b::/96", ["64:ff9b::a9fe:0/112"]),
        ("2001:db8::/32", []),
    ],
)
def test_metadata_services_are_cut_out(cidr: str, cut: list[str]) -> None:
    (block,) = Environment.build("staging", egress_cidrs=[cidr]).egress_blocks
    assert block == {"cidr": cidr, **({"except": cut} if cut else {})}


@pytest.mark.parametrize(
    ("cidr", "told"),
    [
        ("169.254.169.254/32", "reaches into 169.254.0.0/16"),
        ("169.254.0.0/16", "reaches into 169.254.0.0/16"),
        ("fd00:ec2::254/128", "reaches into fd00:ec2::254/128"),
        ("fe80::1/128", "reaches into fe80::/10"),
        ("100.100.100.200/32", "reaches into 100.100.100.200/32"),
        ("168.63.129.16/32", "reaches into 168.63.129.16/32"),
        ("64:ff9b::a9fe:a9fe/128", "reaches into 64:ff9b::a9fe:0/112"),
        ("::ffff:169.254.169.254/128", "in the clothes of IPv6"),
        ("::ffff:0:0/96", "in the clothes of IPv6"),
        ("169.254.169.254", "is no network"),
        ("10.0.0.1/8", "has host bits set"),
        ("mirror.example.com/32", "is no network"),
        ("", "is no network"),
    ],
)
def test_refuses_networks_and_names_the_entry(cidr: str, told: str) -> None:
    with pytest.raises(PlatformError, match=r"environment_egress_cidrs\[1\]") as refused:
        Environment.build("staging", egress_cidrs=["10.0.0.0/8", cidr])
    assert told in refused.value.message
    assert refused.value.error_class is ErrorClass.INVALID


def test_the_api_server_is_no_way_to_the_metadata_service() -> None:
    made = Environment.build("staging", api_server_cidrs=["192.0.2.7/32"])
    assert made.api_server_blocks == [{"cidr": "192.0.2.7/32"}]
    with pytest.raises(PlatformError, match=r"environment_api_server_cidrs\[0\]"):
        Environment.build("staging", api_server_cidrs=["169.254.169.254/32"])


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "169.254.0.0/16", "10.0.0.0/23", "::/0", "fd00::/63"])
def test_dns_is_no_way_to_everywhere(cidr: str) -> None:
    with pytest.raises(PlatformError, match=r"environment_dns_cidrs\[0\].* is wider than"):
        Environment.build("staging", dns_cidrs=[cidr])
    narrow = ["10.0.0.0/24", "fd00::/64", "168.63.129.16/32"]
    assert [block["cidr"] for block in Environment.build("staging", dns_cidrs=narrow).dns_blocks] == narrow


@pytest.mark.parametrize("namespace", ["default", "kube-system", "kube-public", "kube-node-lease"])
def test_the_namespaces_of_the_cluster_are_no_environment(namespace: str) -> None:
    with pytest.raises(PlatformError, match=f"environment_namespace: '{namespace}' belongs to the cluster"):
        Environment.build("staging", namespace=namespace)


def test_dns_may_be_local_to_the_node() -> None:
    made = Environment.build("staging", dns_cidrs=["169.254.20.10/32"])
    assert made.dns_blocks == [{"cidr": "169.254.20.10/32"}]
    assert made.egress_blocks == []
