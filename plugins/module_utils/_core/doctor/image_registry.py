# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a registry of images says of an image to somebody without a login, asked from this machine."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlencode

from ..cluster.access import NotReadyError, route_to_url
from ..cluster.timed_http import Fetched, TooLargeError, TooSlowError, fetch
from ..common.errors import PlatformError
from ..common.redaction import excerpt

_DOCKER = "registry-1.docker.io"
#: Where registries give a token to anybody, and the name by which they call themselves there.
_TOKENS = {
    _DOCKER: ("https://auth.docker.io", "/token", "registry.docker.io"),
    "ghcr.io": ("https://ghcr.io", "/token", "ghcr.io"),
    "nvcr.io": ("https://nvcr.io", "/proxy_auth", "nvcr.io"),
    "quay.io": ("https://quay.io", "/v2/auth", "quay.io"),
}
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_MAX_BYTES = 4_000_000


@dataclass(frozen=True)
class Place:
    """Where an image is."""

    host: str
    repository: str
    reference: str

    @classmethod
    def of(cls, image: str) -> Place:
        """Read an image's name as container runtimes do."""
        name, _at, digest = image.partition("@")
        head, slash, rest = name.partition("/")
        named = bool(slash) and ("." in head or ":" in head or head == "localhost")
        host, path = (head, rest) if named else ("docker.io", name)
        folder, colon, tag = path.rpartition(":")
        repository = folder if colon else path
        if host in ("docker.io", "index.docker.io"):
            host = _DOCKER
            repository = repository if "/" in repository else f"library/{repository}"
        return cls(host, repository, digest or (tag if colon else "latest"))


@dataclass(frozen=True)
class Answer:
    """The status of the answer, 0 for none, and then why."""

    status: int
    why: str = ""


def ask(place: Place, limit_s: float) -> Answer:
    """Ask for the manifest of an image; a registry that is not reached has the status 0."""
    headers = {"Accept": _ACCEPT}
    try:
        if place.host in _TOKENS:
            headers["Authorization"] = f"Bearer {_token(place, limit_s)}"
        path = f"/v2/{place.repository}/manifests/{place.reference}"
        return Answer(_get(f"https://{place.host}", path, limit_s, headers).status)
    except (
        *(OSError, http.client.HTTPException, ValueError, KeyError),
        *(TooSlowError, TooLargeError, NotReadyError, PlatformError),
    ) as error:
        return Answer(0, excerpt(str(error), 200).rstrip("."))


def _token(place: Place, limit_s: float) -> str:
    server, path, service = _TOKENS[place.host]
    query = urlencode({"service": service, "scope": f"repository:{place.repository}:pull"})
    return str(json.loads(_get(server, f"{path}?{query}", limit_s, {}).body)["token"])


def _get(server: str, path: str, limit_s: float, headers: dict[str, str]) -> Fetched:
    return fetch(route_to_url(server), path, limit_s, _MAX_BYTES, headers=headers)
