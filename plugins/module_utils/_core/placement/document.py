# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JSON document that is given as it is, or as the path of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.errors import invalid


def read_document(source: object, field: str) -> Mapping[str, Any]:
    """Return the document; raises ``invalid`` for what is none."""
    if isinstance(source, Mapping):
        return source
    if not isinstance(source, str):
        raise invalid(field, source, "is neither a path nor a dictionary", "Give one of them.")
    try:
        parsed = json.loads(Path(source).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        advice = "Give the path of a JSON file that this machine can read."
        raise invalid(field, source, f"cannot be read as JSON: {error}", advice) from error
    if not isinstance(parsed, Mapping):
        raise invalid(field, source, "holds no JSON object", "Give the right file.")
    return parsed
