# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of database users that may work in one environment only, such as ``llmops_deployer_staging``.

Each is a member of a group that has the rights and, by itself, no environment to use them in. So a group is
made without a statement on any table, and goes without a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..common.names import check_environment
from .connection import Database, Session
from .failures import DatabaseError

WORKS = ("deployer", "router", "health_checker")

_GIVE_RIGHTS = "SELECT registry_grant_rights()"
_REFUSED = "42501"
#: Somebody made the same group just now.
_MADE_BY_ANOTHER = ("42710", "23505")
_TRIES = 3

# For each group: whether it is there, has the rights of its parent, and those for all environments.
_STATE = """
SELECT g.oid IS NOT NULL, p.oid IS NOT NULL, coalesce(pg_has_role(g.oid, p.oid, 'USAGE'), false),
       coalesce(pg_has_role(g.oid, a.oid, 'USAGE'), false)
  FROM (SELECT to_regrole(quote_ident(%(name)s))::oid) AS g (oid),
       (SELECT to_regrole(%(parent)s)::oid) AS p (oid),
       (SELECT to_regrole(%(all)s)::oid) AS a (oid)
"""
# Those that were made after the schema have no rights in it yet.
_WITHOUT_RIGHTS = """
SELECT count(*) FROM (VALUES ('llmops_environment_deployer', 'operations'),
    ('llmops_environment_router', 'routable_models'), ('llmops_environment_health_checker', 'health_states'),
    ('llmops_deployer', 'operations'), ('llmops_router', 'routable_models'),
    ('llmops_health_checker', 'health_states')) AS sample (name, object)
 WHERE NOT coalesce(has_table_privilege(to_regrole(name)::oid, to_regclass(object)::oid, 'SELECT'), true)
"""


@dataclass(frozen=True)
class Group:
    """The group for one kind of work in one environment."""

    work: str
    environment: str

    @property
    def name(self) -> str:
        """Name of the role: at most 52 of the 63 bytes that PostgreSQL allows."""
        return f"llmops_{self.work}_{self.environment}"

    @property
    def parent(self) -> str:
        """The group that has the rights."""
        return f"llmops_environment_{self.work}"

    @property
    def everywhere(self) -> str:
        """The group whose members may use the rights in all environments."""
        return f"llmops_{self.work}"


@dataclass
class Report:
    """Groups there were, those that were made (in a dry run: would be), and what is to be done by others."""

    before: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    gave_rights: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Tell whether anything was written."""
        return bool(self.made) or self.gave_rights


@dataclass
class _Missing:
    """What is to be done, and what was found on the way."""

    statements: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    parents_missing: bool = False
    rights: bool = False
    too_much: list[str] = field(default_factory=list)


def groups(environments: Sequence[str]) -> list[Group]:
    """Return the groups of environments; raises ``invalid`` for what no environment is called."""
    names = dict.fromkeys(check_environment(environment, "environments") for environment in environments)
    return [Group(work, environment) for environment in names for work in WORKS]


def bring(database: Database, wanted: Sequence[Group], *, dry_run: bool) -> Report:
    """Make the groups that are missing; nothing is ever taken away.

    Who may not make them is told what an administrator has to run; a deployer's tasks go on.
    """
    if not wanted:
        return Report()
    attempt = 1
    while True:
        try:
            return _try(database, wanted, dry_run)
        except DatabaseError as error:
            if error.sqlstate not in _MADE_BY_ANOTHER or attempt == _TRIES:
                raise
        attempt += 1


def _try(database: Database, wanted: Sequence[Group], dry_run: bool) -> Report:
    missing = database.transaction(lambda session: _look(session, wanted), read_only=True)
    report = Report(before=missing.there, warnings=[_too_much(name) for name in missing.too_much])
    if missing.rights:
        # The owner of the schema may do that, also where they may make no roles.
        try:
            database.transaction(lambda session: _run(session, [_GIVE_RIGHTS]), dry_run=dry_run)
            report.gave_rights = True
        except DatabaseError as error:
            if error.sqlstate != _REFUSED:
                raise
            missing.statements.append(_GIVE_RIGHTS)
    if not missing.statements:
        return report
    try:
        # In check mode the migration did not really make the groups that these are members of.
        if not (dry_run and missing.parents_missing):
            database.transaction(lambda session: _run(session, missing.statements), dry_run=dry_run)
    except DatabaseError as error:
        if error.sqlstate != _REFUSED and not missing.parents_missing:
            raise
        report.warnings.append(_not_allowed(missing))
        return report
    report.made = missing.groups
    return report


def _look(session: Session, wanted: Sequence[Group]) -> _Missing:
    missing = _Missing()
    for group in wanted:
        values = {"name": group.name, "parent": group.parent, "all": group.everywhere}
        there, parent_there, is_member, has_all = session.rows(_STATE, values)[0]
        missing.parents_missing |= not parent_there
        if not there:
            missing.statements.append(f'CREATE ROLE "{group.name}" NOLOGIN IN ROLE {group.parent}')
        elif not is_member:
            missing.statements.append(f'GRANT {group.parent} TO "{group.name}"')
        else:
            missing.there.append(group.name)
            if has_all:
                missing.too_much.append(group.name)
            continue
        missing.groups.append(group.name)
    missing.rights = bool(session.rows(_WITHOUT_RIGHTS)[0][0])
    return missing


def _run(session: Session, statements: Sequence[str]) -> None:
    for statement in statements:
        session.execute(statement)


def _not_allowed(missing: _Missing) -> str:
    what = f"The database groups {', '.join(missing.groups)} are" if missing.groups else "Rights are"
    return (
        f"{what} missing, and this user may not make that so. An administrator runs: "
        + "; ".join(missing.statements)
        + (
            ". The groups that they are members of come first: see docs/database-roles.md."
            if missing.parents_missing
            else "."
        )
    )


def _too_much(name: str) -> str:
    return (
        f"Members of {name} may write all environments, because it is a member of another group that may. "
        "See docs/database-roles.md."
    )
