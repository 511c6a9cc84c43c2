# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A survey of AWX from the options of a role: one question an option, as AWX itself stores it. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.errors import invalid

#: AWX's type of question for a type of an option. Lists and mappings arrive as text.
_TYPES = {
    "str": "text",
    "path": "text",
    "int": "integer",
    "float": "float",
    "dict": "textarea",
    "list": "textarea",
}
#: AWX knows no boolean.
_ANSWERS = {True: "yes", False: "no"}
#: The longest answers, in characters.
_LONGEST = {"text": 1024, "textarea": 16384, "password": 1024}
_MARKUP = re.compile(r"\b[A-Z]\(([^()]*)\)")


@dataclass(frozen=True)
class Question:
    """Asks for one option. ``default`` is for options whose own default is an expression."""

    option: str
    name: str
    default: str = ""
    required: bool = False
    #: Not where it would be a way round an approval.
    in_production: bool = True


def survey(questions: Iterable[Question], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the survey, or nothing where nothing is asked. ``options`` are the role's."""
    items = [survey_item(question, options[question.option]) for question in questions]
    return {"name": "", "description": "", "spec": items} if items else {}


def survey_item(question: Question, option: Mapping[str, Any]) -> dict[str, Any]:
    """Return the question as AWX gives it back, so that the second run finds no difference."""
    kind, choices = _kind(question.option, option)
    item: dict[str, Any] = {
        "variable": question.option,
        "question_name": question.name,
        "question_description": plain_text(option.get("description", "")),
        "type": kind,
        "required": question.required or bool(option.get("required", False)),
        "default": _default(question, option, kind),
    }
    if choices:
        item["choices"] = choices
    if kind in _LONGEST:
        item |= {"min": 0, "max": _LONGEST[kind]}
    _check(item)
    return item


def _kind(variable: str, option: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return AWX's type of question, and what can be chosen."""
    of_option = str(option.get("type", "str"))
    if of_option == "bool":
        return "multiplechoice", list(_ANSWERS.values())
    if option.get("no_log"):
        return "password", []
    if option.get("choices"):
        return "multiplechoice", [str(choice) for choice in option["choices"]]
    if of_option not in _TYPES:
        raise invalid(
            variable, of_option, "is a type that no survey can ask for", "Leave it to the inventory."
        )
    return _TYPES[of_option], []


def _default(question: Question, option: Mapping[str, Any], kind: str) -> str | int | float:
    """Return the answer that stands there; what is an expression of Jinja is the role's own affair."""
    given = option.get("default", "")
    if question.default or (isinstance(given, str) and "{{" in given):
        return question.default
    if isinstance(given, bool):
        return _ANSWERS[given]
    if isinstance(given, int | float) and kind in ("integer", "float"):
        return given
    # An empty list or mapping is no answer.
    return str(given) if given else ""


def _check(item: Mapping[str, Any]) -> None:
    """Refuse what AWX refuses, here or when a job is launched."""
    if item["type"] in ("integer", "float") and item["default"] == "":
        # AWX sends an empty text for it, and then refuses that as no number.
        raise invalid(
            item["variable"], "", "is a number without a default", "Give it one, or do not ask for it."
        )
    if "choices" in item and item["default"] not in item["choices"]:
        raise invalid(
            item["variable"], item["default"], f"is none of {item['choices']}", "Choose one of them."
        )


def plain_text(description: object) -> str:
    """Return a description without the markup of Ansible's documentation, in one line."""
    sentences = description if isinstance(description, list) else [description]
    return _MARKUP.sub(r"\1", " ".join(" ".join(str(sentence).split()) for sentence in sentences))
