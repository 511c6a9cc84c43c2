# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the audit log, and find out whether anybody rewrote it.

Each row holds the hash of the row before and a hash over itself; ``audit_head`` tells where the log ends.
PostgreSQL renders the text that is hashed; the hash is computed here, not by a function of the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from ..common.names import check_environment
from .connection import Session
from .entry_fields import rfc3339

#: What the first row is sealed after, and the hash of an empty log.
NO_HASH = "0" * 64

_PAGE = 5000
# Rows are looked at one by one, so memory stays small; so does what is remembered about bad ones.
_MOST_PROBLEMS = 100
_MOST_SUSPECTS = 300

_COLUMNS = (
    "seq, occurred_at, actor, db_user, action, model_name, deployment_environment, operation_id::text,"
    " detail, previous_hash, hash"
)
# The text that audit_text() makes, without the seq that it begins with, whatever that function says by now.
_BODY = """
jsonb_build_array(to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    actor, db_user, action, model_name, deployment_environment, operation_id, detail, previous_hash)::text
"""


@dataclass(frozen=True)
class Record:
    """One row of the log."""

    seq: int
    occurred_at: datetime
    actor: str
    db_user: str
    action: str
    model: str | None
    environment: str | None
    operation_id: str | None
    detail: dict[str, Any]
    previous_hash: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return {**vars(self), "occurred_at": rfc3339(self.occurred_at)}


@dataclass(frozen=True)
class Filter:
    """Which rows are wanted; None and the empty tuple mean all."""

    model: str | None = None
    environment: str | None = None
    actions: tuple[str, ...] = ()
    actor: str | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        """Raise ``invalid`` for what no environment is called."""
        if self.environment is not None:
            check_environment(self.environment)


@dataclass(frozen=True)
class Head:
    """The end of the log: place and hash of its last row."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Problem:
    """What is wrong with the row ``seq``: ``changed``, ``removed``, ``reordered`` or ``added``."""

    seq: int
    kind: str
    message: str


@dataclass
class Verdict:
    """What a look at the whole log found. ``head`` is None where ``audit_head`` has no row."""

    rows: int = 0
    head: Head | None = None
    problems: list[Problem] = field(default_factory=list)
    #: More than are listed, if there are very many.
    problem_count: int = 0

    def add(self, problem: Problem) -> None:
        """Note a problem."""
        self.problem_count += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def find(session: Session, wanted: Filter, *, limit: int, after: int) -> tuple[list[Record], int | None]:
    """Return up to ``limit`` rows after place ``after``, in order, and where to go on if there are more."""
    conditions = ["seq > %(after)s"]
    values: dict[str, Any] = {"after": after, "size": limit + 1}
    for condition, name, value in (
        ("model_name = %(model)s", "model", wanted.model),
        ("deployment_environment = %(environment)s", "environment", wanted.environment),
        ("action = ANY(%(actions)s)", "actions", list(wanted.actions) or None),
        ("actor = %(actor)s", "actor", wanted.actor),
        ("occurred_at >= %(since)s", "since", wanted.since),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    rows = session.rows(
        f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT %(size)s",  # noqa: S608
        values,
    )
    found = [Record(*row) for row in rows[:limit]]
    return found, found[-1].seq if len(rows) > limit else None


def head(session: Session) -> Head | None:
    """Return the end of the log as ``audit_head`` has it."""
    row = session.row("SELECT seq, hash FROM audit_head")
    return Head(*row) if row else None


@dataclass(frozen=True)
class _Suspect:
    """A row whose hash is not that of its contents."""

    seq: int
    body: str
    hash: str


def verify(session: Session, expected: Head | None = None) -> Verdict:
    """Look at every row of the log. ``expected`` is a head that was noted earlier, outside of the database.

    Without it, somebody who may write to both tables could seal the whole log anew.
    """
    verdict = Verdict(head=head(session))
    suspects: list[_Suspect] = []
    missing: list[range] = []
    last = Head(0, NO_HASH)
    blamed = -1  # the last row that something was said about
    for seq, body, previous_hash, row_hash in _rows(session):
        verdict.rows += 1
        follows = seq == last.seq + 1
        if seq < 1:
            verdict.add(Problem(seq, "added", "rows are counted from 1"))
            continue
        if not follows:
            missing.append(range(last.seq + 1, seq))
            verdict.add(_removed(last.seq + 1, seq - 1))
        if _digest(seq, body) != row_hash:
            suspect = _Suspect(seq, body, row_hash)
            if len(suspects) < _MOST_SUSPECTS:
                suspects.append(suspect)
            else:
                verdict.add(_explained(suspect, []))
            blamed = seq
        elif follows and previous_hash != last.hash and blamed != last.seq:
            # Of two rows that do not fit, the one before was rewritten, hash and all.
            verdict.add(
                Problem(max(last.seq, 1), "changed", f"row {seq} was sealed after a row of another hash")
            )
        if expected is not None and seq == expected.seq and row_hash != expected.hash:
            verdict.add(Problem(seq, "changed", "its hash is not the one of expected_head"))
        last = Head(seq, row_hash)
    places = [suspect.seq for suspect in suspects]
    places += islice((place for gap in missing for place in gap), _MOST_SUSPECTS)
    for suspect in suspects:
        verdict.add(_explained(suspect, places))
    _check_end(verdict, last, expected)
    verdict.problems.sort(key=lambda problem: problem.seq)
    return verdict


def failure(verdict: Verdict) -> PlatformError:
    """Build the error for a log that has problems."""
    first = "; ".join(
        f"row {problem.seq} was {problem.kind}: {problem.message}" for problem in verdict.problems[:3]
    )
    more = f"; and {verdict.problem_count - 3} more" if verdict.problem_count > 3 else ""
    return PlatformError(
        ErrorClass.VERIFICATION,
        f"The audit log is not what was written: {first}{more}.",
        "Somebody with the rights of the tables' owner changed it past its triggers. Keep a copy of it, "
        "compare it with a backup, and find out who has those rights.",
        {
            "verified": False,
            "problems": [vars(problem) for problem in verdict.problems],
            "problem_count": verdict.problem_count,
            "rows": verdict.rows,
            "head": vars(verdict.head) if verdict.head else None,
        },
    )


def _rows(session: Session) -> Iterator[tuple[int, str, str, str]]:
    """Yield place, hashed text, previous hash and hash of every row, in order."""
    after = -(2**63)
    while True:
        page = session.rows(
            f"SELECT seq, {_BODY}, previous_hash, hash FROM audit_log"  # noqa: S608
            f" WHERE seq > %s ORDER BY seq LIMIT {_PAGE}",
            (after,),
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def _digest(seq: int, body: str) -> str:
    return hashlib.sha256(f"{seq} {body}".encode()).hexdigest()


def _removed(first: int, last: int) -> Problem:
    what = "it is missing" if first == last else f"all up to row {last} are missing"
    return Problem(first, "removed", what)


def _explained(suspect: _Suspect, places: list[int]) -> Problem:
    """Tell a row that was changed from one that only stands in another place than it was written for."""
    for place in (suspect.seq - 1, suspect.seq + 1, *places):
        if _digest(place, suspect.body) == suspect.hash:
            return Problem(suspect.seq, "reordered", f"it was written as row {place}")
    return Problem(suspect.seq, "changed", "its hash is not that of its contents")


def _check_end(verdict: Verdict, last: Head, expected: Head | None) -> None:
    """Compare the last row with ``audit_head`` and with what was noted outside."""
    end = verdict.head
    if end is None:
        verdict.add(Problem(last.seq, "removed", "audit_head has no row"))
    elif end.seq > last.seq:
        verdict.add(_removed(last.seq + 1, end.seq))
    elif end.seq < last.seq:
        verdict.add(Problem(end.seq + 1, "added", f"audit_head ends at row {end.seq}"))
    elif end.hash != last.hash:
        verdict.add(Problem(last.seq, "changed", "its hash is not the one of audit_head"))
    if expected is not None and expected.seq > last.seq and (end is None or expected.seq > end.seq):
        verdict.add(_removed(max(last.seq, end.seq if end else 0) + 1, expected.seq))
