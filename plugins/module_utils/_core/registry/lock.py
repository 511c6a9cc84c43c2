# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of a target: who may change it, for how long, and with which fence.

A lock is a row with an end by the database's clock. Whoever takes it gets a fence that is higher than all
before, so a holder that slept past its end is found out at the next write. The row of the lock is
always locked before rows of other tables.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..common.errors import ErrorClass, PlatformError, invalid
from .connection import Session
from .entry_fields import rfc3339
from .holder import Holder

#: A lock lasts so long from each renewal, in seconds. It is renewed four times in that time (``lease``).
TTL_S = 60.0
#: A holder that could not renew its lock for this part of its life writes nothing more.
LOST_AFTER = 2 / 3

_TARGET = "model_name = %(model)s AND deployment_environment = %(environment)s"
_OURS = f"{_TARGET} AND operation_id = %(id)s::uuid AND fence = %(fence)s"
#: Whether the session of the lock's holder is there, where the holder lets itself be watched.
_SESSION = (
    "EXISTS (SELECT FROM pg_locks AS p WHERE p.locktype = 'advisory' AND p.objsubid = 1 AND p.granted"
    " AND p.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (p.classid::bigint << 32 | p.objid::bigint) = hashtextextended(l.operation_id::text, 0))"
)
#: Whether a holder that cannot renew its lock has stopped by itself, by the database's clock.
_SILENT = (
    f"clock_timestamp() > l.expires_at + make_interval(secs => 1 - l.ttl_s * (1 - {LOST_AFTER}::float8))"
)
_FREED = (
    "operation_id = NULL, holder = NULL, host = NULL, pid = NULL, process_started = NULL, watched = false,"
    " expires_at = clock_timestamp()"
)


@dataclass(frozen=True)
class OperationRef:
    """An operation and the fence that it got with the lock."""

    id: str
    fence: int

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> OperationRef | None:
        """Return what a module's parameter ``lock`` names (``LOCK_SPEC``), if anything."""
        given = params.get("lock")
        if not given:
            return None
        if given["fence"] < 1:
            raise invalid("lock.fence", given["fence"], "is no fence", "Pass on what the start returned.")
        return cls(check_id(given["id"], "lock.id"), given["fence"])

    def as_json(self) -> dict[str, Any]:
        """Return what modules take as their parameter ``lock``."""
        return {"id": self.id, "fence": self.fence}


@dataclass(frozen=True)
class Lock:
    """The lock of a target as it is. ``operation_id`` is None where nobody took it since it was freed."""

    model: str
    environment: str
    fence: int
    operation_id: str | None
    holder: Holder
    expires_at: datetime
    held: bool  #: somebody has it now, by the database's clock
    abandoned: bool  #: the holder's session is gone, and it has stopped by itself if it lives
    kind: str | None
    since: datetime | None

    @property
    def alive(self) -> bool:
        """Tell whether somebody has it who may be at work: nobody else may change the target then."""
        return self.held and not self.abandoned and not self.holder.is_gone()

    @property
    def why_over(self) -> str:
        """Say why it is over before its end."""
        if self.abandoned:
            return f"its session from {self.holder.host} ended"
        return f"its process {self.holder.pid} on {self.holder.host} ended"

    def as_json(self) -> dict[str, Any]:
        """Return who holds it, as JSON types."""
        return {
            "operation_id": self.operation_id,
            "fence": self.fence,
            "kind": self.kind,
            "holder": self.holder.name,
            "host": self.holder.host,
            "pid": self.holder.pid,
            "job": self.holder.job,
            "since": rfc3339(self.since) if self.since else None,
            "expires_at": rfc3339(self.expires_at),
        }

    def __str__(self) -> str:
        since = f" since {rfc3339(self.since)}" if self.since else ""
        return f"{self.holder}: {self.kind or 'operation'} {self.operation_id}{since}"


def check_id(value: str, field: str) -> str:
    """Return the id of an operation in its usual form, or raise ``invalid``."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise invalid(
            field, value, "is not the id of an operation", "Give the id that it got at its start."
        ) from None


def act(session: Session, by: str, operation_id: str) -> None:
    """Tell the triggers, for this transaction, for whom it acts and which operation it is a part of."""
    session.execute(
        "SELECT set_config('llmops.actor', %s, true), set_config('llmops.operation', %s, true)",
        (by, operation_id),
    )


def read_lock(session: Session, model: str, environment: str, *, hold: bool = False) -> Lock | None:
    """Return the lock of a target, if it was ever taken. ``hold`` keeps it as it is until the commit."""
    row = session.row(
        "SELECT l.fence, l.operation_id::text, l.holder, l.host, l.pid, l.process_started, o.job,"  # noqa: S608
        " l.expires_at, l.operation_id IS NOT NULL AND l.expires_at > clock_timestamp(),"
        f" l.watched AND {_SILENT} AND NOT {_SESSION}, o.kind, o.started_at"
        " FROM operation_locks AS l LEFT JOIN operations AS o ON o.id = l.operation_id"
        " WHERE l.model_name = %(model)s AND l.deployment_environment = %(environment)s"
        + (" FOR UPDATE OF l" if hold else ""),
        {"model": model, "environment": environment},
    )
    if row is None:
        return None
    fence, operation_id, name, host, pid, process_started, job, expires_at = row[:8]
    held, abandoned, kind, since = row[8:]
    holder = Holder(name or "somebody", host, pid, process_started, job)
    return Lock(model, environment, fence, operation_id, holder, expires_at, held, abandoned, kind, since)


def claim(session: Session, model: str, environment: str, ref: OperationRef | None) -> None:
    """Make sure, until the commit, that this transaction may change the target.

    With ``ref`` its operation must have the lock now. Raises ``fenced`` otherwise, also where the lock ran
    out and nobody took it: a module renews it when it starts, so this one slept since it looked. Without
    ``ref`` nobody may have it: raises ``locked`` with the holder. That of a run that is known to be over is
    freed.
    """
    lock = read_lock(session, model, environment, hold=True)
    if ref is not None:
        if lock is None or not lock.held or (lock.operation_id, lock.fence) != (ref.id, ref.fence):
            raise fenced_error(session, ref, lock)
        session.execute("SELECT set_config('llmops.operation', %s, true)", (ref.id,))
    elif lock is not None and lock.held:
        if lock.alive:
            raise locked_error(lock)
        free(session, lock, lock.why_over)


def take(
    session: Session,
    model: str,
    environment: str,
    operation_id: str,
    holder: Holder,
    ttl_s: float,
    over: Lock | None = None,
) -> int | None:
    """Take the lock for a new operation and return its fence; None where somebody else has it.

    One statement decides by the database's clock. ``over`` is the lock of an operation that is known to
    be over and may be followed before its time. Taking it twice for the same operation gives the same fence.
    """
    row = session.row(
        "INSERT INTO operation_locks AS held (model_name, deployment_environment, operation_id, holder, host,"
        " pid, process_started, ttl_s, expires_at)"
        " VALUES (%(model)s, %(environment)s, %(id)s::uuid, %(holder)s, %(host)s, %(pid)s, %(started)s,"
        " %(ttl)s, clock_timestamp() + make_interval(secs => %(ttl)s))"
        " ON CONFLICT (model_name, deployment_environment) DO UPDATE SET"
        " fence = held.fence + (held.operation_id IS DISTINCT FROM excluded.operation_id)::int,"
        " operation_id = excluded.operation_id, holder = excluded.holder, host = excluded.host,"
        " pid = excluded.pid, process_started = excluded.process_started, ttl_s = excluded.ttl_s,"
        " watched = false,"
        " expires_at = clock_timestamp() + make_interval(secs => excluded.ttl_s)"
        " WHERE held.operation_id IS NULL OR held.expires_at <= clock_timestamp()"
        " OR held.operation_id IN (%(id)s::uuid, %(gone)s::uuid)"
        " RETURNING fence",
        {
            "model": model,
            "environment": environment,
            "id": operation_id,
            "holder": holder.name,
            "host": holder.host,
            "pid": holder.pid,
            "started": holder.process_started,
            "ttl": ttl_s,
            "gone": over.operation_id if over else None,
        },
    )
    return int(row[0]) if row else None


def renew(session: Session, ref: OperationRef, *, revive: bool) -> tuple[float, str, str]:
    """Let the lock last for another period; return its length in seconds, and the target.

    The session has an advisory lock from then on, by which others see that it lives. With ``revive`` a lock
    that ran out and that nobody took since is renewed too. Raises ``fenced`` where it is lost.
    """
    session.row("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (ref.id,))
    row = session.row(
        "UPDATE operation_locks AS l SET watched = true,"
        " expires_at = clock_timestamp() + make_interval(secs => l.ttl_s)"
        " FROM operations AS o WHERE o.id = %(id)s::uuid AND l.model_name = o.model_name"
        " AND l.deployment_environment = o.deployment_environment"
        " AND l.operation_id = o.id AND l.fence = %(fence)s"
        " AND (%(revive)s OR l.expires_at > clock_timestamp())"
        " RETURNING l.ttl_s, l.model_name, l.deployment_environment",
        {"id": ref.id, "fence": ref.fence, "revive": revive},
    )
    if row is None:
        target = session.row(
            "SELECT model_name, deployment_environment FROM operations WHERE id = %s::uuid", (ref.id,)
        )
        raise fenced_error(session, ref, read_lock(session, *target) if target else None)
    return float(row[0]), row[1], row[2]


def unwatch(session: Session, ref: OperationRef) -> None:
    """Note that the session of an operation ends, and the operation does not."""
    session.execute(
        "UPDATE operation_locks SET watched = false WHERE operation_id = %(id)s::uuid AND fence = %(fence)s",
        {"id": ref.id, "fence": ref.fence},
    )


def release(session: Session, model: str, environment: str, ref: OperationRef) -> bool:
    """Give the lock back; False where it was lost before."""
    values = {"model": model, "environment": environment, "id": ref.id, "fence": ref.fence}
    return session.execute(f"UPDATE operation_locks SET {_FREED} WHERE {_OURS}", values) > 0  # noqa: S608


def free(session: Session, lock: Lock, reason: str) -> bool:
    """Take the lock away from its operation, whose end is then noted; False where it had lost it already."""
    values = {
        "model": lock.model,
        "environment": lock.environment,
        "id": lock.operation_id,
        "fence": lock.fence,
        "reason": reason,
    }
    freed = session.execute(f"UPDATE operation_locks SET {_FREED} WHERE {_OURS}", values) > 0  # noqa: S608
    if freed:
        session.execute(
            "UPDATE operations SET outcome = 'interrupted', finished_at = clock_timestamp(),"
            " reason = %(reason)s WHERE id = %(id)s::uuid AND outcome = 'running'",
            values,
        )
    return freed


def locked_error(lock: Lock, waited_s: float = 0.0) -> PlatformError:
    """Build the error for a target that somebody else changes."""
    waited = f" Waited {waited_s:.0f} s." if waited_s >= 1 else ""
    return PlatformError(
        ErrorClass.LOCKED,
        f"{lock.model} in {lock.environment} is locked by {lock}. The lock ends at "
        f"{rfc3339(lock.expires_at)} unless that run renews it.{waited}",
        "Wait until that run has ended, or give a longer lock_timeout (vllm_lock_timeout). If it is dead, "
        "the lock ends by itself; to end it now, run module lock with state broken and that operation's id.",
        {"locked_by": lock.as_json()},
    )


def fenced_error(session: Session, ref: OperationRef, lock: Lock | None) -> PlatformError:
    """Build the error for an operation that lost its lock; it says who took over, or how it ended.

    ``lock`` is that of its target.
    """
    row = session.row("SELECT outcome, reason FROM operations WHERE id = %s::uuid", (ref.id,))
    others = lock if lock is not None and lock.operation_id not in (None, ref.id) else None
    if others is not None and others.fence > ref.fence:
        what = f"{others} took over with fence {others.fence}"
    elif lock is not None and (lock.operation_id, lock.fence) == (ref.id, ref.fence):
        what = f"it ran out at {rfc3339(lock.expires_at)}"
    elif row is not None and row[0] != "running":
        what = f"it is {row[0]}" + (f" ({row[1]})" if row[1] else "")
    else:
        what = "this registry does not know it" if row is None else "it has another one, or none"
    target = f" of {lock.model} in {lock.environment}" if lock is not None else ""
    return PlatformError(
        ErrorClass.FENCED,
        f"Operation {ref.id} (fence {ref.fence}) does not hold the lock{target}: {what}.",
        "Nothing more was written. Run the playbook again when nobody else is at work on this model.",
        {"locked_by": others.as_json() if others else None},
    )
