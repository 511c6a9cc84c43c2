# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deadline for all steps, on a clock that the test turns."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Backoff, Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass

SECONDS = st.floats(min_value=0, max_value=1e6, allow_nan=False)


def _numbers(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable, and no secret


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self.read, self.sleep)


@given(SECONDS, st.lists(st.floats(min_value=-1, max_value=1e5, allow_nan=False), max_size=20))
def test_no_pause_goes_past_the_deadline(seconds: float, pauses: list[float]) -> None:
    clock = Clock()
    deadline = clock.deadline(seconds)
    for pause in pauses:
        deadline.pause(pause)
        assert deadline.elapsed() <= seconds * (1 + 1e-9) + 1e-6
        assert 0 <= deadline.remaining() <= seconds


@given(SECONDS, SECONDS, SECONDS)
def test_a_share_never_ends_after_the_whole(whole: float, passed: float, asked: float) -> None:
    clock = Clock()
    deadline = clock.deadline(whole)
    clock.sleep(passed)
    share = deadline.share(asked)
    assert share.seconds <= asked
    assert share.remaining() <= deadline.remaining()


def test_time_runs_out() -> None:
    clock = Clock()
    deadline = clock.deadline(10)
    clock.sleep(4)
    assert (deadline.elapsed(), deadline.remaining(), deadline.expired()) == (4, 6, False)
    clock.sleep(7)
    assert (deadline.remaining(), deadline.expired()) == (0, True)
    assert clock.deadline(0).expired()


def test_timeout_says_the_last_reason() -> None:
    error = Clock().deadline(90).timeout_error("The rollout of x", "vllm: ContainerCreating", "Run again.")
    assert error.error_class is ErrorClass.TIMEOUT
    assert error.message == (
        "The rollout of x did not finish within 90 s. Last seen: vllm: ContainerCreating"
    )
    assert error.resolution == "Run again."
    assert error.details == {"timeout_s": 90, "last_reason": "vllm: ContainerCreating"}


@given(
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=1, max_value=100),
    st.integers(),
    st.integers(min_value=1, max_value=50),
)
def test_delays_stay_between_base_and_cap(base: float, factor: float, seed: int, rounds: int) -> None:
    cap = base * factor
    backoff = Backoff(base, cap, _numbers(seed))
    previous = base
    for _ in range(rounds):
        delay = backoff.next()
        assert base <= delay <= cap
        assert delay <= 3 * previous * (1 + 1e-9)
        previous = delay


def test_delays_grow_to_the_cap_differ_and_start_again() -> None:
    """Ten deployments that wait for the same GPUs must not ask at the same moment."""
    assert len({Backoff(1, 30, _numbers(seed)).next() for seed in range(10)}) == 10
    backoff = Backoff(1, 30, _numbers(3))
    assert max(backoff.next() for _ in range(50)) == 30
    backoff.reset()
    assert backoff.next() <= 3


@pytest.mark.parametrize(("base", "cap"), [(0, 1), (-1, 1), (2, 1)])
def test_senseless_bounds_are_refused(base: float, cap: float) -> None:
    with pytest.raises(ValueError, match="0 < base <= cap"):
        Backoff(base, cap)
