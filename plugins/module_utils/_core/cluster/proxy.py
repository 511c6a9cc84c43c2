# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which HTTP proxy is on the way to an API server: decided once, for the client and for helm.

The rules are those of Go's ``httpproxy``, which kubectl and helm follow.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from ..common.errors import invalid
from ..common.redaction import HIDDEN

# What Go, and so helm, refuses in a URL that Python takes.
_REFUSED = re.compile(r"[\s\"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")
_ADVICE = "Give http://name:port, or https://name:port where the proxy itself speaks TLS."


def check_proxy(option: str, url: str) -> None:
    """Raise ``invalid`` for what is no address of a proxy."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _REFUSED.search(url) or not url.isascii() or not url.isprintable():
        raise invalid(option, without_login(url), "is not the URL of an HTTP proxy", _ADVICE)


def without_login(url: str) -> str:
    """Return what may be shown of a proxy's URL, however it is written: nothing before the last ``@``."""
    return f"{HIDDEN}@{url.rpartition('@')[2]}" if "@" in url else url


def check_exceptions(option: str, rules: str) -> None:
    """Raise ``invalid`` for a list with an entry that no host could ever match."""
    for rule in _entries(rules):
        wrong = "://" in rule or re.search(r"[\s;]", rule) is not None
        if wrong or ("/" in rule and _network(rule) is None):
            raise invalid(
                option,
                rules,
                f"has the entry {rule!r}, which is no host, domain, address or network",
                "Give them separated by commas, such as localhost,.example.com,10.0.0.0/8.",
            )


def proxy_for(server: str, given: str | None, exceptions: str | None, configured: str | None) -> str | None:
    """Return the URL of the proxy on the way to a server, None where there is none.

    ``given`` and ``exceptions`` are the options; ``configured`` is what the kubeconfig says, to which
    ``NO_PROXY`` does not apply, as for kubectl. Where neither names a proxy, the environment does.
    """
    if exceptions and goes_around(server, exceptions):
        return None
    if given or configured:
        return given or configured
    parts = urlsplit(server)
    environment = getproxies_environment()
    found = environment.get(parts.scheme)
    if not found or is_loopback(parts.hostname or "") or goes_around(server, environment.get("no", "")):
        return None
    return found if "://" in found else f"http://{found}"


def goes_around(server: str, rules: str) -> bool:
    """Tell whether a list such as ``NO_PROXY`` excepts a server.

    A domain excepts itself and the names below it, ``.name`` or ``*.name`` only those below. An address or a
    network excepts addresses. Each may end in a port.
    """
    parts = urlsplit(server)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(_matches(rule, host, port) for rule in _entries(rules))


def credentials_of(url: str) -> str | None:
    """Return ``user:password`` of a proxy's URL, None where it has none."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}"


def _entries(rules: str) -> list[str]:
    return [rule.strip().lower() for rule in rules.split(",") if rule.strip()]


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    address = _address(host)
    network = _network(rule.removeprefix("[").removesuffix("]"))
    if network is None:
        name, colon, wanted = rule.rpartition(":")
        if colon and wanted.isdecimal():
            if int(wanted) != port:
                return False
            rule = name
            network = _network(rule.strip("[]"))
    if network is not None:
        return address is not None and address in network
    if address is not None:
        return False
    rule = rule.removeprefix("*").rstrip(".")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(rule: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, reached without a network."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
