# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change would look like to those who read it, with secrets hidden that somebody else has written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..cluster.manifests import parse_foreign_manifest
from ..common.errors import PlatformError
from ..common.redaction import redact, redact_free_text
from .tree import Changes
from .yaml_text import yaml_text

_ENTRY = re.compile(
    r"^(?P<head>[ \t-]*[\"']?(?P<key>[^\s\"':#-][^\s\"':#]*)[\"']?[ \t]*:[ \t]+)(?P<value>\S.*)$",
    re.MULTILINE,
)


def differences(changes: Changes) -> list[dict[str, str]]:
    """Return before and after of each file; of the files of a chart only that they come."""
    shown = [
        _difference(path, changes.before.get(path), changes.writes.get(path))
        for path in sorted({*changes.writes, *changes.removals})
    ]
    for folder, files in changes.folders.items():
        names = "".join(f"{name}\n" for name in sorted(files))
        after = names.encode(errors="surrogateescape").decode(errors="replace")
        shown.append({"before": "", "after": after, "before_header": folder, "after_header": folder})
    return shown


def _difference(path: str, before: bytes | None, after: bytes | None) -> dict[str, str]:
    old, new = _shown(before), _shown(after)
    if before is not None and after is not None and old == new:
        old += "# Only layout or comments differ.\n"
    return {"before": old, "after": new, "before_header": path, "after_header": path}


def _shown(content: bytes | None) -> str:
    if content is None:
        return ""
    text = content.decode(errors="replace")
    try:
        return "---\n".join(yaml_text(redact(_plain(item))) for item in parse_foreign_manifest(text))
    except (PlatformError, ValueError, RecursionError):
        # Others may write what cannot be read, or not be written as JSON.
        return redact_free_text(_ENTRY.sub(_hidden, text))


def _plain(value: Any) -> Any:
    """Return what JSON has for what YAML has beyond it, such as dates."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _hidden(entry: re.Match[str]) -> str:
    key, value = entry["key"], entry["value"]
    return entry["head"] + str(redact({key: value})[key])
