# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics pages of all pods behind a Service, read through the API server."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..cluster.access import NotReadyError, Route, ServicePort, pods_behind, route_to_pod
from ..cluster.client import ClusterClient
from ..cluster.timed_http import TooLargeError, TooSlowError, fetch
from ..common.errors import ErrorClass, PlatformError
from .exposition import ExpositionError, Sample, parse_exposition

_PAGE_LIMIT_S = 5.0
_MAX_PAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Reading:
    """What the pods showed at one time, by their names, and why some showed nothing."""

    at: datetime
    pods: Mapping[str, Sequence[Sample]]
    unread: Mapping[str, str] = field(default_factory=dict)


#: Reads all pods of something once; raises ``PlatformError``.
Reader = Callable[[], Reading]


def pods_of_service(client: ClusterClient, service: str, namespace: str, port: int) -> Reader:
    """Return what reads the pods behind a Service: each by a port-forward, ready or not."""

    def read() -> Reading:
        target = ServicePort.find(client, service, namespace, port)
        pods = pods_behind(client, target)
        return read_pages({pod.name: route_to_pod(client, namespace, pod) for pod in pods})

    return read


def read_pages(routes: Mapping[str, Route]) -> Reading:
    """Read a page from each pod; one that cannot be read is told, what concerns all of them is raised."""
    at = datetime.now(UTC)
    pods: dict[str, Sequence[Sample]] = {}
    unread: dict[str, str] = {}
    for name, route in routes.items():
        try:
            pods[name] = _page(route)
        except TooSlowError as error:
            unread[name] = str(error)
        except (OSError, http.client.HTTPException, NotReadyError, TooLargeError, ExpositionError) as error:
            unread[name] = str(error) or type(error).__name__
    if unread and not pods:
        name, why = next(iter(unread.items()))
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"No pod shows its metrics; {name}: {why}",
            "Look at the pods; a port-forward needs the right to create pods/portforward.",
            {"unread": dict(unread)},
        )
    return Reading(at, pods, unread)


def _page(route: Route) -> list[Sample]:
    answer = fetch(route, "/metrics", _PAGE_LIMIT_S, _MAX_PAGE_BYTES, headers={"Accept": "text/plain"})
    if answer.status != 200:
        raise ExpositionError(f"/metrics answers {answer.status}")
    try:
        return parse_exposition(answer.body.decode())
    except UnicodeDecodeError:
        raise ExpositionError("/metrics is not UTF-8") from None
