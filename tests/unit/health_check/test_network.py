# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is to blame for a check without a connection."""

from __future__ import annotations

import asyncio
import time

from llmops_health.network import Network


class Canary:
    """Answers or not, and counts how often it was asked."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self) -> bool:
        self.asked += 1
        return self.answers


def blames(network: Network, endpoint: str = "a", *, alone: bool = False, ago_s: float = 0.0) -> bool:
    """Say whether the network lets an endpoint be blamed for a check that began so long ago."""
    return asyncio.run(network.blames(endpoint, time.monotonic() - ago_s, alone))


def network(canary: Canary | None = None, *, let_through: bool = True, window_s: float = 15.0) -> Network:
    """Return what a leader knows at its start."""
    return Network(window_s, canary, let_through)


def test_another_endpoint_speaks_for_the_network() -> None:
    canary = Canary(answers=False)
    tested = network(canary)
    tested.answered("b")
    assert blames(tested, "a")
    assert canary.asked == 0
    assert tested.blind_since is None


def test_an_endpoint_does_not_speak_for_itself() -> None:
    tested = network(Canary(answers=False))
    tested.answered("a")
    assert not blames(tested, "a")
    assert tested.blind_since is not None


def test_the_last_other_endpoint_is_remembered_behind_one_that_answers_often() -> None:
    tested = network(Canary(answers=False))
    tested.answered("b")
    for _time in range(3):
        tested.answered("a")
    assert blames(tested, "a")


def test_an_old_answer_says_nothing_about_now() -> None:
    tested = network(Canary(answers=False), window_s=0.02)
    tested.answered("b")
    time.sleep(0.05)
    assert not blames(tested, "a")


def test_the_canary_decides_when_nothing_answers_and_is_asked_once_for_many() -> None:
    for answers in (True, False):
        canary = Canary(answers)
        tested = network(canary)

        async def all_at_once(tested: Network = tested) -> list[bool]:
            now = time.monotonic()
            return await asyncio.gather(*(tested.blames(str(number), now, False) for number in range(50)))

        assert set(asyncio.run(all_at_once())) == {answers}
        assert canary.asked == 1


def test_without_any_answer_ever_the_canary_does_not_count() -> None:
    canary = Canary(answers=True)
    tested = network(canary, let_through=False)
    assert not blames(tested, "a")
    # One answer proves that checkers are let through.
    tested.answered("a")
    assert tested.blind_since is None
    assert blames(tested, "a")


def test_without_a_canary_only_a_single_endpoint_is_believed() -> None:
    assert not blames(network(), "a", alone=False)
    assert blames(network(), "a", alone=True)
