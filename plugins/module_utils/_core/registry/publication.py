# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what clients may have of a target, and wait until routers know what was taken from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.deadline import Deadline
from . import entries, revisions, verifications, withdrawal
from .connection import Database, Session
from .entry_fields import Entry, is_overruled, merged
from .lock import OperationRef
from .routers import withdrawal_epoch


@dataclass(frozen=True)
class Publication:
    """A row as it is to be: checked ``changes``, the ``manifest`` of the revision that they describe, and the
    ``verdict`` on it.
    """

    model: str
    environment: str
    changes: Mapping[str, Any]
    manifest: Mapping[str, Any] | None = None
    verdict: verifications.Verdict | None = None
    expected_version: int | None = None
    health_checked: bool = False
    operation: OperationRef | None = None
    by: str | None = None


@dataclass
class Published:
    """What a write did. ``epoch`` is what routers have to reach, None if there is nothing to confirm."""

    change: entries.Change
    epoch: int | None = None
    manifest: revisions.Recorded | None = None
    verified: bool = False  #: a verdict on the manifest was written
    routers: dict[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Tell whether anything was written."""
        recorded = self.manifest is not None and self.manifest.written
        return self.change.changed or recorded or self.verified


def overruled_warning(changes: Mapping[str, Any], after: Entry | None) -> str | None:
    """Say that an entry stays disabled although more was asked for."""
    if after is None or not is_overruled(changes, after):
        return None
    return (
        f"{after.model} in {after.environment} stays disabled, as its operator wants: "
        f"status {changes['status']} was stored as {after.status}. "
        "The playbook llmops.platform.enable gives it back to clients."
    )


def write(session: Session, wanted: Publication, *, dry_run: bool = False) -> Published:
    """Write, or try to write, the row and its manifest in one transaction."""
    change = entries.put(
        session,
        wanted.model,
        wanted.environment,
        wanted.changes,
        expected_version=wanted.expected_version,
        health_checked=wanted.health_checked,
        operation=wanted.operation,
        by=wanted.by,
        dry_run=dry_run,
    )
    manifest = None
    if wanted.manifest is not None and change.after is not None:
        manifest = revisions.record(
            session,
            change.after,
            wanted.manifest,
            operation=wanted.operation,
            by=wanted.by,
            dry_run=dry_run,
        )
    verified = wanted.verdict is not None and verifications.record(
        session,
        wanted.model,
        wanted.environment,
        wanted.verdict,
        operation=wanted.operation,
        by=wanted.by,
        dry_run=dry_run,
    )
    # Nobody waits for an old withdrawal when a model is given to clients.
    quiet = dry_run or change.publishes
    epoch = None if quiet else withdrawal_epoch(session, wanted.model, wanted.environment)
    return Published(change, epoch, manifest, verified)


def first_of_all(wanted: Publication) -> Published:
    """Return what would be written to a registry that has nothing yet, not even its tables."""
    entry = merged(Entry(wanted.model, wanted.environment), wanted.changes)
    return Published(entries.Change(None, entry, changed=True))


def publish(
    database: Database,
    wanted: Publication,
    *,
    timeout_s: float,
    routers_timeout_s: float,
    progress: Callable[[str], None],
) -> Published:
    """Write the row, and wait for routers where an endpoint was withdrawn.

    Raises as :func:`entries.put` and :func:`withdrawal.confirm` do.
    """
    database.begin_anew(Deadline(timeout_s))
    done = database.transaction(lambda session: write(session, wanted))
    if done.epoch is not None:
        database.begin_anew(Deadline(timeout_s + routers_timeout_s))
        done.routers = withdrawal.confirm(
            database, done.change, wanted.environment, done.epoch, routers_timeout_s, progress
        )
    return done
