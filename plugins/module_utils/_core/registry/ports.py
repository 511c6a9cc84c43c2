# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports that a service's network policy has to let it out to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..common.errors import ErrorClass, PlatformError, invalid
from .connection import given_parameters

_REDIS = ("redis://", "rediss://", "unix://")


def registry_ports(params: Mapping[str, Any], usual: Sequence[int], addresses: Sequence[str]) -> list[int]:
    """Return the usual ports and those that the databases' addresses name; none where none is usual.

    ``params`` are those of ``POSTGRES_SPEC``, ``addresses`` DSNs of PostgreSQL and URLs of Redis.
    Raises ``invalid``.
    """
    if not usual:
        return []
    dsn = params.get("dsn") or os.environ.get("LLMOPS_REGISTRY_DSN")
    named = [*_of_postgres({**params, "dsn": dsn})]
    for address in filter(None, addresses):
        named += _of_redis(address) if address.startswith(_REDIS) else _of_postgres({"dsn": address})
    return list(dict.fromkeys([*usual, *named]))


def _of_postgres(params: Mapping[str, Any]) -> Iterator[int]:
    found = given_parameters(params).get("port") or os.environ.get("PGPORT") or ""
    # One for each host, or one for all of them; an empty one is the usual one.
    for text in filter(None, found.split(",")):
        if not text.strip().isdecimal() or not 0 < int(text) < 65536:
            raise invalid(
                "login_port", text, "is no TCP port", "Give port in the DSN, or registry_port, as a number."
            )
        yield int(text)


def _of_redis(url: str) -> list[int]:
    try:
        port = urlsplit(url).port
    except ValueError:
        # Its own text may quote the password.
        raise PlatformError(
            ErrorClass.INVALID,
            "redis_url: the value names no TCP port (it is not shown, because it may hold a password).",
            "Give a URL such as rediss://redis:6379/0.",
            {"field": "redis_url"},
        ) from None
    return [port] if port else []
