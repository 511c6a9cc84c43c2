# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times in which nothing is promoted: every week, or between two dates, by the clock of a place.

.. code-block:: yaml

    - {name: weekend, days: [fri, sat, sun], from: "16:00", to: "08:00", timezone: Europe/Berlin}
    - {name: holidays, from: 2026-12-20, to: 2027-01-02, timezone: Europe/Berlin}

A window that ends before it begins goes on until the next day. A last date is frozen until its end. Where the
clock repeats an hour, the window lasts from the first time it begins to the last time it ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from ...common.errors import invalid
from ...common.wall_clock import moment, zone

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_KEYS = ("name", "days", "from", "to", "timezone")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """One time that a window is closed: from ``begins`` until before ``ends``, in UTC."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class FreezeWindow:
    """A window, either of weekdays or of one span."""

    name: str
    where: tzinfo
    days: tuple[int, ...] = ()  #: on which it begins, 0 for Monday
    begins: timedelta = timedelta(0)  #: after midnight
    ends: timedelta = _DAY
    span: Span | None = None

    def covers(self, now: datetime) -> Span | None:
        """Return the time around now in which it is closed, if it is."""
        return next((one for one in self._spans(now) if one.begins <= now < one.ends), None)

    def _spans(self, now: datetime) -> list[Span]:
        if self.span is not None:
            return [self.span]
        today = now.astimezone(self.where).date()
        # It may have begun yesterday.
        return [self._on(day) for day in (today - _DAY, today) if day.weekday() in self.days]

    def _on(self, day: date) -> Span:
        midnight = datetime.combine(day, time())
        ends = self.ends if self.ends > self.begins else self.ends + _DAY
        return Span(
            moment(midnight + self.begins, self.where),
            moment(midnight + ends, self.where, last=True),
        )


def freeze_windows(given: Sequence[Mapping[str, Any]], field: str = "freeze_windows") -> list[FreezeWindow]:
    """Return the windows; raises ``invalid`` with the name of what is wrong."""
    return [_window(one, f"{field}[{number}]") for number, one in enumerate(given)]


def _window(given: Mapping[str, Any], field: str) -> FreezeWindow:
    for key in given:
        if key not in _KEYS:
            raise invalid(field, key, "is no part of a freeze window", f"It has {', '.join(_KEYS)}.")
    if not given.get("timezone"):
        raise invalid(
            f"{field}.timezone", None, "is missing", "Say by which clock, such as Europe/Berlin or UTC."
        )
    where = zone(str(given["timezone"]), f"{field}.timezone")
    name = str(given.get("name") or f"window {field[field.index('[') :]}")
    if given.get("days") is None:
        return FreezeWindow(name, where, span=_span(given, where, field))
    return FreezeWindow(
        name,
        where,
        days=_days(given["days"], f"{field}.days"),
        begins=_time(given.get("from") or "00:00", f"{field}.from"),
        ends=_time(given.get("to") or "24:00", f"{field}.to"),
    )


def _days(given: Any, field: str) -> tuple[int, ...]:
    known = {name[:3]: number for number, name in enumerate(_DAYS)} | {
        name: number for number, name in enumerate(_DAYS)
    }
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    for name in names:
        if str(name).lower() not in known:
            raise invalid(
                field, name, "is no weekday", f"Give some of {', '.join(day[:3] for day in _DAYS)}."
            )
    if not names:
        raise invalid(
            field, given, "names no weekday", f"Give some of {', '.join(day[:3] for day in _DAYS)}."
        )
    return tuple(sorted({known[str(name).lower()] for name in names}))


def _time(given: Any, field: str) -> timedelta:
    # YAML makes the number 960 of 16:00 without quotes.
    if not isinstance(given, str) or not _TIME.fullmatch(given):
        raise invalid(field, given, "is no time of day", 'Give it in quotes, as hours and minutes: "16:00".')
    hours, minutes = given.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _span(given: Mapping[str, Any], where: tzinfo, field: str) -> Span:
    begins = _date(given.get("from"), where, f"{field}.from", last=False)
    ends = _date(given.get("to"), where, f"{field}.to", last=True)
    if ends <= begins:
        raise invalid(f"{field}.to", str(given["to"]), f"is not after {given['from']}", "Give a later date.")
    return Span(begins, ends)


def _date(given: Any, where: tzinfo, field: str, *, last: bool) -> datetime:
    """Return the moment of a date or time; a last date is meant until its end."""
    advice = "Give an ISO date or time, such as 2026-12-20 or 2026-12-20T18:00; or days for every week."
    if given is None:
        raise invalid(field, None, "is missing", advice)
    # YAML makes a date of one without quotes, and a text becomes the same here.
    text = given.isoformat() if isinstance(given, date) else str(given)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return moment(datetime.combine(day, time()) + (_DAY if last else timedelta(0)), where, last=last)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(field, text, "is no date", advice) from None
    return read if read.tzinfo is not None else moment(read, where, last=last)
