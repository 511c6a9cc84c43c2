# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where objects of a kind live in the API, as the API server itself tells it."""

from __future__ import annotations

from dataclasses import dataclass

from .client import ClusterClient, JSONObject, segment


@dataclass(frozen=True)
class Resource:
    """One kind of one API version; ``namespaced`` tells whether its objects live in namespaces."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def collection(self, namespace: str) -> str:
        """Return the API path of all objects of this kind in a namespace."""
        return f"{_root(self.api_version)}/namespaces/{segment(namespace)}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """Return the API path of one object."""
        return f"{self.collection(namespace)}/{segment(name)}"


class Resources:
    """Looks kinds up in the API server's own list, which is read once for each API version."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._known: dict[str, list[JSONObject]] = {}

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind, ``None`` where this cluster does not have it."""
        for entry in self._entries(api_version):
            # An entry such as deployments/scale is a part of an object, not an object.
            if entry["kind"] == kind and "/" not in entry["name"]:
                return Resource(api_version, kind, entry["name"], bool(entry["namespaced"]))
        return None

    def _entries(self, api_version: str) -> list[JSONObject]:
        if api_version not in self._known:
            found = self._client.find(_root(api_version)) or {}
            self._known[api_version] = found.get("resources") or []
        return self._known[api_version]


def _root(api_version: str) -> str:
    parts = "/".join(segment(part) for part in api_version.split("/", 1))
    return f"/apis/{parts}" if "/" in api_version else f"/api/{parts}"
