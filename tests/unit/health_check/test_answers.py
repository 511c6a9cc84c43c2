# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers mean: an HTTP 200 proves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmops_health.answers import (
    Result,
    is_offered,
    judge_completion,
    judge_health,
    judge_models,
    model_named,
)
from llmops_health.apis import APIS

MODEL = "org/model"
CHAT, TEXT, EMBEDDINGS = APIS


def completion(**members: Any) -> bytes:
    """Return a good completion, with some members changed."""
    message = {"role": "assistant", "content": "Hello."}
    return json.dumps({"model": MODEL, "choices": [{"message": message}], **members}).encode()


def message(**members: Any) -> dict[str, Any]:
    """Return the choices of one message."""
    return {"choices": [{"message": members}]}


@pytest.mark.parametrize(
    "body",
    [
        completion(),
        completion(error=None),
        # A model that thinks first may spend all its tokens on it.
        completion(**message(content=None, reasoning_content="Let me see")),
        completion(**message(content="", reasoning="Let me see")),
    ],
)
def test_a_completion_with_text_is_well(body: bytes) -> None:
    assert judge_completion(200, body, CHAT).healthy


def test_text_and_vectors_are_well_where_the_model_gives_those() -> None:
    assert judge_completion(200, completion(choices=[{"text": " four"}]), TEXT).healthy
    assert judge_completion(200, completion(data=[{"embedding": [0.1, 0.2]}]), EMBEDDINGS).healthy


@pytest.mark.parametrize("data", [None, [], [1], [{}], [{"embedding": []}]])
def test_a_200_without_a_vector_is_a_failure(data: Any) -> None:
    verdict = judge_completion(200, completion(data=data), EMBEDDINGS)
    assert verdict.result is Result.FAILED
    assert "without" in verdict.reason


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON: <html>"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (completion(error={"message": "EngineCore died"}), "EngineCore died"),
        (b'{"object": "error", "message": "gone"}', "gone"),
        (completion(choices=[]), "without choices"),
        (completion(choices=None), "without choices"),
        (completion(choices=["text"]), "without choices"),
        (completion(**message(content="")), "without any text"),
        (completion(**message(content=" \n")), "without any text"),
        (completion(choices=[{"message": None}]), "without any text"),
    ],
)
def test_a_200_that_is_no_completion_is_a_failure(body: bytes, told: str) -> None:
    verdict = judge_completion(200, body, CHAT)
    assert verdict.result is Result.FAILED
    assert told in verdict.reason
    assert len(verdict.reason) < 400


@pytest.mark.parametrize("status", [400, 404, 302, 500, 502, 503])
def test_other_statuses_are_failures(status: int) -> None:
    verdict = judge_completion(status, b'{"error": "why"}', CHAT)
    assert verdict.result is Result.FAILED
    assert f"{status}: " in verdict.reason


@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_engine_that_refuses_us_is_alive(status: int) -> None:
    assert judge_completion(status, b"", CHAT).result is Result.INCONCLUSIVE


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (204, False), (302, False), (503, False)])
def test_health_is_200_and_nothing_else(status: int, healthy: bool) -> None:
    assert judge_health(status, b"").healthy is healthy


# As vLLM says it, in its present and its older versions.
@pytest.mark.parametrize(
    ("status", "body", "offered"),
    [
        (404, b'{"detail":"Not Found"}', False),
        (405, b'{"detail":"Method Not Allowed"}', False),
        (501, b"", False),
        (400, b'{"error":{"message":"... you must provide a chat template if the tokenizer ..."}}', False),
        (400, b'{"object":"error","message":"The model does not support Chat Completions API"}', False),
        (404, b'{"error":{"message":"The model `org/model` does not exist."}}', True),
        (400, b'{"error":{"message":"max_tokens is too large"}}', True),
        (200, b"", True),
        (401, b"", True),
        (500, b"not supported", True),
    ],
)
def test_an_api_that_is_not_offered_is_told_from_one_that_fails(
    status: int, body: bytes, offered: bool
) -> None:
    assert is_offered(status, body, MODEL) is offered


def test_models_have_to_list_the_model() -> None:
    listed = json.dumps({"object": "list", "data": [{"id": "short"}, {"id": MODEL}]}).encode()
    assert judge_models(200, listed, MODEL).healthy
    assert "does not list 'org/other'" in judge_models(200, listed, "org/other").reason
    assert judge_models(401, b"", MODEL).result is Result.INCONCLUSIVE
    for bad in (b"", b"[]", b"{}", b'{"data": {}}', b'{"data": [1, {}]}', b'{"error": "x", "data": []}'):
        assert judge_models(200, bad, MODEL).result is Result.FAILED
    assert judge_models(404, b"", MODEL).result is Result.FAILED


@given(st.integers(100, 599), st.binary(max_size=300))
def test_whatever_comes_is_judged_in_one_printable_line(status: int, body: bytes) -> None:
    is_offered(status, body, MODEL)
    assert model_named(body).isprintable()
    for verdict in (
        judge_health(status, body),
        judge_models(status, body, MODEL),
        *(judge_completion(status, body, api) for api in APIS),
    ):
        assert verdict.healthy is (verdict.reason == "")
        assert verdict.reason.isprintable()


@pytest.mark.parametrize(
    "said",
    [
        b"OPENAI_API_KEY=c4n4ry password=c4n4ry",
        b'{"error": {"message": "no", "api_key": "c4n4ry"}}',
        b"started with --api-key c4n4ry",
        b"Authorization: Bearer c4n4ryc4n4ry",
        b"no access to https://ann:c4n4ry@hub/model",
        b"hf_c4n4ryc4n4ryc4n4ry",
    ],
)
def test_what_an_engine_says_is_shown_without_secrets(said: bytes) -> None:
    for verdict in (judge_health(500, said), judge_completion(500, said, CHAT), judge_models(200, said, "m")):
        assert verdict.reason
        assert "c4n4ry" not in verdict.reason
