# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule: evenly spread, never twice at a time, no drift, completions where they are due."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmops_health.schedule import Entry, Plan, Schedule

INTERVAL_S = 10.0
COMPLETION_INTERVAL_S = 60.0


def entry(model: str, status: str = "ready", version: int = 1) -> Entry:
    """Return an entry of the registry."""
    return Entry(model, f"http://{model}", status, version)


def schedule_of(count: int, jitter: float = 0.1) -> Schedule:
    """Return a schedule of so many entries, made at 0."""
    schedule = Schedule(INTERVAL_S, COMPLETION_INTERVAL_S, jitter)
    schedule.update([entry(f"org/model-{number}") for number in range(count)], 0.0)
    return schedule


def play(schedule: Schedule, seconds: float, took_s: float = 0.1) -> list[tuple[float, str, bool]]:
    """Run every check when it is due; return moment, model, and whether it took a completion."""
    seen: list[tuple[float, str, bool]] = []
    now = 0.0
    running: list[tuple[float, Plan, bool]] = []
    while now < seconds:
        for ending in [item for item in running if item[0] <= now]:
            running.remove(ending)
            schedule.done(ending[1], now, True, ending[2])
        for plan in schedule.take(now):
            completion = plan.wants_completion(now)
            seen.append((now, plan.entry.model, completion))
            running.append((now + took_s, plan, completion))
        now += 0.05
    return seen


def test_checks_are_spread_evenly_over_the_interval() -> None:
    seen = play(schedule_of(1000), 60.0)
    for second in range(1, 59):
        in_it = [model for moment, model, _completion in seen if second <= moment < second + 1]
        assert 50 < len(in_it) < 160, f"{len(in_it)} checks in second {second}, 100 are right"


def test_the_interval_holds_and_does_not_grow_by_the_time_that_checks_take() -> None:
    seen = play(schedule_of(100), 300.0, took_s=3.0)
    assert len(seen) == pytest.approx(100 * 300 / INTERVAL_S, rel=0.05)


def test_every_entry_gets_its_completions() -> None:
    seen = play(schedule_of(50), 600.0)
    for number in range(50):
        completions = [
            moment for moment, model, completion in seen if completion and model == f"org/model-{number}"
        ]
        assert completions[0] <= COMPLETION_INTERVAL_S + 2 * INTERVAL_S
        pauses = [later - sooner for sooner, later in itertools.pairwise(completions)]
        assert all(0.85 * COMPLETION_INTERVAL_S <= pause <= 1.4 * COMPLETION_INTERVAL_S for pause in pauses)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "remove", "take", "done"])), max_size=60
    ),
    st.floats(0.0, 0.5),
)
def test_no_entry_is_ever_checked_twice_at_a_time(steps: list[tuple[str, str]], jitter: float) -> None:
    schedule = Schedule(1.0, 2.0, jitter)
    known: dict[str, Entry] = {}
    busy: list[Plan] = []
    now = 0.0
    for model, step in steps:
        now += 0.7
        if step == "add":
            known[model] = entry(model, version=len(busy))
            schedule.update(known.values(), now)
        elif step == "remove":
            known.pop(model, None)
            schedule.update(known.values(), now)
        elif step == "take":
            taken = schedule.take(now)
            assert {plan.entry.model for plan in taken} <= known.keys()
            # One that left and came back meanwhile is another plan: its old check belongs to nobody.
            assert not any(plan is other for plan in taken for other in busy)
            busy += taken
        elif busy:
            schedule.done(busy.pop(), now, True, False)
    assert len(schedule) == len(known)


def test_a_failure_is_answered_only_by_a_completion() -> None:
    schedule = schedule_of(1, jitter=0)
    (plan,) = schedule.take(INTERVAL_S)
    schedule.done(plan, INTERVAL_S, False, True)
    assert plan.wants_completion(INTERVAL_S + 1)
    # A check that says nothing leaves it so.
    schedule.done(plan, INTERVAL_S + 1, None, True)
    assert plan.wants_completion(INTERVAL_S + 2)
    schedule.done(plan, INTERVAL_S + 2, True, True)
    assert not plan.wants_completion(INTERVAL_S + 3)


def test_a_degraded_entry_comes_back_only_by_completions() -> None:
    schedule = schedule_of(1)
    (plan,) = schedule.take(INTERVAL_S)
    schedule.update([entry("org/model-0", "degraded", 2)], INTERVAL_S)
    assert plan.wants_completion(0.0)
    assert plan.entry.row_version == 2


def test_what_is_late_is_due_at_once_and_not_twice() -> None:
    schedule = schedule_of(1, jitter=0)
    (plan,) = schedule.take(1000.0)
    schedule.done(plan, 1000.0, True, False)
    assert schedule.next_due() == 1000.0
    (again,) = schedule.take(1000.0)
    schedule.done(again, 1000.1, True, False)
    assert schedule.take(1000.1 + INTERVAL_S / 2) == []


def test_what_left_is_named_and_not_checked() -> None:
    schedule = schedule_of(3)
    assert schedule.update([entry("org/model-1")], 1.0) == {"org/model-0", "org/model-2"}
    assert [plan.entry.model for plan in schedule.take(100.0)] == ["org/model-1"]
