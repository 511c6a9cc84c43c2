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
from llmops_health.answers import Result, judge_completion, judge_health

MODEL = "org/model"


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
    assert judge_completion(200, body, MODEL).healthy


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON: <html>"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (completion(error={"message": "EngineCore died"}), "EngineCore died"),
        (b'{"object": "error", "message": "gone"}', "gone"),
        (completion(model="other/model"), "other/model"),
        (completion(choices=[]), "without choices"),
        (completion(choices=None), "without choices"),
        (completion(choices=["text"]), "without choices"),
        (completion(**message(content="")), "without any text"),
        (completion(**message(content=" \n")), "without any text"),
        (completion(choices=[{"message": None}]), "without any text"),
    ],
)
def test_a_200_that_is_no_completion_is_a_failure(body: bytes, told: str) -> None:
    verdict = judge_completion(200, body, MODEL)
    assert verdict.result is Result.FAILED
    assert told in verdict.reason
    assert len(verdict.reason) < 400


@pytest.mark.parametrize("status", [400, 404, 302, 500, 502, 503])
def test_other_statuses_are_failures(status: int) -> None:
    verdict = judge_completion(status, b'{"error": "why"}', MODEL)
    assert verdict.result is Result.FAILED
    assert f"{status}: " in verdict.reason


@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_engine_that_refuses_us_is_alive(status: int) -> None:
    assert judge_completion(status, b"", MODEL).result is Result.INCONCLUSIVE


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (204, False), (302, False), (503, False)])
def test_health_is_200_and_nothing_else(status: int, healthy: bool) -> None:
    assert judge_health(status, b"").healthy is healthy


@given(st.integers(100, 599), st.binary(max_size=300))
def test_whatever_comes_is_judged_in_one_printable_line(status: int, body: bytes) -> None:
    for verdict in (judge_health(status, body), judge_completion(status, body, MODEL)):
        assert verdict.healthy is (verdict.reason == "")
        assert verdict.reason.isprintable()
