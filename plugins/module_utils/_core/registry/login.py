# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry's database for somebody else somewhere else: a service's login, as its pods reach it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..common.errors import ErrorClass, PlatformError, invalid
from .connection import as_dsn, given_parameters

#: Name of the file with the authorities of the server's certificate.
ROOT_FILE = "ca.crt"
# What is whoever connects' own, or a file of the machine from which that is done.
_OWN = frozenset(
    [
        *("user", "password", "passfile", "sslcert", "sslkey", "sslpassword", "sslcertmode", "sslrootcert"),
        *("sslcrl", "sslcrldir", "sslkeylogfile", "service", "servicefile", "requirepeer", "krbsrvname"),
        *("gsslib", "gssdelegation", "application_name", "client_encoding"),
        # The service has a limit of its own.
        "connect_timeout",
    ]
)
# As libpq reads them.
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "channel_binding": "PGCHANNELBINDING",
    "require_auth": "PGREQUIREAUTH",
}
_SEARCH_PATH = re.compile(r"-c\s*(search_path=\S+)")


def login_files(
    params: Mapping[str, Any], user: str, password: str, folder: str, dsn: str = ""
) -> dict[str, str]:
    """Return the content of a Secret that a service finds in ``folder``, by file name.

    ``params`` are those of ``POSTGRES_SPEC``, for the deployer. ``dsn`` leads to the same database as another
    user, unless it is given; the file of authorities comes along where one is named. Raises ``invalid``.
    """
    found = given_parameters({**params, "dsn": params.get("dsn") or os.environ.get("LLMOPS_REGISTRY_DSN")})
    for keyword, variable in _ENVIRONMENT.items():
        # A host replaces an address that the environment has, as in a DSN.
        if os.environ.get(variable) and not (keyword == "hostaddr" and "host" in found):
            found.setdefault(keyword, os.environ[variable])
    if dsn:
        root = found.get("sslrootcert") or ""
        return {"dsn": dsn, **({ROOT_FILE: _read(root)} if root not in ("", "system") else {})}
    if found.get("service") or os.environ.get("PGSERVICE"):
        raise PlatformError(
            ErrorClass.INVALID,
            "The database is named by a service file of this machine, which pods do not have.",
            "Give host and dbname in the DSN, or registry_host and registry_database.",
            {"field": "dsn"},
        )
    _check_place(found)
    if not found.get("dbname"):
        # Left out, it would be named after the user, and that is another one here.
        raise invalid(
            "login_db", None, "is missing", "Give dbname in the DSN, or login_db (registry_database)."
        )
    root = found.get("sslrootcert") or ""
    if not root and found.get("sslmode") in ("verify-ca", "verify-full"):
        # What libpq reads by itself is a file of this machine.
        own = Path("~/.postgresql/root.crt").expanduser()
        root = str(own) if own.is_file() else ""
    made = {keyword: value for keyword, value in found.items() if keyword not in _OWN and value}
    if "options" in made:
        # Where the tables are holds for everybody, anything else only for whoever set it.
        path = _SEARCH_PATH.search(made.pop("options"))
        made |= {"options": f"-c{path[1]}"} if path else {}
    made["user"] = user
    if password:
        made["password"] = password
    files = {}
    if root == "system":
        made["sslrootcert"] = root
    elif root:
        made["sslrootcert"] = f"{folder}/{ROOT_FILE}"
        files[ROOT_FILE] = _read(root)
    return {"dsn": as_dsn(made), **files}


def _check_place(found: Mapping[str, str]) -> None:
    """Refuse a server that is reached from this machine alone."""
    host, address = found.get("host") or "", found.get("hostaddr") or ""
    # Of each server the address, else the name.
    places = [one or other for one, other in zip_longest(address.split(","), host.split(","), fillvalue="")]
    if any(name.startswith(("/", "@")) for name in host.split(",")):
        own = f": {host!r} is a socket of this machine"
    elif not all(places):
        own = ""
    elif any(map(_is_loopback, places)):
        own = f": {','.join(places)!r} is this machine, and in a pod the pod"
    else:
        return
    raise PlatformError(
        ErrorClass.INVALID,
        f"No database is given that a pod could reach{own}.",
        "Give the server's name: host in the DSN, or login_host (registry_host of the roles).",
        {"field": "login_host"},
    )


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().partition(".")[0] == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def _read(path: str) -> str:
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise invalid(
            "ssl_rootcert", path, f"cannot be read: {error}", "Give the path of a PEM file."
        ) from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise invalid("ssl_rootcert", path, "holds no certificate", "Give the path of a PEM file.")
    return text
