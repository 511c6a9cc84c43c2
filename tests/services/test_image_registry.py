# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a registry of images says, over TLS as it is spoken, and with the tokens that it gives to anybody."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.image_registry import Place, ask
from tests.support.listeners import closed_port
from tests.support.tls import Pair

#: What the token server answers for a repository, which asks for a token if it is listed here.
TOKENS = {
    "org/token": (200, '{"token": "t-secret"}'),
    "org/access": (200, '{"access_token": "t-secret", "expires_in": 60}'),
    "org/both": (200, '{"token": "t-secret", "access_token": "t-other"}'),
    "org/query": (200, '{"token": "t-secret"}'),
    "org/refused": (401, '{"errors": [{"code": "UNAUTHORIZED"}]}'),
    "org/denied": (403, '{"errors": [{"code": "DENIED"}]}'),
    "org/empty": (200, "{}"),
    "org/null": (200, '{"token": null}'),
    "org/list": (200, "[]"),
    "org/hidden": (200, '{"token": "t-of-nobody"}'),
    "org/header": (200, '{"token": "t-secret\\r\\nX: y"}'),
    "org/page": (200, "<html>t-secret</html>"),
    "org/broken": (503, "{}"),
    "org/nowhere": (404, "{}"),
}
#: Repositories with another challenge than the usual one for the token server.
CHALLENGES = {
    "org/query": 'Bearer realm="https://{host}/token?service=registry"',
    "org/basic": 'Basic realm="registry"',
    "org/silent": "",
    "org/plain": 'Bearer realm="http://{host}/token",service="registry"',
    "org/away": f'Bearer realm="https://127.0.0.1:{closed_port()}/token",service="registry"',
    "org/file": 'Bearer realm="file:///etc/passwd"',
    "org/login": 'Bearer realm="https://user:t-secret@{host}/token"',
}


class Registry(BaseHTTPRequestHandler):
    """Has images for everybody, with a token and without, and some for who logs in."""

    def do_GET(self) -> None:
        """Answer to a request for a manifest or a token."""
        url = urlsplit(self.path)
        if url.path == "/token":
            scope = parse_qs(url.query)["scope"][0]
            asked = parse_qs(url.query)["service"] == ["registry"] and "Authorization" not in self.headers
            kind, repository, action = scope.split(":")
            asked = asked and (kind, action) == ("repository", "pull")
            self.answer(*(TOKENS[repository] if asked else (400, "")))
            return
        repository, _, reference = url.path.removeprefix("/v2/").partition("/manifests/")
        host = self.headers["Host"]
        challenge = CHALLENGES.get(repository)
        if repository in TOKENS and challenge is None:
            challenge = (
                f'Bearer realm="https://{host}/token",service="registry",scope="repository:{repository}:pull"'
            )
        if "manifest" not in self.headers.get("Accept", ""):
            self.answer(406)
        elif challenge is not None and self.headers.get("Authorization") != "Bearer t-secret":
            self.answer(401, challenge=challenge.format(host=host))
        else:
            self.answer(200 if reference == "1" else 404)

    def answer(self, status: int, body: str = "{}", challenge: str = "") -> None:
        """Send one whole answer."""
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the host of a registry whose certificate this machine trusts."""
    pem = Pair.issue("registry").write(tmp_path, "registry")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("image", "status"),
    [
        ("model:1", 200),
        ("model:2", 404),
        ("token:1", 200),
        ("token:2", 404),
        ("access:1", 200),
        ("both:1", 200),
        ("query:1", 200),
        # Who gets no token has no login, whatever the server makes of that.
        ("refused:1", 401),
        ("denied:1", 401),
        ("empty:1", 401),
        ("null:1", 401),
        ("hidden:1", 401),
        ("basic:1", 401),
        ("silent:1", 401),
    ],
)
def test_what_it_has(host: str, image: str, status: int) -> None:
    answer = ask(Place.of(f"{host}/org/{image}"), 10)
    assert (answer.status, answer.why, answer.away) == (status, "", False)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("page:1", "which gave none: "),
        ("header:1", "which gave none: what it gave cannot be one"),
        ("list:1", "which gave none: "),
        ("broken:1", "which gave none: it answered 503"),
        # The token server has no such page, which says nothing of the image.
        ("nowhere:1", "which gave none: it answered 404"),
        ("plain:1", "wants a token of http://"),
        ("file:1", "wants a token of file://"),
        ("login:1", "wants a token of "),
        ("away:1", "which gave none: "),
    ],
)
def test_a_token_server_that_does_not_work(host: str, image: str, why: str) -> None:
    answer = ask(Place.of(f"{host}/org/{image}"), 10)
    # The registry itself was reached: that says nothing of its other images.
    assert (answer.status, answer.away) == (0, False)
    assert why in answer.why
    assert "t-secret" not in answer.why


def test_a_certificate_that_nobody_trusts(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    answer = ask(Place.of(f"{host}/org/model:1"), 10)
    assert (answer.status, answer.away) == (0, True)
    assert "certificate" in answer.why


def test_nobody_is_there() -> None:
    answer = ask(Place.of(f"127.0.0.1:{closed_port()}/org/model:1"), 10)
    assert (answer.status, answer.away, "refused" in answer.why) == (0, True, True)
