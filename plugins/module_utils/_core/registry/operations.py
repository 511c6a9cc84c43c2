# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations from start to end: each takes the lock of its target and leaves a record of its steps.

Nothing is decided by the record: a run looks at what is there. It tells people what happened.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.deadline import Backoff, Deadline
from ..common.errors import invalid
from ..common.redaction import excerpt
from .connection import Database, Session
from .holder import Holder
from .lock import (
    Lock,
    OperationRef,
    act,
    free,
    locked_error,
    read_lock,
    release,
    take,
)

_REASON_LENGTH = 2000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 16.0


@dataclass(frozen=True)
class Wanted:
    """An operation that is to be started. ``ttl_s`` is how long its lock lasts from each renewal."""

    model: str
    environment: str
    kind: str
    holder: Holder
    ttl_s: float


@dataclass(frozen=True)
class Started:
    """A running operation. ``resumes`` is the interrupted one that it goes on with."""

    ref: OperationRef
    resumes: str | None
    waited_s: float = 0.0


@dataclass
class Finished:
    """An operation that is over. ``duration_s`` is its whole length, ``steps`` what it did, in order."""

    changed: bool
    outcome: str
    duration_s: float
    resumes: str | None
    steps: list[dict[str, Any]]


def start(
    database: Database, wanted: Wanted, lock_timeout_s: float, progress: Callable[[str], None]
) -> Started:
    """Take the lock of the target for a new operation, waiting up to ``lock_timeout_s`` for its holder.

    The database's deadline has to leave room for the wait. Raises ``locked`` with the holder.
    """
    # Chosen here: an attempt whose commit nobody confirmed is found again by its id.
    operation_id = str(uuid.uuid4())
    deadline = Deadline(lock_timeout_s)
    backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
    while True:
        answer = database.transaction(lambda session: _begin(session, wanted, operation_id))
        if isinstance(answer, Started):
            return Started(answer.ref, answer.resumes, round(deadline.elapsed(), 3))
        if deadline.expired():
            raise locked_error(answer, deadline.elapsed())
        delay = min(backoff.next(), deadline.remaining())
        progress(f"{wanted.model} is locked by {answer}; next try in {delay:.0f} s")
        deadline.pause(delay)


def _begin(session: Session, wanted: Wanted, operation_id: str) -> Started | Lock:
    """Take the lock and write down the operation, or return the lock of whoever has it."""
    act(session, wanted.holder.name, operation_id)
    target = (session, wanted.model, wanted.environment)
    over: Lock | None = None
    while (fence := take(*target, operation_id, wanted.holder, wanted.ttl_s, over)) is None:
        lock = read_lock(*target, hold=True)
        # The holder's run may have ended without a word.
        if lock is not None and lock.alive:
            return lock
        over = lock
    resumes = _interrupt_others(session, wanted, operation_id, over)
    values = {
        "id": operation_id,
        "model": wanted.model,
        "environment": wanted.environment,
        "kind": wanted.kind,
        "actor": wanted.holder.name,
        "host": wanted.holder.host,
        "pid": wanted.holder.pid,
        "job": wanted.holder.job,
        "fence": fence,
        "resumes": resumes,
    }
    session.execute(
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, host, pid, job, fence,"
        " resumes) VALUES (%(id)s::uuid, %(model)s, %(environment)s, %(kind)s, %(actor)s, %(host)s, %(pid)s,"
        " %(job)s, %(fence)s, %(resumes)s::uuid) ON CONFLICT (id) DO NOTHING",
        values,
    )
    return Started(OperationRef(operation_id, fence), resumes)


def _interrupt_others(session: Session, wanted: Wanted, operation_id: str, over: Lock | None) -> str | None:
    """Note the end of operations that never said so; return the last one if it did not come to its end."""
    reason = "its lock ran out"
    if over is not None and over.held:
        reason = over.why_over
    values = {
        "model": wanted.model,
        "environment": wanted.environment,
        "id": operation_id,
        "reason": reason,
    }
    session.execute(
        "UPDATE operations SET outcome = 'interrupted', finished_at = clock_timestamp(), reason = %(reason)s"
        " WHERE model_name = %(model)s AND deployment_environment = %(environment)s"
        " AND id <> %(id)s::uuid AND outcome = 'running'",
        values,
    )
    last = session.row(
        "SELECT id::text, outcome FROM operations WHERE model_name = %(model)s"
        " AND deployment_environment = %(environment)s AND id <> %(id)s::uuid ORDER BY fence DESC LIMIT 1",
        values,
    )
    return str(last[0]) if last and last[1] == "interrupted" else None


def finish(
    session: Session,
    model: str,
    environment: str,
    ref: OperationRef,
    *,
    outcome: str,
    error_class: str | None,
    reason: str | None,
    by: str,
) -> Finished:
    """Note how the operation ended and give its lock back, if it still has it. Twice is as good as once."""
    act(session, by, ref.id)
    values = {
        "id": ref.id,
        "model": model,
        "environment": environment,
        "outcome": outcome,
        "error_class": error_class,
        "reason": excerpt(reason, _REASON_LENGTH) if reason else None,
    }
    changed = release(session, model, environment, ref)
    changed |= bool(
        session.execute(
            "UPDATE operations SET outcome = %(outcome)s, finished_at = clock_timestamp(),"
            " error_class = %(error_class)s, reason = %(reason)s"
            " WHERE id = %(id)s::uuid AND model_name = %(model)s"
            " AND deployment_environment = %(environment)s AND outcome = 'running'",
            values,
        )
    )
    session.execute(
        "UPDATE operation_steps SET outcome = 'failed', finished_at = clock_timestamp(),"
        " reason = 'it did not say how it ended' WHERE operation_id = %(id)s::uuid AND outcome = 'running'",
        values,
    )
    return read_finished(session, model, environment, ref, changed=changed)


def read_finished(
    session: Session, model: str, environment: str, ref: OperationRef, *, changed: bool = False
) -> Finished:
    """Return the record of an operation; raises ``invalid`` for one that the target never had."""
    row = session.row(
        "SELECT outcome, extract(epoch FROM coalesce(finished_at, clock_timestamp()) - started_at)::float8,"
        " resumes::text FROM operations WHERE id = %s::uuid AND model_name = %s"
        " AND deployment_environment = %s",
        (ref.id, model, environment),
    )
    if row is None:
        raise invalid(
            "lock.id",
            ref.id,
            f"is no operation of {model} in {environment}",
            "Pass on what the start of the operation returned.",
        )
    steps = session.rows(
        "SELECT name, outcome,"
        " extract(epoch FROM coalesce(finished_at, clock_timestamp()) - started_at)::float8"
        " FROM operation_steps WHERE operation_id = %s::uuid ORDER BY number",
        (ref.id,),
    )
    shown = [
        {"name": name, "outcome": ended, "duration_s": round(length, 3)} for name, ended, length in steps
    ]
    return Finished(changed, row[0], round(row[1], 3), row[2], shown)


def unlock(
    session: Session, model: str, environment: str, operation_id: str, reason: str | None, by: str
) -> Lock | None:
    """Take the lock away from an operation; return the lock as it was, None where that one had it no more.

    Raises ``locked`` where another operation has it: that one would have to be named.
    """
    lock = read_lock(session, model, environment, hold=True)
    if lock is None or lock.operation_id != operation_id:
        if lock is not None and lock.held:
            raise locked_error(lock)
        return None
    session.execute("SELECT set_config('llmops.actor', %s, true)", (by,))
    free(session, lock, excerpt(f"unlocked by {by}" + (f": {reason}" if reason else ""), _REASON_LENGTH))
    return lock


def begin_step(session: Session, ref: OperationRef, name: str) -> int:
    """Write down a step before it is taken and return its number."""
    row = session.rows(
        "INSERT INTO operation_steps (operation_id, number, name)"
        " SELECT %(id)s::uuid, coalesce(max(number), 0) + 1, %(name)s FROM operation_steps"
        " WHERE operation_id = %(id)s::uuid RETURNING number",
        {"id": ref.id, "name": name},
    )[0]
    return int(row[0])


def end_step(
    session: Session,
    ref: OperationRef,
    number: int,
    *,
    error_class: str | None = None,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down how a step ended; ``error_class`` says that it failed."""
    session.execute(
        "UPDATE operation_steps SET outcome = %(outcome)s, finished_at = clock_timestamp(),"
        " error_class = %(error_class)s, reason = %(reason)s, detail = %(detail)s::jsonb"
        " WHERE operation_id = %(id)s::uuid AND number = %(number)s",
        {
            "id": ref.id,
            "number": number,
            "outcome": "failed" if error_class else "succeeded",
            "error_class": error_class,
            "reason": excerpt(reason, _REASON_LENGTH) if reason else None,
            "detail": json.dumps(detail or {}),
        },
    )
