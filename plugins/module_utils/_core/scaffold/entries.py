# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site consists of: files and relative links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class File:
    """A file with this content."""

    content: bytes

    @property
    def shown(self) -> str:
        """How a diff shows it."""
        return self.content.decode(errors="replace")


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str

    @property
    def shown(self) -> str:
        """How a diff shows it."""
        return f"-> {self.target}\n"


Entry: TypeAlias = "File | Link"
