# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that speaks Prometheus' API and says what a test tells it: also what no real one would say."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from tests.support.raw_server import RawServer, Request, reply

#: What is asked, told by a part of its question; the first that fits.
PARTS = {
    "time": "vector(time())",
    "routers_up": '(up{namespace="routers"',
    "servers_up": '(up{namespace="llm"',
    "readings": "count_over_time",
    "queue": "avg_over_time",
    "buckets": "_bucket",
    "errors": "llmops_router_errors_total",
    "requests": "llmops_router_requests_total",
}


def series(value: object, **labels: str) -> dict[str, Any]:
    """Return a series as the API writes it."""
    return {"metric": labels, "value": [1, str(value)]}


def vector(*result: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an answer as the API writes it."""
    return {"status": "success", "data": {"resultType": "vector", "result": list(result)}, **more}


def well() -> dict[str, Any]:
    """Return the answers for one router with 100 good answers, and two model servers without a queue."""
    return {
        "routers_up": vector(series(1, pod="router-1")),
        "servers_up": vector(series(1, pod="vllm-a"), series(1, pod="vllm-b")),
        "readings": vector(series(20, pod="vllm-a"), series(20, pod="vllm-b")),
        "queue": vector(series(0, pod="vllm-a"), series(0, pod="vllm-b")),
        "buckets": vector(series(100, pod="router-1", le="1"), series(100, pod="router-1", le="+Inf")),
        "errors": vector(),
        "requests": vector(series(100, pod="router-1", status="200")),
    }


class ToldPrometheus(RawServer):
    """Answers well, but for what is told otherwise. Its clock may be wrong. A context manager."""

    def __init__(self, ahead_s: float = 0.0, answers: Mapping[str, Any] | None = None) -> None:
        super().__init__(self._answer)
        self._ahead_s = ahead_s
        self._answers = {**well(), **(answers or {})}
        #: What was asked: the fields of each form.
        self.asked: list[dict[str, str]] = []

    def _answer(self, request: Request, wire: socket.socket) -> bool:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.asked.append(form)
        name = next(name for name, part in PARTS.items() if part in form["query"])
        now = vector(series(f"{time.time() + self._ahead_s:.3f}"))
        answer = self._answers.get(name, now)
        send: Callable[[Request, socket.socket], bool] = reply(
            answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        )
        return send(request, wire)
