# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of a model server's answers, from the regular to the malformed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.answers import (
    Again,
    Answer,
    Completion,
    Rejection,
    ServedModel,
    check_health,
    check_models,
    parse_completion,
    parse_models,
)

PATH = "/v1/chat/completions"
MODEL = "org/model-7b"


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, ((0.01, data),), 0.02)


def completion(**changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
    return {
        "model": MODEL,
        "choices": [{**choice, **changes.pop("choice", {})}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        **changes,
    }


def stream(*events: Any, done: bool = True) -> Answer:
    """Return a stream whose n-th event (from 1) came after n seconds."""
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    lines += [b"data: [DONE]\n\n"] if done else []
    chunks = tuple((float(position), line) for position, line in enumerate(lines, 1))
    return Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, chunks, float(len(lines)))


def delta(finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    return {"model": MODEL, "choices": [{"index": 0, "delta": members, "finish_reason": finish_reason}]}


def rejected(call: Any, *arguments: Any) -> Rejection:
    with pytest.raises(Rejection) as caught:
        call(*arguments)
    return caught.value


def test_completion() -> None:
    done = parse_completion(answer(completion()), PATH, MODEL)
    assert done == Completion("Hello.", "stop", 5, 2, None, 0.02)


def test_completion_of_the_text_api() -> None:
    body = {"model": MODEL, "choices": [{"text": "Hi", "finish_reason": "length"}]}
    done = parse_completion(answer(body), "/v1/completions", MODEL)
    assert (done.text, done.finish_reason, done.prompt_tokens) == ("Hi", "length", None)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_model_that_only_thought_has_generated(field: str) -> None:
    message = {"role": "assistant", "content": None, field: "The user says"}
    body = completion(choice={"message": message, "finish_reason": "length"})
    assert parse_completion(answer(body), PATH, MODEL).text == "The user says"


def test_stream_measures_the_first_text_not_the_first_event() -> None:
    usage = {"model": MODEL, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    events = (delta(role="assistant", content=""), delta(content="Hel"), delta("length", content="lo"), usage)
    done = parse_completion(stream(*events), PATH, MODEL)
    assert done == Completion("Hello", "length", 3, 2, first_token_s=2.0, latency_s=5.0)


def test_stream_cut_into_arbitrary_pieces_reads_the_same() -> None:
    whole = stream(delta(content="Hel"), delta("stop", content="lo")).body
    pieces = tuple((float(position), whole[position : position + 1]) for position in range(len(whole)))
    done = parse_completion(Answer(200, {"content-type": "text/event-stream"}, pieces, 9.0), PATH, MODEL)
    assert (done.text, done.finish_reason) == ("Hello", "stop")


@pytest.mark.parametrize(
    "given",
    [answer(completion(model="short")), stream({**delta("stop", content="Hello."), "model": "short"})],
)
def test_a_server_with_several_names_answers_with_the_first(given: Answer) -> None:
    assert parse_completion(given, PATH, MODEL, ["short", MODEL]).text == "Hello."
    for served in ([], ["short"], [MODEL]):
        assert "for the model 'short'" in rejected(parse_completion, given, PATH, MODEL, served).reason


@pytest.mark.parametrize(
    ("given", "words", "again"),
    [
        (
            answer({"error": {"message": "engine died", "code": 500}}),
            "carries an error: engine died",
            Again.NEVER,
        ),
        (answer({"object": "error", "message": "engine died"}), "carries an error: engine died", Again.NEVER),
        (answer(completion(choices=[])), "has no choices", Again.NEVER),
        (answer({"model": MODEL}), "has no choices", Again.NEVER),
        (answer(completion(choice={"message": {"content": "  "}})), "without any text", Again.NEVER),
        (answer(completion(choice={"message": None})), "without any text", Again.NEVER),
        (answer(completion(model="other")), "for the model 'other'", Again.NEVER),
        (answer(completion(choice={"finish_reason": "abort"})), "finish_reason 'abort'", Again.NEVER),
        (answer(completion(choice={"finish_reason": None})), "finish_reason 'None'", Again.NEVER),
        (answer(b"<html>login</html>"), "is not a JSON object: <html>", Again.NEVER),
        (answer(b""), "is not a JSON object: empty", Again.NEVER),
        (answer(b"[" * 100_000), "is not a JSON object", Again.NEVER),
        (answer(b"{}", 500), "answered 500", Again.FEW),
        (answer(b"busy", 429), "answered 429: busy", Again.FEW),
        (answer(b"no template", 400), "answered 400: no template", Again.NEVER),
        (answer(b"", 302, location="http://login.example/"), "redirect to 'http://login", Again.NEVER),
        (stream(), "without any text", Again.NEVER),
        (stream(delta(content="Hel"), done=False), "without [DONE] after 1 pieces", Again.FEW),
        (stream(delta(content="Hel"), {"error": {"message": "boom"}}), "streams an error: boom", Again.NEVER),
        (stream(delta(content="Hel"), [1]), "not a JSON object", Again.NEVER),
    ],
)
def test_rejections(given: Answer, words: str, again: Again) -> None:
    rejection = rejected(parse_completion, given, PATH, MODEL)
    assert words in rejection.reason
    assert rejection.again is again
    assert rejection.error_class is ErrorClass.VERIFICATION
    assert rejection.advice


def test_unknown_model_names_those_that_are_served() -> None:
    body = {"error": {"message": "The model `x` does not exist.", "code": 404}}
    rejection = rejected(parse_completion, answer(body, 404), PATH, MODEL, ["a", "b"])
    assert MODEL in rejection.reason
    assert "['a', 'b']" in rejection.advice


@pytest.mark.parametrize("status", [401, 403])
def test_missing_key_is_an_auth_error(status: int) -> None:
    rejection = rejected(parse_models, answer({"error": "Unauthorized"}, status))
    assert (rejection.error_class, rejection.again) == (ErrorClass.AUTH, Again.NEVER)
    assert "api_key_secret" in rejection.advice


@pytest.mark.parametrize(("status", "again"), [(503, Again.WAIT), (500, Again.WAIT), (404, Again.NEVER)])
def test_health(status: int, again: Again) -> None:
    check_health(answer(b"", 200), "/health")
    rejection = rejected(check_health, answer(b"why", status), "/health")
    assert rejection.again is again
    assert f"answered {status}: why" in rejection.reason


def test_models() -> None:
    models = parse_models(answer({"data": [{"id": MODEL, "root": "org/m"}, {"id": "lora"}]}))
    assert models == [ServedModel(MODEL, "org/m"), ServedModel("lora", "")]
    check_models(models, MODEL, None)
    check_models(models, MODEL, "org/m")
    assert "lists ['org/model-7b', 'lora']" in rejected(check_models, models, "other", None).reason
    assert "served from 'org/m', not from 'org/n'" in rejected(check_models, models, MODEL, "org/n").reason


@pytest.mark.parametrize(
    ("status", "error_class", "again"),
    [
        (403, ErrorClass.AUTH, Again.NEVER),
        (404, ErrorClass.INVALID, Again.NEVER),
        (503, ErrorClass.VERIFICATION, Again.WAIT),
    ],
)
def test_the_api_servers_own_answer_is_told_apart(status: int, error_class: ErrorClass, again: Again) -> None:
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "message": "no endpoints", "code": status})
    via_proxy = Answer(status, {}, ((0.0, body.encode()),), 0.0, via_api_server=True)
    rejection = rejected(check_health, via_proxy, "/health")
    assert (rejection.error_class, rejection.again) == (error_class, again)
    assert "The API server's proxy" in rejection.reason


def test_what_is_shown_is_printable_and_short() -> None:
    body = b'{"error": "\\u001b[31m\\ud800' + b"x" * 100_000 + b' Bearer sk-canary-1234"}'
    reason = rejected(parse_completion, answer(body), PATH, MODEL).reason
    assert "\x1b" not in reason
    assert "sk-canary" not in reason
    assert len(reason) < 1000
    reason.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "id", "root", "model", "choices", "message", "delta", "content", "text"])
            | st.sampled_from(["error", "finish_reason", "usage", "prompt_tokens", "object", "kind"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(JSON, max_size=4).map(
        lambda events: (
            b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
            + b"data: [DONE]\n\n"
        )
    )
)


@given(
    body=BODIES,
    status=st.sampled_from([200, 200, 200, 204, 301, 400, 401, 404, 429, 500, 503, 999]),
    content_type=st.sampled_from(["", "application/json", "text/event-stream", "TEXT/Event-Stream; x"]),
    cut=st.integers(0, 200),
    via_api_server=st.booleans(),
)
def test_any_answer_is_a_result_or_a_rejection(
    body: bytes, status: int, content_type: str, cut: int, via_api_server: bool
) -> None:
    chunks = ((0.1, body[:cut]), (0.2, body[cut:]))
    given = Answer(status, {"content-type": content_type}, chunks, 0.3, via_api_server)
    with contextlib.suppress(Rejection):
        check_health(given, "/health")
    with contextlib.suppress(Rejection):
        names = [model.name for model in parse_models(given)]
        json.dumps(names, ensure_ascii=False).encode()
    with contextlib.suppress(Rejection):
        done = parse_completion(given, PATH, MODEL)
        assert status == 200
        assert done.text.strip()
        assert done.finish_reason in ("stop", "length")
        json.dumps(done.text, ensure_ascii=False).encode()
