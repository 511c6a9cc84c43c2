# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What health checks mean in an environment: rows that no health checker may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.errors import invalid
from . import entries
from .connection import Database, Session
from .failures import WITHOUT_SCHEMA, DatabaseError

#: Each rule with the least and the greatest value that the table takes.
LIMITS: dict[str, tuple[float, float]] = {
    "failures": (1, 100_000),
    "successes": (1, 100_000),
    "soak_s": (0.001, 2_592_000),
    "soak_failures": (1, 100_000),
}
_NO_SUCH_FUNCTION = "42883"
_NAMES = ", ".join(LIMITS)


@dataclass(frozen=True)
class Change:
    """The rules as they were and are, with the defaults where the environment has none of its own."""

    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Tell whether anything was, or would be, written."""
        return self.before != self.after


def check(wanted: Mapping[str, Any]) -> None:
    """Raise ``invalid`` for a rule out of its limits. None stands for one that stays as it is."""
    for name, (low, high) in LIMITS.items():
        value = wanted[name]
        # Written so that NaN is refused as well.
        if value is not None and not low <= value <= high:
            raise invalid(name, value, f"is not between {low:g} and {high:g}", "Give another number.")


def bring(database: Database, environment: str, wanted: Mapping[str, Any], by: str | None) -> Change:
    """Let the environment have these rules; those that are None stay as they are."""

    def write(session: Session) -> Change:
        change, given = _change(session, environment, wanted)
        if change.changed:
            entries.act_for(session, by)
            _write(session, environment, given)
        return change

    return database.transaction(write)


def preview(database: Database, environment: str, wanted: Mapping[str, Any]) -> tuple[Change, str | None]:
    """Return what would be done, and a warning where it may come otherwise; nothing is written."""
    try:
        change = database.transaction(
            lambda session: _change(session, environment, wanted)[0], read_only=True
        )
    except DatabaseError as error:
        # In check mode an earlier task did not really create the table and its function.
        if error.sqlstate != _NO_SUCH_FUNCTION:
            raise
        return Change({}, _given(wanted)), WITHOUT_SCHEMA
    return change, None


def _given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wanted[name] for name in LIMITS if wanted[name] is not None}


def _change(session: Session, environment: str, wanted: Mapping[str, Any]) -> tuple[Change, dict[str, Any]]:
    """Return what changes, and the rules to write."""
    before, given = read(session, environment), _given(wanted)
    return Change(before, {**before, **given}), given


def _write(session: Session, environment: str, given: Mapping[str, Any]) -> None:
    names = ", ".join(given)
    session.execute(
        f"INSERT INTO health_check_rules (deployment_environment, {names})"  # noqa: S608
        f" VALUES (%(environment)s, {', '.join(f'%({name})s' for name in given)})"
        " ON CONFLICT (deployment_environment) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in given),
        {"environment": environment, **given},
    )


def read(session: Session, environment: str) -> dict[str, Any]:
    """Return the rules that hold in an environment."""
    row = session.rows(f"SELECT {_NAMES} FROM health_check_rules_of(%s)", (environment,))[0]  # noqa: S608
    return dict(zip(LIMITS, row, strict=True))
