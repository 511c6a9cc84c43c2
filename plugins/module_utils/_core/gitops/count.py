# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which revision of a target its files are. No I/O.

Argo CD counts none. So the Application says it, and is written with the rest in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..helm.storage import short_digest

REVISION = "llmops.platform/revision"
LEFT = "llmops.platform/left"
#: What says nothing about how it is delivered.
COUNTED = (REVISION, LEFT)


@dataclass(frozen=True)
class Count:
    """A revision, counted from 1; 0 where the files do not say it. ``left`` is what it went back from."""

    revision: int = 0
    left: str = ""

    @classmethod
    def of(cls, annotations: Mapping[str, Any]) -> Count:
        """Read the annotations of an Application."""
        revision = str(annotations.get(REVISION, ""))
        return cls(int(revision) if revision.isdecimal() else 0, str(annotations.get(LEFT) or ""))

    def next(self, left: str | None) -> Count:
        """Return the one after it."""
        return Count(self.known + 1, short_digest(left) if left else "")

    @property
    def known(self) -> int:
        """The revision; what does not say it is the first."""
        return max(1, self.revision)

    @property
    def annotations(self) -> dict[str, str]:
        """What an Application says of it."""
        revision = {REVISION: str(self.revision)} if self.revision else {}
        return revision | ({LEFT: self.left} if self.left else {})
