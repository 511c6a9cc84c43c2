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
from .connection import Session

#: Each rule with the least and the greatest value that the table takes.
LIMITS: dict[str, tuple[float, float]] = {
    "failures": (1, 100_000),
    "successes": (1, 100_000),
    "soak_s": (0.001, 2_592_000),
    "soak_failures": (1, 100_000),
}
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


def bring(
    session: Session, environment: str, wanted: Mapping[str, Any], *, by: str | None, dry_run: bool
) -> Change:
    """Let the environment have these rules; those that are None stay as they are."""
    before = read(session, environment)
    given = {name: wanted[name] for name in LIMITS if wanted[name] is not None}
    change = Change(before, {**before, **given})
    if dry_run or not change.changed:
        return change
    entries.act_for(session, by)
    names = ", ".join(given)
    session.execute(
        f"INSERT INTO health_check_rules (deployment_environment, {names})"  # noqa: S608
        f" VALUES (%(environment)s, {', '.join(f'%({name})s' for name in given)})"
        " ON CONFLICT (deployment_environment) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in given),
        {"environment": environment, **given},
    )
    return change


def read(session: Session, environment: str) -> dict[str, Any]:
    """Return the rules that hold in an environment."""
    row = session.rows(f"SELECT {_NAMES} FROM health_check_rules_of(%s)", (environment,))[0]  # noqa: S608
    return dict(zip(LIMITS, row, strict=True))
