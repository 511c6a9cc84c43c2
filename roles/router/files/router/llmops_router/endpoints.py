# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where requests may be sent. The registry's rows are data: a row must not turn the router on other hosts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What DNS takes: names of 253 characters, with labels of 63.
_LABEL = r"[a-z0-9]([-a-z0-9_]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"^(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*$")
_PATH = re.compile(r"^(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*$")


@dataclass(frozen=True, slots=True)
class Target:
    """A model server's base URL in parts; ``path`` has no slash at its end."""

    host: str
    port: int
    tls: bool
    path: str

    @property
    def authority(self) -> str:
        """Return the value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def base(self) -> str:
        """Return the URL."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


@dataclass(frozen=True)
class AllowedEndpoints:
    """Suffixes (``.svc.cluster.local``), exact host names, and networks of addresses."""

    suffixes: tuple[str, ...]
    names: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str) -> AllowedEndpoints:
        """Return the list that a setting holds.

        :raises ValueError: where an item is none of the three kinds.
        """
        suffixes: list[str] = []
        names: set[str] = set()
        networks: list[Network] = []
        for item in (part.strip().lower() for part in text.split(",")):
            if not item:
                continue
            network = _network(item)
            if network is not None:
                networks.append(network)
            elif item.startswith(".") and _NAME.match(item[1:]):
                suffixes.append(item)
            elif _NAME.match(item):
                names.add(item)
            else:
                raise ValueError(f"{item!r} is no suffix, host name, address or network")
        return cls(tuple(suffixes), frozenset(names), tuple(networks))

    def target(self, endpoint: str) -> Target:
        """Return an endpoint in parts.

        :raises ValueError: with the reason, where no request may be sent there.
        """
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"it is no URL: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("it is no http or https URL")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("it has a user, a query or a fragment")
        path = parts.path.rstrip("/")
        if not _PATH.match(path) or ".." in path.split("/"):
            raise ValueError("its path is not allowed")
        host = host.lower().rstrip(".")
        if not self.allows(host):
            raise ValueError(f"the host {host} is outside of LLMOPS_ROUTER_ALLOWED_ENDPOINTS ({self})")
        tls = parts.scheme == "https"
        return Target(host, port or (443 if tls else 80), tls, path)

    def allows(self, host: str) -> bool:
        """Say whether a host name or address, in lower case, is in the list."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return bool(_NAME.match(host)) and (host in self.names or host.endswith(self.suffixes))
        return any(address in network for network in self.networks)

    def __str__(self) -> str:
        return ", ".join([*self.suffixes, *sorted(self.names), *map(str, self.networks)]) or "nothing"


def _network(item: str) -> Network | None:
    """Return an address or network. Names made of digits and dots alone are addresses or mistakes."""
    try:
        return ipaddress.ip_network(item)
    except ValueError as error:
        if "/" in item or re.fullmatch(r"[0-9.]+", item):
            raise ValueError(str(error)) from None
        return None
