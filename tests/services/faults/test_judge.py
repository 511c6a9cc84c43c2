# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge of the fault campaigns condemns each kind of wrong answer, and no right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.services.faults.history import Count, History, Outage, Promise, judge
from tests.support.load import Answer

SERVED = Promise("a", "m", served=True, begin=10, end=20)
WITHDRAWN = Promise("a", "m", served=False, begin=10, end=20)
GOOD = Answer("a", "m", 11.0, 11.1, 200)
REFUSED = Answer("a", "m", 11.0, 11.1, 404, "model_disabled")
LIST = Answer("a", "", 11.0, 11.1, 200, listed=frozenset({"m"}))
EMPTY = replace(LIST, listed=frozenset())
LOST = Answer("a", "m", 12.0, 12.1, 0, "ServerDisconnectedError: Server disconnected")
UNANSWERED = replace(LOST, started=30.0, ended=34.0)
UNAVAILABLE = Answer("a", "m", 12.0, 12.1, 503, "not_ready")
DRAINING = Answer("a", "m", 12.0, 12.1, 503, "model_draining")


@pytest.mark.parametrize(
    ("promise", "answers"),
    [
        (SERVED, [GOOD, LIST]),
        # Not within the period, or of somebody else.
        (
            SERVED,
            [GOOD, replace(REFUSED, started=9.9, ended=10.1), replace(REFUSED, started=20.0, ended=20.1)],
        ),
        (SERVED, [GOOD, replace(REFUSED, started=19.9, ended=20.1)]),
        (SERVED, [GOOD, replace(REFUSED, router="b"), replace(REFUSED, model="n")]),
        (replace(SERVED, lists_from=12), [GOOD, EMPTY]),
        (WITHDRAWN, [REFUSED, EMPTY]),
        (WITHDRAWN, [REFUSED, replace(GOOD, started=9.9, ended=12.0)]),
        (WITHDRAWN, [REFUSED, replace(GOOD, started=19.9, ended=20.1)]),
        (replace(WITHDRAWN, draining_until=12), [REFUSED, DRAINING]),
    ],
)
def test_kept_promises(promise: Promise, answers: list[Answer]) -> None:
    assert judge(History([promise]), answers) == []


@pytest.mark.parametrize(
    ("promise", "answers"),
    [
        (SERVED, []),
        (SERVED, [replace(GOOD, router="b")]),
        (SERVED, [GOOD, REFUSED]),
        (SERVED, [GOOD, UNANSWERED]),
        (SERVED, [GOOD, UNAVAILABLE]),
        (SERVED, [GOOD, replace(GOOD, status=500, started=30, ended=31)]),
        (SERVED, [GOOD, EMPTY]),
        (SERVED, [GOOD, replace(EMPTY, status=503)]),
        (SERVED, [GOOD, replace(REFUSED, router="b", detail="not OpenAI's shape: b'oops'")]),
        (WITHDRAWN, []),
        (WITHDRAWN, [REFUSED, GOOD]),
        (WITHDRAWN, [REFUSED, replace(GOOD, started=10.0, ended=20.0)]),
        (WITHDRAWN, [REFUSED, UNAVAILABLE]),
        (WITHDRAWN, [REFUSED, DRAINING]),
        (replace(WITHDRAWN, draining_until=11), [REFUSED, DRAINING]),
        (replace(WITHDRAWN, draining_until=13), [REFUSED, UNAVAILABLE]),
        (replace(WITHDRAWN, draining_until=13), [REFUSED, GOOD]),
        (replace(WITHDRAWN, draining_until=13), []),
        (replace(SERVED, lists_from=11), [GOOD, EMPTY]),
        (WITHDRAWN, [REFUSED, LIST]),
    ],
)
def test_broken_promises(promise: Promise, answers: list[Answer]) -> None:
    assert len(judge(History([promise]), answers)) == 1


def test_outage_excuses_failures_and_no_wrong_answers() -> None:
    outage = Outage("a", 11.5, 12.5)
    after = replace(GOOD, started=13.0, ended=13.1)
    excused = [LOST, UNAVAILABLE, after]
    assert judge(History([SERVED], [outage]), excused) == []
    assert judge(History([SERVED], [replace(outage, router="b")]), excused) != []
    # Wrong is wrong: a list without it, a model said not to exist, an answer of what was withdrawn.
    for wrong in (replace(EMPTY, started=12.0, ended=12.1), replace(REFUSED, started=12.0, ended=12.1)):
        assert len(judge(History([SERVED], [outage]), [*excused, wrong])) == 1
    late = replace(REFUSED, started=13.0, ended=13.1)
    assert judge(History([WITHDRAWN], [outage]), [LOST, late]) == []
    assert len(judge(History([WITHDRAWN], [outage]), [replace(GOOD, started=12.0, ended=12.1), late])) == 1


def test_nothing_that_works_after_an_outage_is_no_recovery() -> None:
    broken = judge(History([SERVED], [Outage("a", 11.5, 12.5)]), [GOOD])
    assert broken == ["m served at a in 10.000..20.000: only 0 of 1 answers bear witness"]
    assert len(judge(History([replace(SERVED, least=3)]), [GOOD, GOOD])) == 1
    # Nobody had the time to ask.
    assert judge(History([SERVED], [Outage("a", 11.5, 19.9)]), [GOOD]) == []


def test_servers_count() -> None:
    on_its_way = replace(GOOD, started=9.9, ended=10.1)
    assert judge(History(counts=[Count("m", 10.0, 5, 5)]), []) == []
    assert judge(History(counts=[Count("m", 10.0, 5, 6)]), [on_its_way]) == []
    assert len(judge(History(counts=[Count("m", 10.0, 5, 7)]), [on_its_way])) == 1
    assert len(judge(History(counts=[Count("m", 10.0, 5, 6)]), [GOOD])) == 1
    assert len(judge(History(counts=[Count("m", 10.0, 5, 6)]), [replace(on_its_way, model="n")])) == 1
