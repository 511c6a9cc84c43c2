# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify a server by the arguments of a verification: find the way to it, its key, and ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cluster.access import route_to_url
from ..cluster.client import ClusterClient
from ..common.deadline import Deadline
from ..common.names import endpoint_url
from .arguments import find_route, read_api_key
from .probe import Expectation, verify

_EXPECTED = tuple(Expectation.__dataclass_fields__)


def verify_service(
    client: ClusterClient | None,
    arguments: Mapping[str, Any],
    deadline: Deadline,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Verify what checked arguments name (:mod:`arguments`); return the report as JSON data.

    ``client`` is needed unless a URL and no Secret is given. Raises ``verification`` with the report, and
    ``timeout``, ``auth``, ``invalid`` or ``infrastructure`` as :func:`probe.verify` does.
    """
    wanted = Expectation(**{name: arguments[name] for name in _EXPECTED})
    key = read_api_key(client, arguments)
    if arguments["url"]:
        route, endpoint = route_to_url(arguments["url"]), str(arguments["url"])
    else:
        endpoint = endpoint_url(arguments["service"], arguments["namespace"], arguments["port"])
        route = find_route(client, arguments)
    return verify(route, endpoint, wanted, deadline, progress, key)
