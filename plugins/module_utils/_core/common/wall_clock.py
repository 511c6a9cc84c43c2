# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moments of a wall clock that jumps and repeats hours, and the zones that it is in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import ErrorClass, PlatformError, invalid

_STEP = timedelta(microseconds=1)


def zone(name: str, field: str = "timezone") -> tzinfo:
    """Return a time zone by its IANA name; raises ``invalid``, or ``infrastructure`` without any zones."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    if not _has_zones():
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{field}: this machine has no time zone data, so {name!r} cannot be looked up.",
            "Install the system's package tzdata, or that of Python: python -m pip install tzdata",
            {"field": field},
        )
    raise invalid(field, name, "is no time zone", "Give an IANA name, such as Europe/Berlin or UTC.")


def moment(local: datetime, where: tzinfo, *, last: bool = False) -> datetime:
    """Return when a clock shows a time, in UTC.

    A time that comes twice is meant the first time, or the ``last`` one. One that the clock jumps over comes
    when it jumps.
    """
    before = local.replace(tzinfo=where, fold=0)
    after = before.replace(fold=1)
    early, late = before.astimezone(UTC), after.astimezone(UTC)
    if early <= late:
        return late if last else early
    # In a gap the offset from before it gives the later moment.
    return _change_between(late, early, where)


def _change_between(low: datetime, high: datetime, where: tzinfo) -> datetime:
    """Return when the offset changes."""
    old = low.astimezone(where).utcoffset()
    while high - low > _STEP:
        middle = low + (high - low) / 2
        if middle.astimezone(where).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high


def _has_zones() -> bool:
    try:
        ZoneInfo.no_cache("Etc/UTC")
    except (ZoneInfoNotFoundError, OSError):
        return False
    return True
