# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router to be abused, with one model behind it, and how to send it bytes that no library would send."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.services.faults.world import STEADY, World, running_world
from tests.support.router_process import RouterProcess

MODEL = STEADY[0]
#: What the abused router takes.
MAX_BODY_BYTES = 65_536
BODY_TIMEOUT_S = 1.0
# What uvicorn says to what is no HTTP at all; no request exists then that could be answered in JSON.
_NO_HTTP = b"Invalid HTTP request received."


@dataclass(frozen=True)
class Answer:
    """What came back. ``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_no_http(self) -> bool:
        """Say whether the server below the router did not understand that it was asked anything."""
        return self.status == 400 and self.body == _NO_HTTP

    @property
    def error(self) -> dict[str, Any]:
        """Return the error of OpenAI's shape; fail where the answer has another one."""
        assert self.headers.get("content-type", "").split(";")[0] == "application/json", self
        content = json.loads(self.body)
        assert isinstance(content, dict), self
        assert set(content) == {"error"}, self
        error: dict[str, Any] = content["error"]
        assert {"message", "type", "param", "code"} <= set(error), self
        assert isinstance(error["message"], str), self
        assert error["message"], self
        assert isinstance(error["type"], str), self
        return error


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a registry, a model server and what else a router needs."""
    with running_world(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.fixture(scope="module")
def router(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    """Return the router; at the end it has to be well still."""
    settings = {"max_body_bytes": str(MAX_BODY_BYTES), "body_timeout_s": str(BODY_TIMEOUT_S)}
    folder = tmp_path_factory.mktemp("abused")
    with RouterProcess("abused", folder, world.dsn("router"), **settings) as running:
        yield running.wait_ready()
        assert running.is_ready()
        log = running.log.read_text(encoding="utf-8")
        assert "Traceback" not in log, log[-4000:]


def talk(router: RouterProcess, sent: bytes, method: str = "POST", timeout_s: float = 5.0) -> Answer | None:
    """Send bytes over a connection of their own and return the first answer; None if there was none."""
    with socket.create_connection(("127.0.0.1", router.port), timeout=timeout_s) as connection:
        # It may answer and hang up before it has everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read()
        except (http.client.RemoteDisconnected, ConnectionResetError, TimeoutError):
            return None
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)


def request(
    body: bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"POST",
    target: bytes = b"/v1/chat/completions",
    framing: bool = True,
) -> bytes:
    """Return a request as bytes; with ``framing`` it says how long its body is."""
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: router"]
    lines += [b"%s: %s" % header for header in headers]
    if framing:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
