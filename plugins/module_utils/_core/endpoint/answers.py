# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a model server's answers mean: pure functions from bytes to results or a typed rejection.

An HTTP 200 proves nothing: it may carry an error, no choices or no text (vLLM and gateways before it have
done all three), and a stream may end without ever having said anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..common.errors import ErrorClass
from ..common.redaction import excerpt

_SHOWN_CHARACTERS = 500
_SHOWN_MODELS = 50
_FINISHED = ("stop", "length")
# A model that thinks first may spend all of a small max_tokens on it: that is generated text as well.
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "text")


class Again(Enum):
    """Whether asking again may help."""

    NEVER = "never"  #: the same question gets the same answer
    FEW = "few"  #: once may be chance, three times is not
    WAIT = "wait"  #: the server is not ready yet


class Rejection(Exception):  # noqa: N818  (it is a verdict first, and raised only to end a check)
    """An answer, or the lack of one, that a working model server does not give."""

    def __init__(
        self,
        reason: str,
        advice: str,
        again: Again,
        error_class: ErrorClass = ErrorClass.VERIFICATION,
        *,
        of_the_server: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.again = again
        self.error_class = error_class
        self.of_the_server = of_the_server  #: it is the server that is not ready, not the way to it


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: header names in lower case, body as (seconds since the request, bytes).

    Where it came ``via_api_server``, the answer may be that server's own and not the model server's.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Sequence[tuple[float, bytes]]
    seconds: float
    via_api_server: bool = False

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(chunk for _moment, chunk in self.chunks)

    @property
    def is_stream(self) -> bool:
        """Tell whether the body is a stream of server-sent events."""
        return self.headers.get("content-type", "").lower().startswith("text/event-stream")


@dataclass(frozen=True)
class ServedModel:
    """One entry of ``/v1/models``."""

    name: str
    root: str


@dataclass(frozen=True)
class Completion:
    """A completion that was really generated. Token counts are ``None`` where the server tells none."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    first_token_s: float | None
    latency_s: float


def shown(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """Return text from a server as it may be shown: short, printable, valid UTF-8, without secrets."""
    return excerpt(text.encode("utf-8", "replace").decode(), limit)


def check_health(answer: Answer, path: str) -> None:
    """Accept a 200; any 5xx is a server that is not ready (or no longer is)."""
    _check_passing(answer, path)
    if answer.status == 200:
        return
    if answer.status >= 500 or answer.status == 429:
        raise Rejection(
            f"{path} answered {_described(answer)}",
            "The server is still loading or its engine has died: read the pod's log.",
            Again.WAIT,
            of_the_server=True,
        )
    raise Rejection(
        f"{path} answered {_described(answer)} instead of 200",
        "Check health_path: vLLM serves /health and has no /ready.",
        Again.NEVER,
    )


def parse_models(answer: Answer) -> list[ServedModel]:
    """Return the models that the server lists."""
    data = _json_object(answer, "/v1/models").get("data")
    if not isinstance(data, list):
        raise _malformed("/v1/models", "has no list 'data'", answer)
    models = []
    for entry in data[:_SHOWN_MODELS]:
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise _malformed("/v1/models", "has an entry without a text 'id'", answer)
        root = entry.get("root")
        models.append(ServedModel(shown(name, 512), shown(root, 512) if isinstance(root, str) else ""))
    return models


def check_models(models: Sequence[ServedModel], name: str, root: str | None) -> None:
    """Accept only if the model is served under its name, and from the expected root if one is given."""
    names = [model.name for model in models]
    match = next((model for model in models if model.name == name), None)
    if match is None:
        raise Rejection(
            f"/v1/models does not list {name!r}; it lists {names}",
            "Deploy with the served model name that clients ask for (--served-model-name), "
            "or check that this Service belongs to the model.",
            Again.NEVER,
        )
    if root is not None and match.root != root:
        raise Rejection(
            f"{name!r} is served from {match.root!r}, not from {root!r}",
            "Another model or revision runs under this name: check the release's model source.",
            Again.NEVER,
        )


def parse_completion(answer: Answer, path: str, model: str, served: Sequence[str] = ()) -> Completion:
    """Return the completion if the answer holds a real one for the model.

    ``served`` are the names that ``/v1/models`` listed. A server that has several for a model puts the first
    into its answers, whichever it was asked by.
    """
    if answer.status == 404:
        raise Rejection(
            f"{path} does not know the model {model!r}: {_described(answer)}",
            f"The server serves {list(served)}. Ask for one of these, or deploy with that served model name.",
            Again.NEVER,
        )
    if answer.is_stream and answer.status == 200:
        return _from_events(answer, path, model, served)
    document = _json_object(answer, path)
    choice = _choice(document, path, answer)
    text = _text(choice.get("message")) or _text(choice)
    done = _completion(answer, path, document, [text], choice.get("finish_reason"), None)
    _check_name(path, model, document, served)
    return done


def _from_events(answer: Answer, path: str, model: str, served: Sequence[str]) -> Completion:
    """Read a stream: text from all events, finish_reason and usage from those that carry them."""
    texts: list[str] = []
    merged: dict[str, Any] = {}
    finish_reason: Any = None
    first_token_s: float | None = None
    ended = False
    for moment, data in _events(answer.chunks):
        if data == b"[DONE]":
            ended = True
            break
        event = _object(data)
        if event is None:
            raise _malformed(path, "streams an event that is not a JSON object", answer)
        _check_no_error(event, path, "streams an error")
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            text = _text(choices[0].get("delta")) or _text(choices[0])
            if text:
                texts.append(text)
                first_token_s = moment if first_token_s is None else first_token_s
            finish_reason = choices[0].get("finish_reason") or finish_reason
        merged.update({key: event[key] for key in ("model", "usage") if event.get(key)})
    if not ended:
        raise Rejection(
            f"{path} ended its stream without [DONE] after {len(texts)} pieces of text",
            "The server or something between dropped the stream: read the pod's log.",
            Again.FEW,
        )
    done = _completion(answer, path, merged, texts, finish_reason, first_token_s)
    _check_name(path, model, merged, served)
    return done


def _check_name(path: str, model: str, document: Mapping[str, Any], served: Sequence[str]) -> None:
    named = document.get("model")
    if named == model or (model in served and named in served):
        return
    raise Rejection(
        f"{path} answered for the model {shown(str(named), 200)!r}, not {model!r}",
        "Another model serves under this endpoint: check the release and the Service's selector.",
        Again.NEVER,
    )


def _completion(
    answer: Answer,
    path: str,
    document: Mapping[str, Any],
    texts: Sequence[str],
    finish_reason: Any,
    first_token_s: float | None,
) -> Completion:
    text = "".join(texts)
    if not text.strip():
        raise Rejection(
            f"{path} answered 200 without any text (finish_reason {shown(str(finish_reason), 50)!r})",
            "The engine generates nothing: check the chat template and the model files, read the pod's log.",
            Again.NEVER,
        )
    if finish_reason not in _FINISHED:
        raise Rejection(
            f"{path} ended with finish_reason {shown(str(finish_reason), 50)!r}, not 'stop' or 'length'",
            "Generation was cut off by the server: read the pod's log.",
            Again.NEVER,
        )
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Completion(
        shown(text, 200),
        finish_reason,
        _count(counts.get("prompt_tokens")),
        _count(counts.get("completion_tokens")),
        first_token_s,
        answer.seconds,
    )


def _check_passing(answer: Answer, path: str) -> None:
    """Reject what no path of a reachable model server answers: refusals, redirects, the API server's own."""
    status = answer.status
    if answer.via_api_server:
        _check_api_server(answer, path)
    if 300 <= status < 400:
        target = shown(answer.headers.get("location", ""), 200)
        raise Rejection(
            f"{path} answered {status}, a redirect to {target!r}",
            "Redirects are not followed. Give the address of the model server itself.",
            Again.NEVER,
        )
    if status in (401, 403):
        raise Rejection(
            f"{path} answered {_described(answer)}",
            "The server wants an API key: give api_key_secret (vllm_api_key_secret), the Secret it "
            "was deployed with, or endpoint_api_key, and check that it is the present one.",
            Again.NEVER,
            ErrorClass.AUTH,
        )


def _check_api_server(answer: Answer, path: str) -> None:
    """Reject an answer that the API server's proxy gave itself: it is a ``Status`` object."""
    if answer.status < 400:
        return
    status = _object(answer.body)
    if status is None or status.get("kind") != "Status" or status.get("apiVersion") != "v1":
        return
    seen = f"The API server's proxy answered {answer.status} to {path}: {shown(str(status.get('message')))}"
    if answer.status in (401, 403):
        raise Rejection(
            seen,
            "Ask for the right to get services/proxy in the namespace, or use access: port_forward or dns.",
            Again.NEVER,
            ErrorClass.AUTH,
        )
    if answer.status == 404:
        raise Rejection(seen, "Deploy the model first.", Again.NEVER, ErrorClass.INVALID)
    raise Rejection(seen, "Read the state and the log of the Service's pods.", Again.WAIT)


def _json_object(answer: Answer, path: str) -> dict[str, Any]:
    _check_passing(answer, path)
    if answer.status == 429 or answer.status >= 500:
        raise Rejection(
            f"{path} answered {_described(answer)}",
            "The server is up but fails requests: read the pod's log.",
            Again.FEW,
        )
    if answer.status != 200:
        raise Rejection(
            f"{path} answered {_described(answer)}",
            "The server refuses the request: check that it speaks vLLM's OpenAI-compatible API.",
            Again.NEVER,
        )
    document = _object(answer.body)
    if document is None:
        raise _malformed(path, "is not a JSON object", answer)
    _check_no_error(document, path, "carries an error")
    return document


def _check_no_error(document: Mapping[str, Any], path: str, what: str) -> None:
    if document.get("error") or document.get("object") == "error":
        error = document.get("error") or document
        message = error.get("message") if isinstance(error, Mapping) else None
        raise Rejection(
            f"{path} answered 200 but {what}: {shown(str(message or error))}",
            "The engine fails requests while the API looks well: read the pod's log.",
            Again.NEVER,
        )


def _choice(document: Mapping[str, Any], path: str, answer: Answer) -> dict[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed(path, "has no choices", answer)
    return choices[0]


def _events(chunks: Sequence[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """Return the ``data`` of server-sent events, each with the moment when its line was complete."""
    events: list[tuple[float, bytes]] = []
    rest = b""
    for moment, chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        events.extend((moment, line[5:].strip()) for line in lines if line.startswith(b"data:"))
    if chunks and rest.startswith(b"data:"):
        events.append((chunks[-1][0], rest[5:].strip()))
    return events


def _object(data: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or ``None`` for anything else, however hostile."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _text(holder: Any) -> str:
    if not isinstance(holder, Mapping):
        return ""
    return "".join(holder[name] for name in _TEXT_FIELDS if isinstance(holder.get(name), str))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _described(answer: Answer) -> str:
    text = shown(answer.body[:4096].decode("utf-8", "replace"))
    return f"{answer.status}: {text}" if text else str(answer.status)


def _malformed(path: str, problem: str, answer: Answer) -> Rejection:
    return Rejection(
        f"{path} answered 200, but the body {problem}: "
        f"{shown(answer.body[:4096].decode('utf-8', 'replace')) or 'empty'}",
        "Something else than a model server answers there, or a proxy alters its answers.",
        Again.NEVER,
    )
