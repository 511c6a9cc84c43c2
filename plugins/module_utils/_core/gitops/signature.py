# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a commit is signed with: a name and a mail address, as Git writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..common.errors import invalid

_SIGNATURE = re.compile(r"(?P<name>[^<>\s](?:[^<>]*[^<>\s])?) <(?P<mail>[^<>\s]+)>")


@dataclass(frozen=True)
class Signature:
    """A name and a mail address."""

    name: str = "llmops.platform"
    mail: str = "llmops-platform@localhost"

    @classmethod
    def parsed(cls, text: str, field: str) -> Signature:
        """Return what ``Name <mail>`` says; raises ``invalid``."""
        match = _SIGNATURE.fullmatch(text)
        if match is None or not text.isprintable():
            raise invalid(field, text, "is no name with an address", "Write it as: Name <name@example.com>.")
        return cls(match["name"], match["mail"])

    def __str__(self) -> str:
        return f"{self.name} <{self.mail}>"
