# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between two sets of the chart's values, a line each, with secrets hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..common.redaction import redact


def value_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs, in the order of the names."""
    was, will = dict(leaves(before)), dict(leaves(after))
    shown_was, shown_will = dict(leaves(redact(before))), dict(leaves(redact(after)))
    for name in sorted({*was, *will}):
        if was.get(name) == will.get(name):
            continue
        old, new = shown(shown_was.get(name)), shown(shown_will.get(name))
        # The same to see: a secret, or what differs only far behind.
        yield f"values.{name}: {old} -> {new}" if old != new else f"values.{name}: changed (not shown)"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what values are made of, each with its path. How pods are replaced is chosen anew each time."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif path and path != "strategy":
        yield path, value


def shown(value: Any) -> str:
    """Return a value for people, on one line."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
