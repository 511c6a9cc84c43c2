# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of an object that others wrote: what is missing or of another kind is empty."""

from __future__ import annotations

from typing import Any

from ..cluster.client import JSONObject


def part(item: JSONObject, name: str) -> dict[str, Any]:
    """Return a mapping of an object."""
    found = item.get(name)
    return found if isinstance(found, dict) else {}


def items(item: JSONObject, name: str) -> list[dict[str, Any]]:
    """Return the mappings of a list of an object."""
    found = item.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text(item: JSONObject, name: str) -> str:
    """Return a text of an object."""
    return str(item.get(name) or "")
