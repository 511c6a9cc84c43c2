# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment is on the cluster: its names, its tier, and how far its pods reach. No I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..common.errors import invalid
from ..common.names import check_environment, check_namespace, tier_of
from ..common.quantity import parse_quantity

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

#: Where clouds answer with credentials of the node, whoever asks.
_METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(cidr)
    for cidr in (
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's WireServer
        "169.254.0.0/16",
        "192.0.0.192/32",  # Oracle
        "64:ff9b::a9fe:0/112",  # 169.254.0.0/16 behind NAT64
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
        "fe80::/10",
    )
)
#: The widest networks that answer DNS, by version: port 53 is a way out for anything.
_WIDEST_DNS = {4: 24, 6: 64}
_LEVELS = ("privileged", "baseline", "restricted")


@dataclass(frozen=True)
class Environment:
    """A checked environment. The ``*_blocks`` are ``ipBlock`` of a NetworkPolicy."""

    name: str
    tier: str
    namespace: str
    pod_security: str
    egress_blocks: list[dict[str, Any]] = field(default_factory=list)
    dns_blocks: list[dict[str, Any]] = field(default_factory=list)
    api_server_blocks: list[dict[str, Any]] = field(default_factory=list)
    quota: dict[str, str] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        name: str,
        tier: str = "",
        namespace: str = "",
        pod_security: str = "",
        egress_cidrs: Sequence[str] = (),
        dns_cidrs: Sequence[str] = (),
        quota: Mapping[str, object] | None = None,
        api_server_cidrs: Sequence[str] = (),
    ) -> Environment:
        """Check what a caller gave; raises ``invalid`` naming the variable of the role ``environment``."""
        name = check_environment(name, "environment_name")
        tier = tier_of(name, tier, "environment_tier")
        level = pod_security or ("baseline" if tier == "development" else "restricted")
        if level not in _LEVELS:
            raise invalid(
                "environment_pod_security",
                level,
                "is no Pod Security level",
                f"Give one of {', '.join(_LEVELS)}.",
            )
        return cls(
            name,
            tier,
            _own_namespace(namespace or f"llm-{name}"),
            level,
            _egress_blocks(egress_cidrs, "environment_egress_cidrs"),
            [_dns_block(cidr, f"environment_dns_cidrs[{index}]") for index, cidr in enumerate(dns_cidrs)],
            _egress_blocks(api_server_cidrs, "environment_api_server_cidrs"),
            {resource: _amount(resource, amount) for resource, amount in sorted((quota or {}).items())},
        )


def _own_namespace(namespace: str) -> str:
    field = "environment_namespace"
    if namespace == "default" or namespace.startswith("kube-"):
        # Its pods would be shut in, and held to the Pod Security level.
        raise invalid(field, namespace, "belongs to the cluster", "Give the environment one of its own.")
    return check_namespace(namespace, field)


def _amount(resource: str, amount: object) -> str:
    # The API server answers a quantity that is none by an inner error.
    parse_quantity(amount, f"environment_quota.{resource}")
    return str(amount)


def _network(cidr: str, where: str) -> Network:
    advice = "Give a network such as 10.20.0.0/24, a single address as 10.20.0.5/32."
    # A mere number is an address to Python, and an address without a length might be meant as a network.
    if not isinstance(cidr, str) or "/" not in cidr:
        raise invalid(where, cidr, "is no network", advice)
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        raise invalid(where, cidr, f"is no network ({error})", advice) from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise invalid(where, cidr, "is an IPv4 network in the clothes of IPv6", advice)
    return network


def _dns_block(cidr: str, where: str) -> dict[str, Any]:
    network = _network(cidr, where)
    widest = _WIDEST_DNS[network.version]
    if network.prefixlen < widest:
        raise invalid(
            where,
            cidr,
            f"is wider than /{widest}, and port 53 is a way out for anything",
            "Give the addresses of the servers, such as 10.0.0.2/32.",
        )
    return {"cidr": str(network)}


def _egress_blocks(cidrs: Sequence[str], option: str) -> list[dict[str, Any]]:
    return [_egress_block(cidr, f"{option}[{index}]") for index, cidr in enumerate(cidrs)]


def _egress_block(cidr: str, where: str) -> dict[str, Any]:
    """Return the block; metadata services are refused, and cut out of what is wider than they are."""
    network = _network(cidr, where)
    cut = []
    for metadata in _METADATA:
        if network.version != metadata.version or not network.overlaps(metadata):
            continue
        if network.prefixlen >= metadata.prefixlen:
            raise invalid(
                where,
                cidr,
                f"reaches into {metadata}, where clouds give credentials of the node to whoever asks",
                "Leave it out. For a node-local DNS there is environment_dns_cidrs.",
            )
        cut.append(str(metadata))
    return {"cidr": str(network), **({"except": cut} if cut else {})}
