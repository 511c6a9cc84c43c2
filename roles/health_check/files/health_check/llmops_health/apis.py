# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a model can be asked for: the question, and what a good answer has in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A model that thinks first may spend all of a small max_tokens on it: that is generated text as well.
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "text")


@dataclass(frozen=True)
class Api:
    """One way to ask a model."""

    path: str
    #: The question; the model's name is added to it.
    question: dict[str, Any]
    #: Whether the answer's length can be limited.
    is_limited: bool
    #: Says what an answer lacks, if anything.
    lacks: Callable[[dict[str, Any]], str]

    def body(self, model: str, max_tokens: int) -> dict[str, Any]:
        """Return the request's body."""
        limits = {"max_tokens": max_tokens, "temperature": 0} if self.is_limited else {}
        return {"model": model, **self.question, **limits}


def _lacks_text(document: dict[str, Any]) -> str:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "without choices"
    said = _text(choices[0].get("message")) or _text(choices[0])
    return "" if said.strip() else "without any text"


def _lacks_vector(document: dict[str, Any]) -> str:
    data = document.get("data")
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        return "without data"
    return "" if data[0].get("embedding") else "without an embedding"


def _text(holder: Any) -> str:
    if not isinstance(holder, dict):
        return ""
    return "".join(holder[name] for name in _TEXT_FIELDS if isinstance(holder.get(name), str))


#: In the order in which they are tried.
APIS = (
    Api(
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Say hello."}]},
        is_limited=True,
        lacks=_lacks_text,
    ),
    # A base model goes on with what it is given: this asks for text, not for an end.
    Api("/v1/completions", {"prompt": "One, two, three,"}, is_limited=True, lacks=_lacks_text),
    Api("/v1/embeddings", {"input": "Say hello."}, is_limited=False, lacks=_lacks_vector),
)
