# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether promotions are frozen just now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ..windows import FreezeWindow
from .gate import Gate, GateVerdict

NAME = "freeze"


def freeze_gate(windows: Sequence[FreezeWindow], now: datetime) -> Gate:
    """Judge by ``now``, which is the database's clock. Of several windows the one that ends last is told."""
    closed = [(window, span) for window in windows if (span := window.covers(now)) is not None]
    if not closed:
        count = len(windows)
        return Gate(
            NAME,
            GateVerdict.PASS,
            f"None of {count} freeze window{'' if count == 1 else 's'} covers {_shown(now)}",
            source="clock",
            samples=count,
        )
    window, span = max(closed, key=lambda pair: pair[1].ends)
    began, ends = (f"{_shown(at.astimezone(window.where))} ({_shown(at)})" for at in (span.begins, span.ends))
    return Gate(
        NAME,
        GateVerdict.FAIL,
        f"Frozen by {window.name} since {began} until {ends}",
        value=window.name,
        source="clock",
        samples=len(windows),
        since=span.begins,
        until=span.ends,
    )


def _shown(at: datetime) -> str:
    zoned = at if at.tzinfo not in (None, UTC) else at.astimezone(UTC)
    return f"{zoned:%a %Y-%m-%d %H:%M %Z}"
