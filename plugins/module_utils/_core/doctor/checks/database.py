# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the registry's database answers, has the schema, and lets this login do a deployer's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cluster.proxy import is_loopback
from ...common.errors import ErrorClass, PlatformError
from ...registry import creators
from ...registry.connection import Session
from ...registry.environment_groups import Group
from ...registry.migration_files import Applied, Migration, load, plan
from ...registry.migrations import read_applied
from ..finding import Finding, Verdict, broken
from ..site import Registry, unprotected

if TYPE_CHECKING:
    from psycopg2.extensions import ConnectionInfo

CHECK = "database"
_SERVER = "SELECT current_setting('server_version'), current_user, pg_is_in_recovery()"
_GROUPS = """
SELECT rolname FROM pg_roles
 WHERE rolname IN (%(everywhere)s, %(own)s) AND pg_has_role(current_user, oid, 'USAGE')
"""
_OWNS = """
SELECT coalesce(bool_and(pg_has_role(current_user, relowner, 'USAGE')), false)
  FROM pg_class
 WHERE oid IN (to_regclass('model_registry_entries'), to_regclass('registry_schema_migrations'))
"""


def with_role(error: PlatformError) -> PlatformError:
    """Say what the roles call a setting that is missing or wrong."""
    advice = f"{error.resolution} In an inventory: registry_dsn, or registry_host and its like."
    return PlatformError(error.error_class, error.message, advice, error.details)


def connect(registry: Registry) -> list[Finding]:
    """Connect and say what is there."""
    try:
        # As libpq sees it: behind a pooler the server knows another connection.
        told, way = registry.read(lambda session: (session.rows(_SERVER), Way.of(session.link)))
    except PlatformError as error:
        return [broken(CHECK, error, "access")]
    version, user, standby = told[0]
    seen = f"PostgreSQL {str(version).split()[0]}, {registry.where}, as {user}."
    if standby:
        advice = "Give the address of the primary, or target_session_attrs=read-write with all of them."
        access = Finding(CHECK, Verdict.FAIL, f"{seen} It is a standby.", advice, "access")
    else:
        access = Finding(CHECK, Verdict.PASS, seen, subject="access")
    return [access, judge_tls(way, registry.site.known_tier)]


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way to the server: ``authority`` tells that libpq knows one to check its certificate by."""

    encrypted: bool
    local: bool
    mode: str
    authority: bool = False

    @classmethod
    def of(cls, link: ConnectionInfo) -> Way:
        """Return the way of a connection."""
        parameters = link.dsn_parameters
        # Where libpq looks itself.
        authority = Path(parameters.get("sslrootcert") or "~/.postgresql/root.crt").expanduser()
        return cls(
            encrypted=link.ssl_in_use,
            local=link.host.startswith("/") or is_loopback(link.host),
            mode=parameters.get("sslmode", "prefer"),
            authority=authority.exists(),
        )

    @property
    def is_verified(self) -> bool:
        """Whether somebody else in the server's place would be found out."""
        # For the sake of old clients libpq takes "require" for "verify-ca" where it has an authority.
        return self.mode in ("verify-ca", "verify-full") or (self.mode == "require" and self.authority)


def judge_tls(way: Way, tier: str) -> Finding:
    """Judge whether others can listen, or answer in place of the server."""
    subject = "tls"
    if way.local:
        return Finding(CHECK, Verdict.PASS, "the server is on this machine.", subject=subject)
    if way.encrypted and way.is_verified:
        return Finding(CHECK, Verdict.PASS, f"sslmode {way.mode}.", subject=subject)
    kind = f"the server's certificate is not checked (sslmode {way.mode})" if way.encrypted else "none"
    advice = "Set registry_sslmode: verify-full and registry_sslrootcert."
    return Finding(CHECK, unprotected(tier), f"{kind}.", advice, subject)


def look_at_schema(registry: Registry) -> list[Finding]:
    """Compare the migrations that were applied with those of the collection."""
    folder = registry.site.migrations
    if not folder:
        return [Finding(CHECK, Verdict.SKIPPED, "no migrations are given to compare with.", subject="schema")]
    migrations = load(folder)
    return [judge_schema(migrations, registry.read(read_applied))]


def judge_schema(migrations: Sequence[Migration], applied: Sequence[Applied]) -> Finding:
    """Judge what was applied."""
    try:
        steps = plan(migrations, applied, None)
    except PlatformError as error:
        return broken(CHECK, error, "schema")
    latest = migrations[-1].version
    if not steps:
        return Finding(CHECK, Verdict.PASS, f"version {latest}, the latest.", subject="schema")
    advice = "Play llmops.platform.registry, as the owner of the schema."
    seen = f"version {len(applied)} of {latest}." if applied else "there is none yet."
    return Finding(CHECK, Verdict.FAIL, seen, advice, "schema")


def look_at_login(registry: Registry) -> list[Finding]:
    """Ask which of the deployer's groups the login is in."""
    group = Group("deployer", registry.site.environment)
    values = {"everywhere": group.everywhere, "own": group.name}

    def ask(session: Session) -> tuple[list[str], bool]:
        names = [str(name) for (name,) in session.rows(_GROUPS, values)]
        return names, bool(session.rows(_OWNS)[0][0])

    groups, owns = registry.read(ask)
    return [judge_login(group, groups, owns)]


def judge_login(group: Group, groups: Sequence[str], owns: bool) -> Finding:
    """Judge what a login may do; ``owns`` tells that it has the rights of the tables' owner."""
    subject = "login"
    if owns:
        advice = f"Let deployments use a login that is in {group.name} only: see docs/database-roles.md."
        return Finding(CHECK, Verdict.WARN, "owns the tables, or is a superuser.", advice, subject)
    if group.everywhere in groups:
        advice = f"Where that is too much: GRANT {group.name}, and take {group.everywhere} away."
        return Finding(
            CHECK, Verdict.PASS, f"may write all environments ({group.everywhere}).", advice, subject
        )
    if group.name in groups:
        return Finding(CHECK, Verdict.PASS, f"is in {group.name}.", subject=subject)
    advice = (
        f'An administrator runs: GRANT "{group.name}" TO this user (registry_environments makes the group).'
    )
    seen = f"is in none of {group.name} and {group.everywhere}: it cannot register a model."
    return Finding(CHECK, Verdict.FAIL, seen, advice, subject)


def look_at_isolation(registry: Registry) -> list[Finding]:
    """See that nobody but its owner may create in the schema."""
    try:
        with registry.asked() as database:
            creators.refuse(database, accept=False)
    except PlatformError as error:
        if error.error_class is not ErrorClass.INVALID:
            raise
        return [broken(CHECK, error, "isolation")]
    return [Finding(CHECK, Verdict.PASS, "only its owner may create in the schema.", subject="isolation")]
