# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permission to change a target, asked for just before each write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Permit:
    """A permission that is always given, as where there is no lock. One that can be lost is a ``Lease``."""

    #: The operation and its fence, where there is one: it is written on what is changed.
    operation_id: str | None = None
    fence: int = 0

    def check(self) -> None:
        """Raise ``fenced`` unless a write is allowed now; ask whoever knows, if need be."""

    def watch(self) -> None:
        """Raise ``fenced`` if the permission is known to be lost. Costs nothing: for loops."""

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Note a step before it is taken, how it ended, and what is put into the mapping meanwhile."""
        del name
        yield {}
