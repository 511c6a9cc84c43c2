# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a registry of images says, over TLS as it is spoken."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.image_registry import Place, ask
from tests.support.listeners import closed_port
from tests.support.tls import Pair

MANIFESTS = {"/v2/org/model/manifests/1": 200, "/v2/org/private/manifests/1": 401}


class Registry(BaseHTTPRequestHandler):
    """Has one image for everybody, and one for who logs in."""

    def do_GET(self) -> None:
        """Answer to a request for a manifest."""
        accepted = "manifest" in self.headers.get("Accept", "")
        self.send_response(MANIFESTS.get(self.path, 404) if accepted else 406)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

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
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("image", "status"), [("model:1", 200), ("private:1", 401), ("model:2", 404)])
def test_what_it_has(host: str, image: str, status: int) -> None:
    assert ask(Place.of(f"{host}/org/{image}"), 10).status == status


def test_a_certificate_that_nobody_trusts(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    answer = ask(Place.of(f"{host}/org/model:1"), 10)
    assert answer.status == 0
    assert "certificate" in answer.why


def test_nobody_is_there() -> None:
    answer = ask(Place.of(f"127.0.0.1:{closed_port()}/org/model:1"), 10)
    assert (answer.status, "refused" in answer.why) == (0, True)
