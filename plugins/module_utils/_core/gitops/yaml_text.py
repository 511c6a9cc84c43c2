# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data as YAML for people who read a commit: blocks, with every text in quotes that a reader could mistake.

Readers disagree about what a bare word is (``on``, ``1e3``, ``0o14``). Inside double quotes they agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..cluster.manifests import dump_json

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def yaml_text(value: Mapping[str, Any]) -> str:
    """Return a mapping as a document."""
    return "".join(f"{line}\n" for line in _block(value, ""))


def _block(value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        lines: list[str] = []
        for key, item in value.items():
            lines += _entry(f"{indent}{_scalar(str(key))}:", item, f"{indent}  ")
        return lines
    return [line for item in value for line in _item(item, indent)]


def _entry(head: str, item: Any, indent: str) -> list[str]:
    if _is_block(item):
        return [head, *_block(item, indent)]
    return [f"{head} {_scalar(item)}"]


def _item(item: Any, indent: str) -> list[str]:
    if not _is_block(item):
        return [f"{indent}- {_scalar(item)}"]
    first, *rest = _block(item, f"{indent}  ")
    return [f"{indent}- {first[len(indent) + 2 :]}", *rest]


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) and len(value) > 0


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # JSON is YAML, for what is empty too.
    text = dump_json(value)
    # But 1e-07 is a text in YAML 1.1.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text
