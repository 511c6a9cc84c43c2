# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which endpoints may be asked. A row of the registry is data: it must not send requests just anywhere."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAME = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*")


@dataclass(frozen=True)
class AllowedEndpoints:
    """Host names, suffixes of host names that begin with a dot, and networks of addresses."""

    names: tuple[str, ...]
    suffixes: tuple[str, ...]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    @classmethod
    def parse(cls, text: str) -> AllowedEndpoints:
        """Return the list that a text with commas holds; raise ``ValueError`` that says what is wrong."""
        names, suffixes, networks = [], [], []
        for item in filter(None, (part.strip().lower() for part in text.split(","))):
            if "/" in item or ":" in item or re.fullmatch(r"[0-9.]+", item):
                networks.append(ipaddress.ip_network(item))
            elif not _NAME.fullmatch(item.removeprefix(".")):
                raise ValueError(f"{item!r} is no host name, suffix such as .svc.cluster.local, or network")
            elif item.startswith("."):
                suffixes.append(item)
            else:
                names.append(item)
        return cls(tuple(names), tuple(suffixes), tuple(networks))

    def allows(self, url: str) -> bool:
        """Tell whether a URL may be asked."""
        host = host_of(url)
        if host is None:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host in self.names or host.endswith(self.suffixes)
        return any(address in network for network in self.networks)

    def __str__(self) -> str:
        return ", ".join([*self.names, *self.suffixes, *map(str, self.networks)]) or "nothing"


def host_of(url: str) -> str | None:
    """Return the host of a plain http or https URL in lower case, or ``None`` if it is no such URL."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    if "@" in parts.netloc or parts.query or parts.fragment:
        return None
    return host.lower().rstrip(".")
