# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A commit: its message, and the stream from which ``git fast-import`` makes it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..common.errors import invalid
from .plain_secrets import without_secrets
from .signature import Signature
from .tree import Changes


@dataclass(frozen=True)
class Note:
    """Who changes something and why, for people who read the history."""

    actor: str
    reason: str = ""
    job: str | None = None  #: of AWX
    operation: str | None = None  #: of the registry's journal

    def __post_init__(self) -> None:
        for name, value in (("actor", self.actor), ("reason", self.reason), ("job", self.job or "")):
            if not value.isprintable():
                # A line of its own would be one more trailer.
                raise invalid(name, value, "holds a line break or what nothing can print", "Use one line.")

    def of(self, operation: str | None) -> Note:
        """Return the note of an operation."""
        return replace(self, operation=operation)


def message(subject: str, facts: dict[str, str], note: Note) -> str:
    """Return a message: what, then the reason, then trailers."""
    trailers = {**facts, "Actor": without_secrets(note.actor)}
    more = {"Operation": note.operation, "AWX-Job": note.job}
    trailers |= {name: value for name, value in more.items() if value}
    blocks = [
        subject,
        without_secrets(note.reason),
        "\n".join(f"{name}: {value}" for name, value in trailers.items()),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def commit_stream(
    ref: str,
    parent: str | None,
    changes: Changes,
    text: str,
    author: Signature,
    committer: Signature,
    seconds: int,
) -> bytes:
    """Return the stream that makes a ref a commit with these changes."""
    parts = [
        f"feature done\nreset {ref}\n\ncommit {ref}\n".encode(),
        f"author {author} {seconds} +0000\ncommitter {committer} {seconds} +0000\n".encode(),
        _data(text.encode()),
        f"from {parent}\n".encode() if parent else b"",
    ]
    for path, content in sorted(changes.all_writes.items()):
        parts += [b"M 100644 inline " + _path(path) + b"\n", _data(content)]
    parts += [b"D " + _path(path) + b"\n" for path in changes.removals]
    return b"".join([*parts, b"\ndone\n"])


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


def _path(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode(errors="surrogateescape")
