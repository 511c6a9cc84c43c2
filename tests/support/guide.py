# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of the documentation as a script: what a reader would type and save, in order.

A block ``console`` is typed: lines that begin with ``$``, with those after a backslash; others are output.
A block ``yaml`` or ``sql`` whose first line is a comment with a path is saved there. Any other is only read.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"^(?:#|--) (?P<path>[\w./-]+\.(?:yml|sql))\b.*\n")
_COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. ``path`` is that of a file to save, else empty."""

    line: int
    language: str
    text: str
    path: str = ""

    @property
    def kind(self) -> str:
        """What becomes of it: ``played``, ``saved``, or the language of what is only read."""
        return "saved" if self.path else "played" if self.language == "console" else self.language

    @property
    def commands(self) -> list[str]:
        """What is typed."""
        return [found["command"] for found in _COMMAND.finditer(self.text)]


def blocks(page: Path, replaced: Mapping[str, str]) -> list[Block]:
    """Return the page's blocks with a reader's own values in the places of the page's examples."""
    return list(_blocks(page.read_text(encoding="utf-8"), replaced))


def _blocks(text: str, replaced: Mapping[str, str]) -> Iterator[Block]:
    unknown = [value for value in replaced if value not in text]
    assert not unknown, f"the page no longer speaks of {unknown}"
    # In one pass and the longest first, so that no value is replaced within another's.
    examples = re.compile("|".join(re.escape(value) for value in sorted(replaced, key=len, reverse=True)))
    for found in _BLOCK.finditer(text):
        content = examples.sub(lambda value: replaced[value[0]], found["text"]) if replaced else found["text"]
        saved = _SAVED.match(content) if found["language"] in ("yaml", "sql") else None
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found["language"], content, saved["path"] if saved else "")


def script(page: list[Block], after: Mapping[str, str]) -> str:
    """Return the blocks as a script of bash that stops at the first failure and says where it is.

    ``after`` has commands for what no reader does, by the path of the saved file that they follow.
    """
    lines = ["set -eo pipefail"]
    for block in page:
        if block.kind == "saved":
            folder = shlex.quote(str(Path(block.path).parent))
            lines += [_say(block.line, f"write {block.path}"), f"mkdir -p {folder}"]
            lines += [f"cat >{shlex.quote(block.path)} <<'END-OF-FILE'", f"{block.text}END-OF-FILE"]
            lines += [after[block.path]] if block.path in after else []
        elif block.kind == "played":
            for command in block.commands:
                lines += [_say(block.line, f"$ {command}"), command]
    return "\n".join([*lines, "echo THE-END", ""])


def _say(line: int, what: str) -> str:
    return f"printf '\\n%(%T)T line %d: %s\\n' -1 {line} {shlex.quote(what)}"
