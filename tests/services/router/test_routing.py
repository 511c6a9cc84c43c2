# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests by model name reach the right server, or the right error: by status, and within the moment."""

from __future__ import annotations

import json
from typing import Any

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.support.model_server import Reply, wait_until
from tests.support.ports import free_port
from tests.support.router_process import RouterProcess


def chat(router: RouterProcess, model: Any = "org/chat", **members: Any) -> Reply:
    """Ask for a completion."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], **members}
    return router.request(
        "POST", "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


def error(reply: Reply) -> dict[str, Any]:
    """Return the error of an answer, which must have OpenAI's shape."""
    assert reply.headers["content-type"] == "application/json"
    found: dict[str, Any] = reply.json["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert found["message"]
    return found


def test_a_request_reaches_the_model_that_it_names(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    first, second = start_engine("org/first"), start_engine("org/second")
    registry.put("org/first", first.url)
    registry.put("org/second", second.url + "/")
    registry.put("org/elsewhere", first.url, environment="production")
    router = start_router()
    for model in ("org/first", "org/second"):
        reply = chat(router, model)
        assert reply.status == 200
        assert reply.json["model"] == model
    assert second.metric("vllm:request_success_total", model_name="org/second") == 1
    assert chat(router, "org/elsewhere").status == 404


def test_a_status_that_is_not_ready_has_its_own_error(
    registry: RegistryRows, start_router: StartRouter
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    router = start_router()
    for status, desired_state, http_status, code in (
        ("pending", "enabled", 503, "model_not_ready"),
        ("deploying", "enabled", 503, "model_not_ready"),
        ("failed", "enabled", 503, "model_not_ready"),
        ("degraded", "enabled", 503, "model_degraded"),
        ("draining", "enabled", 503, "model_draining"),
        ("disabled", "disabled", 404, "model_disabled"),
        ("deploying", "disabled", 404, "model_disabled"),
    ):
        model = f"org/{status}-{desired_state}"
        registry.put(model, endpoint, status, desired_state)
        reply = chat(router, model)
        assert (reply.status, error(reply)["code"]) == (http_status, code), model
        assert error(reply)["param"] == "model"
        assert ("retry-after" in reply.headers) == (http_status == 503)


def test_an_unknown_model_is_not_found(registry: RegistryRows, start_router: StartRouter) -> None:
    reply = chat(start_router(), "org/none")
    assert reply.status == 404
    assert error(reply)["code"] == "model_not_found"


def test_the_first_request_after_a_registration_works(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    router = start_router()
    for _round in range(10):
        registry.remove("org/chat")
        wait_until(lambda: chat(router).status == 404)
        registry.put("org/chat", engine.url)
        assert chat(router).status == 200


def test_a_disabled_model_is_gone_within_the_moment(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine()
    registry.put("org/chat", engine.url)
    router = start_router(poll_interval_s="30")
    wait_until(lambda: router.get("/readyz").json["listening"]["ok"])
    assert chat(router).status == 200
    registry.put("org/chat", engine.url, "disabled", "disabled")
    epoch = registry.epoch()
    # The router says what it has applied; a program that disables waits for just this.
    wait_until(lambda: registry.query("SELECT epoch FROM router_instances") == [(epoch,)], 2)
    assert error(chat(router))["code"] == "model_disabled"
