# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run would find of a lock, for check mode. Nothing is written and nobody waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .connection import Database, Session
from .failures import DatabaseError, is_without_schema
from .lock import Lock, OperationRef, read_lock
from .operations import Finished, read_finished


@dataclass(frozen=True)
class Preview:
    """The lock if an operation is named in it, and the record of the operation that would be finished."""

    lock: Lock | None = None
    finished: Finished | None = None
    is_alive: bool = False  #: its holder may be at work, so that a run would wait or fail

    @property
    def resumes(self) -> str | None:
        """The interrupted operation that a new one would go on with."""
        return self.lock.operation_id if self.lock is not None and not self.is_alive else None

    def held_by(self, operation_id: str) -> Lock | None:
        """Return the lock if this operation has it."""
        return self.lock if self.lock is not None and self.lock.operation_id == operation_id else None

    @property
    def locked_by(self) -> dict[str, Any] | None:
        """Who has the lock now, as JSON types."""
        return self.lock.as_json() if self.lock is not None and self.lock.held else None

    def warning(self) -> str | None:
        """Say that a new operation would not start."""
        if self.lock is None or not self.is_alive:
            return None
        lock = self.lock
        return f"{lock.model} in {lock.environment} is locked by {lock}: a run would wait or fail."


def preview(database: Database, model: str, environment: str, finishing: OperationRef | None) -> Preview:
    """Look at the lock of a target, and at the operation that is to be finished, if one is."""

    def look(session: Session) -> Preview:
        lock = read_lock(session, model, environment)
        finished = None
        if finishing is not None:
            finished = read_finished(session, model, environment, finishing)
            finished.changed = finished.outcome == "running"
        if lock is None or lock.operation_id is None:
            return Preview(None, finished)
        return Preview(lock, finished, lock.alive)

    try:
        return database.transaction(look, read_only=True)
    except DatabaseError as error:
        # In check mode an earlier task did not really create the tables.
        if not is_without_schema(error):
            raise
    return Preview()
