# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client gets where the router has a mistake."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmops_router.exchange import Message
from llmops_router.service import Service
from llmops_router.settings import read_settings

SETTINGS = read_settings(
    {"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN": "host=127.0.0.1 port=1"}
)


def test_a_mistake_has_the_shape_of_any_error_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []
    # No server hands this over, so nobody expects it.
    odd = [(b"content-length", b"many")]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": odd}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def play() -> str:
        service = Service(SETTINGS)
        await service.app(scope, receive, send)
        return service.metrics.render().decode()

    metrics = asyncio.run(play())
    assert sent[0]["status"] == 500
    assert (b"content-type", b"application/json") in sent[0]["headers"]
    error = json.loads(sent[1]["body"])["error"]
    assert (error["code"], error["type"]) == ("internal_error", "server_error")
    assert "many" not in error["message"]
    assert 'llmops_router_requests_total{model="unknown",status="500"} 1.0' in metrics
    assert 'llmops_router_errors_total{code="internal_error",model="unknown"} 1.0' in metrics
    assert "a mistake of the router" in caplog.text
