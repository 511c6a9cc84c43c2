# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unmodified OpenAI client through the router: answers as its objects, errors as its exceptions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import openai
import pytest

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.support.listeners import closed_port
from tests.support.model_server import wait_until
from tests.support.ports import free_port
from tests.support.router_process import RouterProcess

ASK: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there"}]


def client(router: RouterProcess, key: str = "sk-any") -> openai.OpenAI:
    """Return a client that does not try again by itself: the first answer counts."""
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key=key, max_retries=0, timeout=10)


def test_chat_stream_completion_and_list(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine().url)
    registry.put("org/later", f"http://127.0.0.1:{free_port()}", "deploying")
    asking = client(start_router())
    whole = asking.chat.completions.create(model="org/chat", messages=ASK)
    assert whole.model == "org/chat"
    assert whole.choices[0].message.content
    pieces = asking.chat.completions.create(model="org/chat", messages=ASK, stream=True)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content
    assert asking.completions.create(model="org/chat", prompt="Hello", max_tokens=4).choices[0].text
    assert [model.id for model in asking.models.list()] == ["org/chat"]
    assert asking.models.retrieve("org/chat").id == "org/chat"
    raw = asking.chat.completions.with_raw_response.create(
        model="org/chat", messages=ASK, extra_headers={"X-Request-Id": "call-7"}
    )
    assert raw.headers["x-request-id"] == "call-7"


def test_errors_are_its_exceptions(registry: RegistryRows, start_router: StartRouter) -> None:
    registry.put("org/disabled", None, "disabled", "disabled")
    registry.put("org/degraded", f"http://127.0.0.1:{free_port()}", "degraded")
    registry.put("org/gone", f"http://127.0.0.1:{closed_port()}")
    asking = client(start_router())
    for model, code in (("org/none", "model_not_found"), ("org/disabled", "model_disabled")):
        with pytest.raises(openai.NotFoundError) as missing:
            asking.chat.completions.create(model=model, messages=ASK)
        assert (missing.value.code, missing.value.param) == (code, "model")
        assert missing.value.request_id
    with pytest.raises(openai.NotFoundError):
        asking.models.retrieve("org/none")
    for model, status, code in (
        ("org/degraded", 503, "model_degraded"),
        ("org/gone", 502, "upstream_unreachable"),
    ):
        with pytest.raises(openai.InternalServerError) as failed:
            asking.chat.completions.create(model=model, messages=ASK, stream=True)
        assert (failed.value.status_code, failed.value.code) == (status, code)
    with pytest.raises(openai.BadRequestError) as wrong:
        asking.chat.completions.create(model="", messages=ASK)
    assert wrong.value.code == "invalid_model"


def test_a_stream_that_breaks_is_an_error(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine(MODEL_SERVER_ITL_MS="50", MODEL_SERVER_OUTPUT_TOKENS="100")
    registry.put("org/chat", engine.url)
    stream = client(start_router()).chat.completions.create(model="org/chat", messages=ASK, stream=True)
    assert next(stream).choices
    engine.process.kill()
    with pytest.raises(openai.APIError, match="broke off") as broken:
        list(stream)
    assert broken.value.code == "upstream_broken"


def _write_keys(path: Path, *keys: tuple[str, str, list[str]]) -> None:
    path.write_text(
        json.dumps(
            [
                {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "models": models}
                for name, key, models in keys
            ]
        ),
        encoding="utf-8",
    )


def test_keys_open_their_models(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine, tmp_path: Path
) -> None:
    """One key for everything, one for one model; model servers see the router's own key only."""
    registry.put("org/chat", start_engine("org/chat", VLLM_API_KEY="engine-key-1").url)
    registry.put("org/other", start_engine("org/other", VLLM_API_KEY="engine-key-2").url)
    keys = tmp_path / "keys.json"
    _write_keys(keys, ("all", "sk-all", ["*"]), ("one", "sk-one", ["org/chat"]))
    upstream = tmp_path / "upstream.json"
    upstream.write_text(json.dumps({"*": "engine-key-2", "org/chat": "engine-key-1"}), encoding="utf-8")
    router = start_router(api_keys_file=str(keys), upstream_keys_file=str(upstream), access_log="true")
    everything, one = client(router, "sk-all"), client(router, "sk-one")
    for model in ("org/chat", "org/other"):
        assert everything.chat.completions.create(model=model, messages=ASK).choices
    assert one.chat.completions.create(model="org/chat", messages=ASK).choices
    assert [model.id for model in one.models.list()] == ["org/chat"]
    assert len(list(everything.models.list())) == 2
    # A key learns nothing about models that it does not open, not even whether there are any.
    for model in ("org/other", "org/none"):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            one.chat.completions.create(model=model, messages=ASK)
        assert refused.value.code == "model_not_allowed"
    with pytest.raises(openai.NotFoundError):
        one.models.retrieve("org/other")
    with pytest.raises(openai.AuthenticationError) as unknown:
        client(router, "sk-wrong").chat.completions.create(model="org/chat", messages=ASK)
    assert unknown.value.code == "invalid_api_key"
    missing = router.get("/v1/models")
    assert missing.status == 401
    assert missing.json["error"]["code"] == "missing_api_key"
    # Probes and metrics need no key.
    assert router.get("/readyz").status == 200

    keys.write_text("[", encoding="utf-8")
    wait_until(lambda: "the old keys stay" in router.log.read_text(), 10)
    assert one.chat.completions.create(model="org/chat", messages=ASK).choices
    _write_keys(keys, ("new", "sk-new", ["*"]))
    wait_until(lambda: "keys were read again" in router.log.read_text(), 10)
    assert client(router, "sk-new").chat.completions.create(model="org/chat", messages=ASK).choices
    with pytest.raises(openai.AuthenticationError):
        one.chat.completions.create(model="org/chat", messages=ASK)
    log = router.log.read_text()
    assert '"key":"one"' in log
    for secret in ("sk-all", "sk-one", "sk-new", "sk-wrong", "engine-key", "Hello there"):
        assert secret not in log
