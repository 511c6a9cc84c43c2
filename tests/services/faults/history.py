# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was promised while things broke, and the judge who compares it with every answer.

A promise is a period of the monotonic clock for one model at one router. The judge knows no faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.support.load import Answer

# A server counts a request when it ends, which a client may hear a little earlier.
_COUNTING_S = 0.3
_SHOWN = 5
# In so short a time nobody may have asked.
_UNSEEN_S = 0.5


@dataclass(frozen=True)
class Promise:
    """Holds for requests that start at or after ``begin`` and end before ``end``.

    ``served``: each is answered by the model. Otherwise it is withdrawn: each gets 404, or still 503
    ``model_draining`` if it started by ``draining_until``. Lists of models agree with it, from ``lists_from``
    on if that is later. ``least`` answers have to bear witness.
    """

    router: str
    model: str
    served: bool
    begin: float
    end: float
    least: int = 1
    lists_from: float = 0.0
    draining_until: float = 0.0


@dataclass(frozen=True)
class Outage:
    """Why a router may fail requests that overlap with this period: what it may not do is answer wrongly."""

    router: str
    begin: float
    end: float


@dataclass(frozen=True)
class Count:
    """How many completions a model's server had finished at two moments between which it was withdrawn."""

    model: str
    begin: float
    before: int
    after: int


@dataclass
class History:
    """All that was promised in a run."""

    promises: list[Promise] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)

    def extend(self, other: History) -> None:
        """Take over what another thread wrote down."""
        self.promises += other.promises
        self.outages += other.outages
        self.counts += other.counts


def judge(history: History, answers: Iterable[Answer]) -> list[str]:
    """Return every broken promise in words; empty if all were kept."""
    known = sorted(answers, key=lambda answer: answer.started)
    broken = _impossible(history, known)
    for promise in history.promises:
        broken += _judge_promise(promise, history, known)
    for count in history.counts:
        broken += _judge_count(count, known)
    return broken


def _impossible(history: History, answers: Sequence[Answer]) -> list[str]:
    """Return what may never happen: a crash of the router, a foreign error, silence outside of an outage."""
    broken = [answer for answer in answers if answer.status == 500 or "OpenAI's shape" in answer.detail]
    broken += [
        answer
        for answer in answers
        if answer.status == 0
        and not _excused(answer, [outage for outage in history.outages if outage.router == answer.router])
    ]
    return _report("what may never be", broken)


def _judge_promise(promise: Promise, history: History, answers: Sequence[Answer]) -> list[str]:
    state = "served" if promise.served else "withdrawn"
    what = f"{promise.model} {state} at {promise.router} in {promise.begin:.3f}..{promise.end:.3f}"
    outages = [outage for outage in history.outages if outage.router == promise.router]
    mine = [
        answer
        for answer in answers
        if answer.router == promise.router
        and promise.begin <= answer.started < promise.end
        and answer.ended <= promise.end
    ]
    about = [answer for answer in mine if answer.model == promise.model]
    lists = [answer for answer in mine if not answer.model and answer.started >= promise.lists_from]
    wanted = 200 if promise.served else 404
    wrong = 404 if promise.served else 200
    broken = _report(
        f"{what}: it answered otherwise",
        [
            answer
            for answer in about
            if answer.status != wanted
            and (answer.status == wrong or not _excused(answer, outages))
            and not _still_draining(answer, promise)
        ],
    )
    broken += _report(
        f"{what}: the list of models says otherwise",
        [
            answer
            for answer in lists
            if (answer.status == 200 and (promise.model in answer.listed) is not promise.served)
            or (answer.status != 200 and not _excused(answer, outages))
        ],
    )
    during = [outage for outage in outages if outage.begin < promise.end and outage.end > promise.begin]
    # After an outage it has to work again by itself, unless the promise ended before.
    healed = max((outage.end for outage in during), default=promise.begin)
    witnesses = sum(answer.status == wanted and answer.started >= healed for answer in about)
    if witnesses < promise.least and promise.end - healed > _UNSEEN_S:
        broken.append(f"{what}: only {witnesses} of {promise.least} answers bear witness")
    return broken


def _excused(answer: Answer, outages: Sequence[Outage]) -> bool:
    return any(answer.started < outage.end and answer.ended > outage.begin for outage in outages)


def _still_draining(answer: Answer, promise: Promise) -> bool:
    refused = (answer.status, answer.detail) == (503, "model_draining")
    return refused and answer.started <= promise.draining_until


def _judge_count(count: Count, answers: Sequence[Answer]) -> list[str]:
    """A server may finish after the withdrawal only what was on its way before, wherever it was asked."""
    on_the_way = sum(
        answer.model == count.model
        and answer.started <= count.begin
        and answer.ended >= count.begin - _COUNTING_S
        for answer in answers
    )
    finished = count.after - count.before
    if finished <= on_the_way:
        return []
    moment = f"{count.begin:.3f}, when {on_the_way} were on their way"
    return [f"{count.model}: its server finished {finished} requests after its withdrawal at {moment}"]


def _report(what: str, answers: Sequence[Answer]) -> list[str]:
    if not answers:
        return []
    shown = "; ".join(str(answer) for answer in answers[:_SHOWN])
    return [f"{what}, {len(answers)} times: {shown}"]
