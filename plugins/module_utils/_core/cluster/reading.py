# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads whose refusal means "capacity unknown", which must never look like "nothing free"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from .client import APIError, ClusterClient, JSONObject
from .shared_lists import Lister


def list_or_unknown(
    client: Lister,
    path: str,
    resource: str,
    *,
    what: str,
    namespace: str | None = None,
    query: Mapping[str, Any] | None = None,
) -> Iterator[JSONObject]:
    """Yield the items of a list; a refusal becomes an ``auth`` error that names the missing right."""
    try:
        yield from client.list_pages(path, query)
    except APIError as error:
        raise _unknown(error, "list", resource, what, namespace) from error


def read_or_unknown(
    client: ClusterClient, path: str, resource: str, *, what: str, namespace: str | None = None
) -> JSONObject | None:
    """Read one object, ``None`` if it does not exist; a refusal becomes an ``auth`` error."""
    try:
        return client.find(path)
    except APIError as error:
        raise _unknown(error, "get", resource, what, namespace) from error


def _unknown(error: APIError, verb: str, resource: str, what: str, namespace: str | None) -> PlatformError:
    if error.status != 403:
        return error
    scope = f"namespace {namespace} (a Role)" if namespace else "the whole cluster (a ClusterRole)"
    return PlatformError(
        ErrorClass.AUTH,
        f"Capacity is unknown: not allowed to {verb} {what}.",
        f"Ask for the right to {verb} {resource} in {scope}.",
        {
            "verdict": "unknown",
            "missing_right": {"verb": verb, "resource": resource, "namespace": namespace or ""},
        },
    )
