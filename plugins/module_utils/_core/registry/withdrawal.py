# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a model away from clients: routers confirm that they know, requests in flight may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from . import entries
from .connection import Database, Session
from .entry_fields import as_json
from .lock import OperationRef
from .routers import LIVE_S, names, wait_for_routers, wait_until_drained, withdrawal_epoch


@dataclass(frozen=True)
class Removal:
    """How an entry is removed. Times in seconds; ``reason`` goes into the history."""

    model: str
    environment: str
    routers_timeout_s: float
    drain_timeout_s: float
    reason: str | None = None
    expected_version: int | None = None
    operation: OperationRef | None = None
    by: str | None = None


@dataclass(frozen=True)
class Removed:
    """What a removal did. ``routers`` and ``drain`` are None where no router ever had the model."""

    change: entries.Change
    routers: dict[str, Any] | None = None
    drain: dict[str, Any] | None = None


def confirm(
    database: Database,
    change: entries.Change,
    environment: str,
    epoch: int,
    timeout_s: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Wait until the live routers of the environment know that an endpoint was withdrawn.

    Returns what :func:`~.routers.wait_for_routers` does. Raises ``timeout`` with the routers that do not know
    it yet; the change stays written.
    """
    entry = change.after
    stands = f"has status {entry.status} and version {entry.version}" if entry else "is removed"
    written = {"entry": as_json(entry) if entry else None, "changed": change.changed}
    try:
        routers = wait_for_routers(database, environment, epoch, Deadline(timeout_s), progress)
    except PlatformError as error:
        raise PlatformError(
            error.error_class,
            f"The entry is written (it {stands}), but the routers that have to know could not be looked up: "
            f"{error.message}",
            error.resolution,
            {**error.details, **written},
        ) from None
    if not routers["unconfirmed"]:
        return routers
    raise PlatformError(
        ErrorClass.TIMEOUT,
        f"The entry is written (it {stands}), but {names(routers['unconfirmed'])} did not report epoch "
        f"{epoch} of the registry within {timeout_s:g} s and may still send requests to the endpoint that "
        "was withdrawn.",
        f"Look at these routers of {environment}, or restart them. Run the task again to wait for them.",
        {"routers": routers, **written},
    )


def lost_warning(routers: dict[str, Any] | None) -> str | None:
    """Return a warning about routers that nobody can ask, if there are any."""
    if not routers or not routers["lost"]:
        return None
    return (
        f"{names(routers['lost'])} did not confirm and was not heard of for {LIVE_S:g} s. Unless it ended, "
        "it may be cut off from the database and still send requests to the endpoint that was withdrawn."
    )


def cut_off_warning(model: str, drain: dict[str, Any] | None, drain_timeout_s: float) -> str | None:
    """Return a warning about requests that a removal has cut off, if there are any."""
    if not drain or not drain["in_flight"]:
        return None
    return (
        f"{drain['in_flight']} requests of {model} were still in flight after {drain_timeout_s:g} s. "
        "The entry was removed all the same."
    )


def remove(database: Database, wanted: Removal, progress: Callable[[str], None]) -> Removed:
    """Remove an entry without cutting off clients: no new requests, wait for those in flight, then delete.

    The database's deadline has to leave room for both waits. After ``drain_timeout_s`` the entry is deleted
    whatever is still in flight. Raises ``timeout`` where a live router does not confirm: the entry then stays
    ``draining``; and ``fenced`` where somebody changes it meanwhile.
    """
    model, environment = wanted.model, wanted.environment

    def begin(session: Session) -> tuple[entries.Change, int | None]:
        change = _start_draining(session, wanted)
        return change, withdrawal_epoch(session, model, environment)

    begun, epoch = database.transaction(begin)
    routers = drain = None
    if epoch is not None:
        routers = confirm(database, begun, environment, epoch, wanted.routers_timeout_s, progress)
        deadline = Deadline(wanted.drain_timeout_s)
        drain = wait_until_drained(database, model, environment, deadline, progress)
    draining = begun.after
    if draining is None:
        return Removed(begun, routers, drain)
    done = database.transaction(
        lambda session: entries.remove(
            session,
            model,
            environment,
            expected_version=draining.version,
            operation=wanted.operation,
            by=wanted.by,
        )
    )
    return Removed(replace(done, before=begun.before), routers, drain)


def _start_draining(session: Session, wanted: Removal) -> entries.Change:
    """Withdraw the route, or what a health check could make one. Others are left alone without a reason."""
    seen = entries.read(session, wanted.model, wanted.environment)
    if seen is None:
        return entries.Change(None, None, changed=False)
    entries.expect(seen, wanted.model, wanted.environment, wanted.expected_version)
    if seen.status not in ("ready", "degraded") and wanted.reason is None:
        return entries.Change(seen, seen, changed=False)
    return entries.put(
        session,
        wanted.model,
        wanted.environment,
        {"status": "draining", "status_reason": wanted.reason},
        operation=wanted.operation,
        by=wanted.by,
    )
