# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX takes as a survey, and what a launch makes of answers: its rules, written down from its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TYPES = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": (int, float),
}
_TEXTS = ("question_name", "type", "variable")


def refusals(survey: Mapping[str, Any]) -> Iterator[str]:
    """Yield why AWX would refuse a survey, as ``JobTemplateSurveySpec._validate_spec_data`` does."""
    for name, kind in (("name", str), ("description", str), ("spec", list)):
        if not isinstance(survey.get(name), kind):
            yield f"{name} is missing or no {kind.__name__}"
    seen: set[str] = set()
    for item in survey.get("spec") or ():
        variable = item.get("variable")
        yield from (
            f"{variable}: {text} is no text" for text in _TEXTS if not isinstance(item.get(text), str)
        )
        if not isinstance(item.get("required"), bool):
            yield f"{variable}: required is no boolean"
        if variable in seen:
            yield f"{variable}: is there twice"
        seen.add(str(variable))
        yield from _of_type(item)


def _of_type(item: Mapping[str, Any]) -> Iterator[str]:
    variable, kind, default = item["variable"], item["type"], item.get("default", "")
    if kind not in TYPES:
        yield f"{variable}: {kind} is no type"
        return
    if kind == "password" and str(default).startswith("$encrypted$"):
        yield f"{variable}: $encrypted$ is reserved"
    if default != "" and not isinstance(default, TYPES[kind]):  # type: ignore[arg-type]
        yield f"{variable}: the default {default!r} is no {kind}"
    for bound in ("min", "max"):
        if item.get(bound) is not None and not isinstance(item[bound], int):
            yield f"{variable}: {bound} is no integer"
    if kind in ("multiplechoice", "multiselect"):
        choices = item.get("choices")
        if not isinstance(choices, Sequence) or not choices:
            yield f"{variable}: has no choices"
        elif default != "" and default not in choices:
            yield f"{variable}: {default!r} is none of {choices}"


def untouched_answers(survey: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a launch sends for a form that nobody touched: every default, also the empty ones."""
    return {item["variable"]: item["default"] for item in survey.get("spec") or () if "default" in item}
