# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials of every shape, and answers that no API server would give."""

from __future__ import annotations

import http.server
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
    parse_answer,
    segment,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)


def kubeconfig(**user: str) -> str:
    """Return the text of a kubeconfig with one context."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": "http://api.example:6443"}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        }
    )


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "kubeconfig"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_credentials_come_from_the_kubeconfig_and_arguments_replace_them(tmp_path: Path) -> None:
    path = write(tmp_path, kubeconfig(token="from-file"))
    client = ClusterClient(Authentication(kubeconfig=path))
    assert client.server == "http://api.example:6443"
    assert client.credentials() == [("Authorization", "Bearer from-file")]
    client = ClusterClient(Authentication(kubeconfig=path, api_key="given", host="http://other:1"))
    assert client.server == "http://other:1"
    assert client.credentials() == [("Authorization", "Bearer given")]


def test_a_host_alone_takes_nothing_from_a_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", write(tmp_path, kubeconfig(token="from-file")))
    client = ClusterClient(Authentication(host="http://other:1"))
    assert (client.server, client.credentials()) == ("http://other:1", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "a: [1, 2",
        "[]",
        "{}",
        b"\xff\xfe\x00",
        kubeconfig().replace('"lab"', '"x"', 1),
        kubeconfig().replace('"contexts": [', '"contexts": [7, '),
    ],
)
def test_a_broken_kubeconfig_is_an_invalid_error_that_names_it(tmp_path: Path, text: str | bytes) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PlatformError, match=re.escape(path)) as caught:
        ClusterClient(Authentication(kubeconfig=path))
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details == {"field": "kubeconfig"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kubeconfig": "/nonexistent"}, ErrorClass.INVALID),
        ({"host": "https://h", "ca_cert": "/nonexistent"}, ErrorClass.AUTH),
    ],
)
def test_missing_files_are_named(given: dict[str, str], expected: ErrorClass) -> None:
    with pytest.raises(PlatformError) as caught:
        ClusterClient(Authentication(**given))  # type: ignore[arg-type]
    assert caught.value.error_class is expected


@pytest.mark.parametrize("host", ["not a url", "http://", "ftp://h", "http://h:port"])
def test_what_is_no_url_is_refused_at_once(host: str) -> None:
    with pytest.raises(PlatformError) as caught:
        ClusterClient(Authentication(host=host)).get("/version")
    assert caught.value.error_class is ErrorClass.INVALID


def test_certificates_that_cannot_be_read_are_an_auth_error(tmp_path: Path) -> None:
    broken = kubeconfig(**{"client-certificate-data": "Z2FyYmFnZQ==", "client-key-data": "Z2FyYmFnZQ=="})
    path = write(tmp_path, broken.replace("http://", "https://"))
    with pytest.raises(PlatformError, match="certificates") as caught:
        ClusterClient(Authentication(kubeconfig=path))
    assert caught.value.error_class is ErrorClass.AUTH


def test_arguments_become_authentication() -> None:
    params: dict[str, Any] = {"kubeconfig": "/k", "context": None, "validate_certs": False, "model": "x"}
    assert Authentication.from_params(params) == Authentication(kubeconfig="/k", validate_certs=False)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_name_stays_one_segment_of_a_path(name: str) -> None:
    quoted = segment(name)
    assert not set(quoted) & set("/?#& \n")
    assert unquote(quoted) == name


class _ForgetfulServer(http.server.BaseHTTPRequestHandler):
    """Gives the first page of a list, and has lost its history when the second is asked for."""

    def do_GET(self) -> None:
        more = "continue=" in self.path
        answer: dict[str, Any] = {
            "reason": "Expired",
            "message": "The provided continue parameter is too old",
        }
        if not more:
            answer = {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "token"}}
        data = json.dumps(answer).encode()
        self.send_response(410 if more else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


def test_a_list_that_changes_for_too_long_may_be_read_another_time() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _ForgetfulServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = ClusterClient(Authentication(host=f"http://127.0.0.1:{server.server_port}"))
        with pytest.raises(PlatformError, match="410") as caught:
            list(client.list_pages("/api/v1/pods"))
        server.shutdown()
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


@pytest.mark.parametrize("data", [b"", b"<html>Welcome</html>", b"[]", b"7", b"\xff", b'{"a": '])
def test_an_answer_that_is_no_object_is_an_infrastructure_error(data: bytes) -> None:
    with pytest.raises(PlatformError, match="did not answer with a JSON object") as caught:
        parse_answer(data, "http://h")
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE
