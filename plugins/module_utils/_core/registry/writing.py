# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring the row of a target to what is wanted, or remove it; and what check mode says of either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..common.deadline import Deadline
from . import entries, withdrawal
from .connection import Database, Session
from .failures import WITHOUT_SCHEMA, DatabaseError, is_without_schema
from .lock import read_lock
from .publication import Publication, Published, first_of_all, overruled_warning, publish, write


@dataclass(frozen=True)
class Wanted:
    """A row as it is to be, or which one is to go. Times in seconds."""

    row: Publication
    present: bool
    timeout_s: float
    routers_timeout_s: float
    drain_timeout_s: float


@dataclass
class Written:
    """What one run did, or in check mode would do; ``warning`` says why it may come otherwise."""

    published: Published
    drain: dict[str, Any] | None = None
    warning: str | None = None

    def warnings(self, wanted: Wanted) -> list[str]:
        """Return all that people should know of it."""
        found = (
            self.warning,
            withdrawal.lost_warning(self.published.routers),
            withdrawal.cut_off_warning(wanted.row.model, self.drain, wanted.drain_timeout_s),
            overruled_warning(wanted.row.changes, self.published.change.after),
        )
        return [warning for warning in found if warning]


def bring(database: Database, wanted: Wanted, progress: Callable[[str], None]) -> Written:
    """Write or remove the row, and wait for routers where an endpoint was withdrawn."""
    if not wanted.present:
        return _remove(database, wanted, progress)
    return Written(
        publish(
            database,
            wanted.row,
            timeout_s=wanted.timeout_s,
            routers_timeout_s=wanted.routers_timeout_s,
            progress=progress,
        )
    )


def _remove(database: Database, wanted: Wanted, progress: Callable[[str], None]) -> Written:
    row = wanted.row
    removal = withdrawal.Removal(
        row.model,
        row.environment,
        routers_timeout_s=wanted.routers_timeout_s,
        drain_timeout_s=wanted.drain_timeout_s,
        reason=row.changes.get("status_reason"),
        expected_version=row.expected_version,
        operation=row.operation,
        by=row.by,
    )
    database.begin_anew(Deadline(wanted.timeout_s + wanted.routers_timeout_s + wanted.drain_timeout_s))
    removed = withdrawal.remove(database, removal, progress)
    return Written(Published(removed.change, routers=removed.routers), removed.drain)


def preview(database: Database, wanted: Wanted) -> Written:
    """Return what would be done; nothing is written and nobody waited for."""
    row = wanted.row

    def work(session: Session) -> Written:
        if wanted.present:
            done = Written(write(session, row, dry_run=True))
        else:
            change = entries.remove(
                session, row.model, row.environment, expected_version=row.expected_version, dry_run=True
            )
            done = Written(Published(change))
        done.warning = _locked(session, row, done.published)
        return done

    try:
        return database.transaction(work, read_only=True)
    except DatabaseError as error:
        # In check mode an earlier task did not really create the tables, or their newer columns.
        if not is_without_schema(error):
            raise
    if not wanted.present:
        return Written(Published(entries.Change(None, None, changed=False)), warning=WITHOUT_SCHEMA)
    return Written(first_of_all(row), warning=WITHOUT_SCHEMA)


def _locked(session: Session, row: Publication, done: Published) -> str | None:
    """Say who would keep a run from doing what check mode shows."""
    records = done.manifest is not None and done.manifest.written
    if row.operation is not None or not (records or done.change.needs_lock):
        return None
    lock = read_lock(session, row.model, row.environment)
    if lock is None or not lock.alive:
        return None
    return f"{lock.model} in {lock.environment} is locked by {lock}: a run would fail."
