# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Freeze windows, by clocks that jump and repeat hours."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common import wall_clock
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.freeze import (
    freeze_gate,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.windows import (
    freeze_windows,
)

SECOND = timedelta(seconds=1)
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def utc(text: str) -> datetime:
    """Return a time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(days: Any, begins: str | None, ends: str | None, timezone: str = "UTC") -> dict[str, Any]:
    """Return a window of weekdays."""
    return {"name": "w", "days": days, "from": begins, "to": ends, "timezone": timezone}


# Where it is, the window, and the time in UTC in which it is closed.
SPANS = [
    # An ordinary Friday; over midnight; from and to the same; whole days.
    ("UTC", ["fri"], "16:00", "18:00", "2026-11-27T16:00", "2026-11-27T18:00"),
    ("Europe/Berlin", ["fri"], "16:00", "08:00", "2026-11-27T15:00", "2026-11-28T07:00"),
    ("UTC", "Friday", "16:00", "16:00", "2026-11-27T16:00", "2026-11-28T16:00"),
    ("Asia/Kolkata", ["fri"], None, None, "2026-11-26T18:30", "2026-11-27T18:30"),
    ("Asia/Kolkata", ["sun"], "22:00", "06:00", "2026-11-29T16:30", "2026-11-30T00:30"),
    ("UTC", ["fri"], "16:00", "24:00", "2026-11-27T16:00", "2026-11-28T00:00"),
    # Berlin: 02:00 becomes 03:00 on 2026-03-29, 03:00 becomes 02:00 on 2026-10-25, at 01:00 UTC.
    ("Europe/Berlin", ["sun"], "01:30", "02:30", "2026-03-29T00:30", "2026-03-29T01:00"),
    ("Europe/Berlin", ["sun"], "02:30", "03:30", "2026-03-29T01:00", "2026-03-29T01:30"),
    ("Europe/Berlin", ["sat"], "22:00", "08:00", "2026-03-28T21:00", "2026-03-29T06:00"),
    ("Europe/Berlin", ["sun"], "01:30", "02:30", "2026-10-24T23:30", "2026-10-25T01:30"),
    ("Europe/Berlin", ["sun"], "02:30", "03:30", "2026-10-25T00:30", "2026-10-25T02:30"),
    ("Europe/Berlin", ["sun"], None, None, "2026-10-24T22:00", "2026-10-25T23:00"),
    # New York: on 2026-03-08 at 07:00 UTC, and on 2026-11-01 at 06:00 UTC.
    ("America/New_York", ["sun"], "01:30", "02:30", "2026-03-08T06:30", "2026-03-08T07:00"),
    ("America/New_York", ["sun"], "02:30", "03:30", "2026-03-08T07:00", "2026-03-08T07:30"),
    ("America/New_York", ["sun"], "01:30", "02:30", "2026-11-01T05:30", "2026-11-01T07:30"),
    ("America/New_York", ["sun"], "00:30", "01:30", "2026-11-01T04:30", "2026-11-01T06:30"),
    # Lord Howe, by half an hour: 02:00 becomes 02:30 on 2026-10-04 and 01:30 on 2026-04-05.
    ("Australia/Lord_Howe", ["sun"], "01:00", "02:15", "2026-10-03T14:30", "2026-10-03T15:30"),
    ("Australia/Lord_Howe", ["sun"], "02:15", "03:00", "2026-10-03T15:30", "2026-10-03T16:00"),
    ("Australia/Lord_Howe", ["sun"], "01:45", "02:15", "2026-04-04T14:45", "2026-04-04T15:45"),
    ("Australia/Lord_Howe", ["sun"], "01:00", "01:45", "2026-04-04T14:00", "2026-04-04T15:15"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "days", "begins", "ends", "since", "until"), SPANS)
def test_a_window_begins_and_ends_when_its_clock_says_so(
    zone: str, days: Any, begins: str | None, ends: str | None, since: str, until: str
) -> None:
    windows = freeze_windows([weekly(days, begins, ends, zone)])
    first, end = utc(since), utc(until)
    for now in (first, first + (end - first) / 2, end - SECOND):
        gate = freeze_gate(windows, now)
        assert (gate.verdict, gate.since, gate.until) == (GateVerdict.FAIL, first, end), now
    for now in (first - SECOND, end):
        assert freeze_gate(windows, now).verdict is GateVerdict.PASS, now


def test_times_that_a_clock_jumps_over_never_come() -> None:
    windows = freeze_windows([weekly(["sun"], "02:10", "02:50", "Europe/Berlin")])
    jump = utc("2026-03-29T01:00")
    for minutes in range(-120, 120):
        assert freeze_gate(windows, jump + timedelta(minutes=minutes)).open
    # Samoa had no Friday of that date.
    windows = freeze_windows([weekly(["fri"], None, None, "Pacific/Apia")])
    for hours in range(-48, 48):
        assert freeze_gate(windows, utc("2011-12-30T10:00") + timedelta(hours=hours)).open


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_whole_days_leave_no_gap(zone: str) -> None:
    windows = freeze_windows([weekly(EVERY_DAY, None, None, zone)])
    now = utc("2026-01-01T00:00")
    while now < utc("2027-01-01T00:00"):
        assert not freeze_gate(windows, now).open, now
        now += timedelta(minutes=30)


@pytest.mark.parametrize(
    ("begins", "ends", "since", "until"),
    [
        ("2026-12-20", "2027-01-02", "2026-12-19T23:00", "2027-01-02T23:00"),
        (date(2026, 12, 20), date(2027, 1, 2), "2026-12-19T23:00", "2027-01-02T23:00"),
        ("20261220", "20261220", "2026-12-19T23:00", "2026-12-20T23:00"),
        ("2026-12-20T18:00", "2027-01-02T08:00", "2026-12-20T17:00", "2027-01-02T07:00"),
        (datetime(2026, 12, 20, 18), "2027-01-02T08:00Z", "2026-12-20T17:00", "2027-01-02T08:00"),  # noqa: DTZ001
        ("2026-03-29", "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),
    ],
)
def test_a_window_of_dates(begins: Any, ends: Any, since: str, until: str) -> None:
    windows = freeze_windows([{"from": begins, "to": ends, "timezone": "Europe/Berlin"}])
    first, end = utc(since), utc(until)
    for now in (first, end - SECOND):
        gate = freeze_gate(windows, now)
        assert (gate.since, gate.until) == (first, end)
    for now in (first - SECOND, end):
        assert freeze_gate(windows, now).open


def test_people_read_when_it_ends_by_both_clocks() -> None:
    windows = freeze_windows(
        [
            {**weekly(["fri", "sat"], "16:00", "08:00", "Europe/Berlin"), "name": "weekend"},
            weekly(["fri"], "15:00", "17:00"),
        ]
    )
    gate = freeze_gate(windows, utc("2026-11-27T15:30"))
    assert gate.value == "weekend"
    assert gate.reason == (
        "Frozen by weekend since Fri 2026-11-27 16:00 CET (Fri 2026-11-27 15:00 UTC)"
        " until Sat 2026-11-28 08:00 CET (Sat 2026-11-28 07:00 UTC)"
    )
    # Whatever zone now is in.
    assert freeze_gate(windows, utc("2026-11-27T15:30").astimezone(zoneinfo.ZoneInfo("Asia/Tokyo"))) == gate
    assert freeze_gate([], utc("2026-11-27T15:30")).reason.startswith("None of 0 freeze windows covers Fri")


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ({"days": ["fri"]}, "timezone"),
        ({"days": ["fri"], "timezone": "Europe/Atlantis"}, "timezone"),
        ({"days": ["fri"], "timezone": "../etc/passwd"}, "timezone"),
        ({"days": ["fri"], "timezone": "Europe"}, "timezone"),
        ({"days": ["fry"], "timezone": "UTC"}, "days"),
        ({"days": [], "timezone": "UTC"}, "days"),
        ({"days": 5, "timezone": "UTC"}, "days"),
        ({"days": ["fri"], "from": 960, "timezone": "UTC"}, "from"),
        ({"days": ["fri"], "to": "25:00", "timezone": "UTC"}, "to"),
        ({"days": ["fri"], "to": "8:00", "timezone": "UTC"}, "to"),
        ({"days": ["fri"], "from": "2026-12-20", "timezone": "UTC"}, "from"),
        ({"from": "16:00", "to": "18:00", "timezone": "UTC"}, "from"),
        ({"from": "2026-12-20", "timezone": "UTC"}, "to"),
        ({"from": "2026-12-20", "to": "2026-12-19", "timezone": "UTC"}, "to"),
        ({"from": "2026-12-20T18:00", "to": "2026-12-20T18:00", "timezone": "UTC"}, "to"),
        ({"days": ["fri"], "until": "18:00", "timezone": "UTC"}, None),
    ],
)
def test_a_wrong_window_is_named(window: dict[str, Any], field: str | None) -> None:
    right = weekly(["fri"], None, None)
    with pytest.raises(PlatformError) as failure:
        freeze_windows([right, window])
    assert failure.value.error_class is ErrorClass.INVALID
    assert failure.value.details["field"] == "freeze_windows[1]" + (f".{field}" if field else "")


def test_a_machine_without_time_zones_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(key: str) -> zoneinfo.ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    nothing.no_cache = nothing  # type: ignore[attr-defined]
    monkeypatch.setattr(wall_clock, "ZoneInfo", nothing)
    with pytest.raises(PlatformError, match="no time zone data") as failure:
        freeze_windows([weekly(["fri"], None, None, "Europe/Berlin")])
    assert failure.value.error_class is ErrorClass.INFRASTRUCTURE
    assert "tzdata" in failure.value.resolution
    assert freeze_windows([weekly(["fri"], None, None, "UTC")])
