# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine's answer means: pure functions from status and body to a verdict.

An HTTP 200 proves nothing: it may carry an error, no choices or no text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_SHOWN_CHARACTERS = 200
# A model that thinks first may spend all of a small max_tokens on it: that is generated text as well.
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "text")


class Result(StrEnum):
    """How one request ended; also the label of the metric."""

    OK = "ok"
    FAILED = "failed"  #: the endpoint was reached, and does not serve
    UNREACHABLE = "unreachable"  #: the connection was refused, or there is no such name
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
        return self.result not in (Result.UNREACHABLE, Result.SILENT)


def judge_health(status: int, body: bytes) -> Verdict:
    """Return the verdict over an answer of ``/health``: vLLM says 200 as long as its engine lives."""
    if status == 200:
        return Verdict(Result.OK)
    return Verdict(Result.FAILED, f"/health answered {_described(status, body)}")


def judge_completion(status: int, body: bytes, model: str) -> Verdict:
    """Return the verdict over an answer to a chat completion."""
    if status in (401, 403, 429):
        # The engine is alive and refuses this client: that is no reason to take it away from the others.
        return Verdict(Result.INCONCLUSIVE, f"the completion answered {_described(status, body)}")
    if status != 200:
        return Verdict(Result.FAILED, f"the completion answered {_described(status, body)}")
    problem = _problem(body, model)
    return Verdict(Result.FAILED, f"the completion answered 200 {problem}") if problem else Verdict(Result.OK)


def _problem(body: bytes, model: str) -> str:
    """Return what is wrong with the body of a completion, or nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return f"and no JSON: {_shown(body)}"
    if not isinstance(document, dict):
        return f"and no JSON object: {_shown(body)}"
    if document.get("error") or document.get("object") == "error":
        return f"with an error: {_shown(body)}"
    if document.get("model") != model:
        return f"for the model {str(document.get('model'))[:_SHOWN_CHARACTERS]!r}"
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "without choices"
    if not _text(choices[0].get("message")).strip():
        return "without any text"
    return ""


def _text(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    return "".join(message[name] for name in _TEXT_FIELDS if isinstance(message.get(name), str))


def _described(status: int, body: bytes) -> str:
    text = _shown(body)
    return f"{status}: {text}" if text else str(status)


def _shown(body: bytes) -> str:
    return one_line(body[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace"))


def one_line(text: str) -> str:
    """Return the beginning of a text from outside as one printable line."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_SHOWN_CHARACTERS]
