# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people type into a form: a number, or a mapping in YAML or JSON, that arrives as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import invalid

_MAX_LENGTH = 65536


def typed_mapping(value: object, field: str) -> Mapping[str, Any]:
    """Return a mapping that may be given as YAML or JSON text; an empty text is an empty one.

    Raises ``invalid`` for anything else. The text is not shown, since it may hold anything.
    """
    if isinstance(value, Mapping):
        return value
    if value is None:
        return {}
    if not isinstance(value, str):
        raise invalid(field, type(value).__name__, "is no mapping", _advice(field))
    # Only here, since modules are imported where PyYAML may be missing, too.
    import yaml

    if len(value) > _MAX_LENGTH:
        raise invalid(field, f"{len(value)} characters", "is too long", f"Give at most {_MAX_LENGTH}.")
    try:
        parsed = yaml.safe_load(str(value))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise invalid(field, "the text", f"is no YAML{where}: {problem}", _advice(field)) from None
    if parsed is None:
        return {}
    if not isinstance(parsed, Mapping):
        raise invalid(field, "the text", f"is no mapping but of type {type(parsed).__name__}", _advice(field))
    return parsed


def typed_integer(value: object, field: str) -> int | None:
    """Return a whole number, zero or more, that may be given as text; None for an empty text."""
    number = typed_number(value, field)
    if number is None:
        return None
    if number != int(number):
        raise invalid(field, value, "is no whole number", "Give digits only, or leave it empty.")
    return int(number)


def typed_number(value: object, field: str) -> float | None:
    """Return a number, zero or more, that may be given as text; None for an empty text."""
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < math.inf:
        raise invalid(field, value, "is no number", "Give a number, zero or more, or leave it empty.")
    return number


def _advice(field: str) -> str:
    return f"Write {field} as YAML or JSON, one 'name: value' a line, or leave it empty."
