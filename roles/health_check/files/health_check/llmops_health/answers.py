# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine's answer means: pure functions from status and body to a verdict.

An HTTP 200 proves nothing: it may carry an error, no choices or no text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .apis import Api

_SHOWN_CHARACTERS = 200
# What an engine says ends up in the registry, which every deployer reads.
_SECRETS = (
    re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^:/@\s]*:)[^@\s]+(?=@)", re.IGNORECASE),
    re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"(?P<head>--[a-z0-9-]*(?:api[-_]key|token|password|secret)[ =]+)(?!-)[^\s'\"]+", re.IGNORECASE
    ),
    # A number is no secret, but a limit of tokens.
    re.compile(
        r"(?P<head>(?:password|secret|token|api[-_]?key)s?(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?)"
        r"(?!\d+\b)[^\s\"',;&}]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<head>\b(?:hf_|sk-))[A-Za-z0-9_-]{8,}"),
)
_NOT_FOR_THIS_MODEL = re.compile(rb"chat template|not support", re.IGNORECASE)


class Result(StrEnum):
    """How one request ended; also the label of the metric."""

    OK = "ok"
    FAILED = "failed"  #: the endpoint was reached, and does not serve
    UNREACHABLE = "unreachable"  #: the connection was refused, or there is no such name
    UNRESOLVED = "unresolved"  #: the name service did not say where the endpoint is, nor that it is nowhere
    SILENT = "silent"  #: nothing came back to the attempt to connect, or something between forbade it
    INCONCLUSIVE = "inconclusive"  #: it answers, but does not let itself be asked


@dataclass(frozen=True)
class Verdict:
    """What one check found; ``reason`` is empty if it is ok."""

    result: Result
    reason: str = ""

    @property
    def healthy(self) -> bool:
        """Tell whether the endpoint serves."""
        return self.result is Result.OK

    @property
    def connected(self) -> bool:
        """Tell whether the endpoint was reached at all."""
        return self.result not in (Result.UNREACHABLE, Result.UNRESOLVED, Result.SILENT)


def judge_health(status: int, body: bytes) -> Verdict:
    """Return the verdict over an answer of ``/health``: vLLM says 200 as long as its engine lives."""
    if status == 200:
        return Verdict(Result.OK)
    return Verdict(Result.FAILED, f"/health answered {_described(status, body)}")


def is_offered(status: int, body: bytes, model: str) -> bool:
    """Tell whether the server has the API that was asked for, for this model, whatever it answered."""
    if status == 404:
        # A model that is not served is named in the answer; a path that does not exist is not about a model.
        return model.encode() in body
    if status == 400:
        return not _NOT_FOR_THIS_MODEL.search(body)
    return status not in (405, 501)


def judge_completion(status: int, body: bytes, api: Api) -> Verdict:
    """Return the verdict over an answer to a completion, or to whatever else the model can be asked for."""
    if status != 200:
        return _refused(status, body, api.path)
    document, problem = _parsed(body)
    problem = problem or api.lacks(document)
    return Verdict(Result.FAILED, f"{api.path} answered 200 {problem}") if problem else Verdict(Result.OK)


def judge_models(status: int, body: bytes, model: str) -> Verdict:
    """Return the verdict over an answer of ``/v1/models``: whether it lists the model."""
    if status != 200:
        return _refused(status, body, "/v1/models")
    document, problem = _parsed(body)
    models = document.get("data")
    if not problem and not isinstance(models, list):
        problem = f"without a list: {_shown(body)}"
    if problem:
        return Verdict(Result.FAILED, f"/v1/models answered 200 {problem}")
    if not any(isinstance(card, dict) and card.get("id") == model for card in models or []):
        return Verdict(Result.FAILED, f"/v1/models does not list {model!r}")
    return Verdict(Result.OK)


def model_named(body: bytes) -> str:
    """Return the model that an answer says it is of."""
    return one_line(str(_parsed(body)[0].get("model")))


def _refused(status: int, body: bytes, path: str) -> Verdict:
    """Return the verdict over an answer that is no 200."""
    # Who refuses this client is alive: that is no reason to take it away from the others.
    result = Result.INCONCLUSIVE if status in (401, 403, 429) else Result.FAILED
    return Verdict(result, f"{path} answered {_described(status, body)}")


def _parsed(body: bytes) -> tuple[dict[str, Any], str]:
    """Return the JSON object in a body, and what is wrong with it, if anything."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}, f"and no JSON: {_shown(body)}"
    if not isinstance(document, dict):
        return {}, f"and no JSON object: {_shown(body)}"
    if document.get("error") or document.get("object") == "error":
        return document, f"with an error: {_shown(body)}"
    return document, ""


def _described(status: int, body: bytes) -> str:
    text = _shown(body)
    return f"{status}: {text}" if text else str(status)


def _shown(body: bytes) -> str:
    text = body[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace")
    for pattern in _SECRETS:
        text = pattern.sub(r"\g<head>[hidden]", text)
    return one_line(text)


def one_line(text: str) -> str:
    """Return the beginning of a text from outside as one printable line."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_SHOWN_CHARACTERS]
