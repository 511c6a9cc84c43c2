# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a registry of images says of an image to somebody without a login, asked from this machine."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from ..cluster.access import NotReadyError, route_to_url
from ..cluster.timed_http import Fetched, TooLargeError, TooSlowError, fetch
from ..common.errors import PlatformError
from ..common.redaction import excerpt

_DOCKER = "registry-1.docker.io"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_MAX_BYTES = 4_000_000
_FAILURES = (
    *(OSError, http.client.HTTPException, ValueError),
    *(TooSlowError, TooLargeError, NotReadyError, PlatformError),
)


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
    """The status of the answer, 0 for none, and then why.

    ``away`` tells that the registry was not reached: it would not be for its other images, either.
    """

    status: int
    why: str = ""
    away: bool = False


class _TokenError(Exception):
    """The token server cannot be asked, or gives something else than an answer."""


def ask(place: Place, limit_s: float) -> Answer:
    """Ask for the manifest of an image, with a token if the registry gives one to anybody.

    Each of up to three requests has the limit. Where there is no token for anybody the status is 401.
    """
    server, headers = f"https://{place.host}", {"Accept": _ACCEPT}
    path = f"/v2/{place.repository}/manifests/{place.reference}"
    try:
        found = _get(server, path, limit_s, headers)
        if found.status == 401 and (challenge := _challenge(found)):
            token = _token(challenge, place, limit_s)
            if token:
                found = _get(server, path, limit_s, {**headers, "Authorization": f"Bearer {token}"})
    except _TokenError as error:
        return Answer(0, str(error).rstrip("."))
    except _FAILURES as error:
        return Answer(0, excerpt(str(error), 200).rstrip("."), away=True)
    return Answer(found.status)


def _challenge(found: Fetched) -> dict[str, str]:
    """Return what a registry says of its token server, nothing where it has none."""
    for line in found.headers.get_all("WWW-Authenticate", []):
        scheme, _space, rest = line.partition(" ")
        if scheme.lower() == "bearer":
            return dict(_PARAMETER.findall(rest))
    return {}


def _token(challenge: dict[str, str], place: Place, limit_s: float) -> str:
    """Return the token that anybody gets, empty where that is none. Raises ``_TokenError``."""
    try:
        realm = urlsplit(challenge.get("realm", ""))
        server = f"{realm.scheme}://{realm.hostname}"
    except ValueError as error:
        raise _TokenError("wants a token of what is no URL") from error
    if realm.scheme != "https" or realm.username is not None:
        raise _TokenError(f"wants a token of {server}, which is not asked: it has no TLS, or a login")
    none = f"wants a token of {server}, which gave none"
    query = {"scope": f"repository:{place.repository}:pull"}
    if "service" in challenge:
        query["service"] = challenge["service"]
    given = f"{realm.query}&" if realm.query else ""
    try:
        # What it answers is not shown: it may be a token.
        found = _get(f"https://{realm.netloc}", f"{realm.path or '/'}?{given}{urlencode(query)}", limit_s, {})
        body = json.loads(found.body) if found.status == 200 else {}
    except _FAILURES as error:
        raise _TokenError(f"{none}: {excerpt(str(error), 200)}") from error
    if found.status in (401, 403):
        return ""
    if found.status != 200:
        raise _TokenError(f"{none}: it answered {found.status}")
    if not isinstance(body, dict):
        raise _TokenError(f"{none}: its answer is no object")
    token = str(body.get("token") or body.get("access_token") or "")
    if not token.isascii() or not token.isprintable():
        raise _TokenError(f"{none}: what it gave cannot be one")
    return token


def _get(server: str, path: str, limit_s: float, headers: dict[str, str]) -> Fetched:
    return fetch(route_to_url(server), path, limit_s, _MAX_BYTES, headers=headers)
