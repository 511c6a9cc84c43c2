# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply migrations: each in a transaction of its own, one runner at a time, nothing left half done.

Nothing is remembered between two steps. Each one takes the lock, reads what the database has, and does the
next thing, so a run that was killed, or whose commit was never confirmed, is continued by the next.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..common.errors import ErrorClass, PlatformError
from .connection import Database, Session
from .failures import DatabaseError
from .migration_files import Applied, Migration, Step, plan

# A missing library is reported by connection.settings().
with contextlib.suppress(ImportError):
    from psycopg2 import sql

TABLE = "registry_schema_migrations"

_CREATE_TABLE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    seconds double precision NOT NULL
);
COMMENT ON TABLE {TABLE} IS 'llmops.platform: migrations of the registry that were applied';
"""
_KEY = "hashtextextended('llmops.platform migrations ' || current_schema(), 0)"
# Bound to the transaction, because behind a pooler a lock of the session would stay on the server.
_LOCK = f"SELECT pg_try_advisory_xact_lock({_KEY})"
_HOLDER = f"""
SELECT format('%s by %s from %s, process %s, since %s', coalesce(nullif(a.application_name, ''), 'a program'),
              a.usename, coalesce(host(a.client_addr), 'this host'), l.pid, a.xact_start)
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (l.classid::bigint << 32 | l.objid::bigint) = {_KEY}
"""  # noqa: S608
_TABLES = """
SELECT c.relname, a.attname
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> %s
"""


@dataclass(frozen=True)
class Done:
    """A step that was taken (in a dry run: that would be), and how long it took."""

    step: Step
    duration_s: float


@dataclass
class Report:
    """What a run did. Versions are 0 for an empty database."""

    version_before: int
    version_after: int
    done: list[Done] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def migrate(
    database: Database,
    migrations: Sequence[Migration],
    target: int | None,
    *,
    allow_data_loss: bool = False,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Report:
    """Bring the schema to ``target`` (None: the latest) and return what was done.

    A dry run takes all steps in one transaction and rolls it back, so that it fails where the real run would.
    """
    before = database.transaction(read_applied, read_only=True)
    steps = plan(migrations, before, target)
    report = Report(version_before=len(before), version_after=len(before))
    if not steps:
        return report
    # On the way down a later step may be refused for its rows: find out before the first one is taken.
    if dry_run or (steps[0].direction == "down" and not allow_data_loss):
        rehearsed = database.transaction(
            lambda session: _rehearse(session, migrations, target, allow_data_loss, report), dry_run=True
        )
    if dry_run:
        report.done = rehearsed
    else:
        # A second runner may have taken some of the steps meanwhile, but never makes them more.
        for _step in range(len(steps)):
            try:
                done = database.transaction(
                    lambda session: _advance(session, migrations, target, allow_data_loss, report)
                )
            except PlatformError as error:
                error.details["steps_done"] = [taken.step.migration.label for taken in report.done]
                raise
            if done is None:
                break
            report.done.append(done)
            progress(f"Schema: {done.step.direction} {done.step.migration.label} in {done.duration_s:.2f} s")
    # Whoever took the last step, this run or another.
    report.version_after = migrations[-1].version if target is None else target
    return report


def read_applied(session: Session) -> list[Applied]:
    """Return what the database has, the oldest first; an empty list where there is no record."""
    if (session.row("SELECT current_schema()") or (None,))[0] is None:
        raise DatabaseError(
            ErrorClass.INVALID,
            "The search_path of the database role names no existing schema.",
            "Create the schema, or correct search_path.",
        )
    if (session.row("SELECT to_regclass(%s)", (TABLE,)) or (None,))[0] is None:
        return []
    rows = session.rows(f"SELECT version, name, checksum FROM {TABLE} ORDER BY version")  # noqa: S608
    return [Applied(*row) for row in rows]


def _lock(session: Session) -> None:
    """Take the turn of this run, or raise an error that ``Database.transaction`` waits and repeats on."""
    if (session.row(_LOCK) or (False,))[0]:
        return
    holder = session.row(_HOLDER)
    raise DatabaseError(
        ErrorClass.LOCKED,
        f"Another run migrates this database: {holder[0] if holder else 'it has just ended'}.",
        "Run the task again when it has ended.",
        retry=True,
    )


def _advance(
    session: Session,
    migrations: Sequence[Migration],
    target: int | None,
    allow_data_loss: bool,
    report: Report,
) -> Done | None:
    _lock(session)
    steps = plan(migrations, read_applied(session), target)
    if not steps:
        return None
    if not allow_data_loss:
        _refuse_data_loss(steps[0].version_after, _lost(session, steps[0]))
    return _take(session, steps[0], report)


def _rehearse(
    session: Session,
    migrations: Sequence[Migration],
    target: int | None,
    allow_data_loss: bool,
    report: Report,
) -> list[Done]:
    _lock(session)
    steps = plan(migrations, read_applied(session), target)
    lost: set[str] = set()
    done = []
    for step in steps:
        if not allow_data_loss:
            lost |= _lost(session, step)
        done.append(_take(session, step, report))
    if steps:
        _refuse_data_loss(steps[-1].version_after, lost)
    return done


def _take(session: Session, step: Step, report: Report) -> Done:
    session.execute(_CREATE_TABLE)
    migration = step.migration
    start = time.monotonic()
    try:
        session.execute(step.sql)
    finally:
        report.warnings = list(dict.fromkeys([*report.warnings, *session.warnings()]))
    seconds = round(time.monotonic() - start, 3)
    if step.direction == "up":
        session.execute(
            f"INSERT INTO {TABLE} (version, name, checksum, seconds) VALUES (%s, %s, %s, %s)",  # noqa: S608
            (migration.version, migration.name, migration.checksum, seconds),
        )
    else:
        session.execute(f"DELETE FROM {TABLE} WHERE version = %s", (migration.version,))  # noqa: S608
    return Done(step, seconds)


def _lost(session: Session, step: Step) -> set[str]:
    """Return the tables with rows that a step drops, or drops a column of.

    What it drops is observed, not declared: it is tried, looked at, and undone. Only then are the tables
    that it touches locked and looked into, so that no row comes in between. A table with a column
    ``singleton`` has its one row from the beginning: it counts what other tables hold.
    """
    if step.direction == "up":
        return set()
    before = _columns(session)
    session.execute("SAVEPOINT trial")
    session.execute(step.sql)
    dropped = before - _columns(session)
    session.execute("ROLLBACK TO SAVEPOINT trial")
    tables = {table for table, _column in dropped if (table, "singleton") not in before}
    return {table for table in sorted(tables) if _has_rows(session, table)}


def _refuse_data_loss(version: int, lost: set[str]) -> None:
    if lost:
        raise PlatformError(
            ErrorClass.INVALID,
            f"Going down to version {version} drops rows of {', '.join(sorted(lost))}.",
            "Save them (pg_dump), then say so with allow_data_loss: true.",
            {"tables_with_rows": sorted(lost), "version": version},
        )


def _columns(session: Session) -> set[tuple[str, str]]:
    return {(str(table), str(column)) for table, column in session.rows(_TABLES, (TABLE,))}


def _has_rows(session: Session, table: str) -> bool:
    name = sql.Identifier(table)
    session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
    return session.row(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)) is not None
