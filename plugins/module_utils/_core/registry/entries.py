# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and write rows of ``model_registry_entries``. Every change names the version of the row it saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..common.actor import actor
from ..common.errors import ErrorClass, PlatformError
from ..common.names import check_environment
from .connection import Session
from .entry_fields import (
    COLUMNS,
    Entry,
    changed_fields,
    changes_only_desired_state,
    is_overruled,
    merged,
    rfc3339,
)
from .lock import OperationRef, claim

TABLE = "model_registry_entries"

# All names in the statements below are constants of this file; values are always parameters.
_COLUMNS = ", ".join(COLUMNS.values())
_TARGET = "model_name = %(model)s AND deployment_environment = %(environment)s"
_PAGE = 1000


@dataclass(frozen=True)
class Change:
    """What a write did, or in a dry run would do. None stands for a row that does not exist."""

    before: Entry | None
    after: Entry | None
    changed: bool

    @property
    def needs_lock(self) -> bool:
        """Tell whether the holder of the lock keeps this change off; never one of the desired state alone."""
        if not self.changed or self.after is None:
            return self.changed
        before = self.before or Entry(self.after.model, self.after.environment)
        return not changes_only_desired_state(before, self.after)

    @property
    def publishes(self) -> bool:
        """Tell whether it gives clients a model without taking an endpoint from any router."""
        old = self.before.route if self.before else None
        new = self.after.route if self.after else None
        return self.changed and new is not None and old in (None, new)


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; None and the empty tuple mean all."""

    model: str | None = None
    environment: str | None = None
    namespace: str | None = None
    statuses: tuple[str, ...] = ()
    desired_state: str | None = None
    health_check_older_than_s: float | None = None

    def __post_init__(self) -> None:
        """Raise ``invalid`` for what no environment is called: that is a mistake, not an empty answer."""
        if self.environment is not None:
            check_environment(self.environment)


def read(session: Session, model: str, environment: str) -> Entry | None:
    """Return the entry of a target."""
    row = session.row(
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE {_TARGET}",  # noqa: S608
        {"model": model, "environment": environment},
    )
    return _entry(row) if row else None


def put(
    session: Session,
    model: str,
    environment: str,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
    health_checked: bool = False,
    operation: OperationRef | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Create or change the entry of a target so that it holds ``changes`` (checked fields).

    Nothing is written where nothing changes; ``health_checked`` alone is no change.
    ``expected_version`` is the version that the caller based the decision on; 0 means: no row.
    Raises ``fenced`` for a row that somebody else changed, and where ``operation`` lost its lock; ``locked``
    where somebody else's operation is under way, unless only the desired state changes.
    """
    seen = read(session, model, environment)
    before = seen or Entry(model, environment)
    after = merged(before, changes)
    fields = changed_fields(before, after)
    if seen is not None and not fields:
        if is_overruled(changes, after):
            expect(seen, model, environment, expected_version)
        return Change(seen, seen, changed=False)
    expect(seen, model, environment, expected_version)
    if dry_run:
        return Change(seen, replace(after, version=before.version + 1), changed=True)
    act_for(session, by)
    if operation is not None or not changes_only_desired_state(before, after):
        claim(session, model, environment, operation)
    if seen is None:
        fields = {"model": model, "environment": environment, "status": after.status, **fields}
        written = _insert(session, fields, health_checked)
    else:
        written = _update(session, seen, fields, health_checked)
    if written is None:
        raise _conflict(seen, read(session, model, environment), model, environment)
    return Change(seen, written, changed=True)


def remove(
    session: Session,
    model: str,
    environment: str,
    *,
    expected_version: int | None = None,
    operation: OperationRef | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Delete the entry of a target, if there is one. Raises as :func:`put` does."""
    seen = read(session, model, environment)
    if seen is None:
        return Change(None, None, changed=False)
    expect(seen, model, environment, expected_version)
    if not dry_run:
        act_for(session, by)
        claim(session, model, environment, operation)
        count = session.execute(
            f"DELETE FROM {TABLE} WHERE {_TARGET} AND row_version = %(version)s",  # noqa: S608
            {"model": model, "environment": environment, "version": seen.version},
        )
        if not count:
            raise _conflict(seen, read(session, model, environment), model, environment)
    return Change(seen, None, changed=True)


def find(
    session: Session, wanted: Filter, *, limit: int | None = None, after: tuple[str, str] | None = None
) -> tuple[list[Entry], tuple[str, str] | None]:
    """Return entries in the order of model and environment, and where to go on if there are more.

    ``after`` is the (model, environment) that the previous page ended with. The rows are read in pages, so
    that a large registry does not need one large result; one transaction gives one picture.
    """
    found: list[Entry] = []
    where, values = _condition(wanted)
    while True:
        # One more than wanted tells whether there are more.
        size = _PAGE if limit is None else min(_PAGE, limit - len(found) + 1)
        page_where = where
        if after is not None:
            page_where += (
                " AND (model_name, deployment_environment) > (%(after_model)s, %(after_environment)s)"
            )
            values["after_model"], values["after_environment"] = after
        rows = session.rows(
            f"SELECT {_COLUMNS} FROM {TABLE} WHERE {page_where}"  # noqa: S608
            " ORDER BY model_name, deployment_environment LIMIT %(size)s",
            {**values, "size": size},
        )
        found.extend(_entry(row) for row in rows)
        if limit is not None and len(found) > limit:
            found = found[:limit]
            return found, (found[-1].model, found[-1].environment)
        if len(rows) < size:
            return found, None
        after = (found[-1].model, found[-1].environment)


def database_time(session: Session) -> datetime:
    """Return the database's clock: the only one that ages are measured with."""
    moment: datetime = session.rows("SELECT now()")[0][0]
    return moment


def _condition(wanted: Filter) -> tuple[str, dict[str, Any]]:
    # Rows of an older table without an environment are no targets.
    conditions = ["deployment_environment IS NOT NULL"]
    values: dict[str, Any] = {}
    for column, name, value in (
        ("model_name", "model", wanted.model),
        ("deployment_environment", "environment", wanted.environment),
        ("deployment_namespace", "namespace", wanted.namespace),
        ("desired_state", "desired_state", wanted.desired_state),
    ):
        if value is not None:
            conditions.append(f"{column} = %({name})s")
            values[name] = value
    if wanted.statuses:
        conditions.append("deployment_status = ANY(%(statuses)s)")
        values["statuses"] = list(wanted.statuses)
    if wanted.health_check_older_than_s is not None:
        conditions.append(
            "(last_health_check_at IS NULL OR last_health_check_at < now() - make_interval(secs => %(age)s))"
        )
        values["age"] = wanted.health_check_older_than_s
    return " AND ".join(conditions), values


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(**dict(zip(COLUMNS, row, strict=True)))


def act_for(session: Session, by: str | None) -> None:
    """Tell the triggers of the registry's tables, for this transaction, on whose behalf they are changed."""
    session.execute("SELECT set_config('llmops.actor', %s, true)", (by or actor(),))


def _insert(session: Session, fields: Mapping[str, Any], health_checked: bool) -> Entry | None:
    """Insert a row; None if somebody else did so meanwhile."""
    names = ", ".join(COLUMNS[field] for field in fields)
    marks = ", ".join(f"%({field})s" for field in fields)
    if health_checked:
        names, marks = f"{names}, last_health_check_at", f"{marks}, now()"
    row = session.row(
        f"INSERT INTO {TABLE} ({names}) VALUES ({marks})"  # noqa: S608
        f" ON CONFLICT (model_name, deployment_environment) DO NOTHING RETURNING {_COLUMNS}",
        dict(fields),
    )
    return _entry(row) if row else None


def _update(session: Session, seen: Entry, fields: Mapping[str, Any], health_checked: bool) -> Entry | None:
    """Change a row if it still has the version that was seen; None if not."""
    sets = ", ".join(f"{COLUMNS[field]} = %({field})s" for field in fields)
    if health_checked:
        sets += ", last_health_check_at = now()"
    row = session.row(
        f"UPDATE {TABLE} SET {sets} WHERE model_name = %(seen_model)s"  # noqa: S608
        " AND deployment_environment = %(seen_environment)s AND row_version = %(seen_version)s"
        f" RETURNING {_COLUMNS}",
        {
            **fields,
            "seen_model": seen.model,
            "seen_environment": seen.environment,
            "seen_version": seen.version,
        },
    )
    return _entry(row) if row else None


def expect(seen: Entry | None, model: str, environment: str, expected_version: int | None) -> None:
    """Raise ``fenced`` if the entry that was read does not have the version that a decision is based on."""
    if expected_version is not None and expected_version != (seen.version if seen else 0):
        based_on = Entry(model, environment, version=expected_version)
        raise _conflict(based_on, seen, model, environment)


def _conflict(seen: Entry | None, current: Entry | None, model: str, environment: str) -> PlatformError:
    """Build the error for a row that somebody else changed; it says who, when, and what the row says now."""
    based_on = seen.version if seen else 0
    if current is None:
        what = "it was removed"
    else:
        when = rfc3339(current.updated_at) if current.updated_at else "an unknown time"
        what = (
            f"{current.updated_by or 'somebody'} changed it at {when}; it has version {current.version} "
            f"and status {current.status}"
        )
        differing = changed_fields(seen, current) if seen and seen.updated_at else {}
        if differing:
            what += f" (changed: {', '.join(differing)})"
    return PlatformError(
        ErrorClass.FENCED,
        f"The entry of {model} in {environment} is no longer the one of version {based_on} "
        f"that this change is based on: {what}.",
        "Look at the entry, then run the task again if the change is still wanted.",
        {
            "expected_version": based_on,
            "current_version": current.version if current else None,
            "changed_by": current.updated_by if current else None,
            "changed_at": rfc3339(current.updated_at) if current and current.updated_at else None,
        },
    )
