# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Login users of the lab's PostgreSQL for the services that run as pods, with no more rights than they need.

The rights are those of the groups, to which the registry's migrations give them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..common.deadline import Deadline
from .filesystem import differs, write_if_changed
from .postgresql import DATABASE, PostgreSQL
from .steps import Progress, Step

GROUPS = ("llmops_deployer", "llmops_router", "llmops_health_checker")


@dataclass(frozen=True)
class Login:
    """A login user, the group that it belongs to, and the file with its DSN."""

    user: str
    group: str
    dsn_file: str


LOGINS = (
    Login("lab_router", "llmops_router", "router.dsn"),
    Login("lab_health", "llmops_health_checker", "health.dsn"),
)

# One line for each group and each membership that exists.
_EXISTING = """\
SELECT rolname FROM pg_roles
UNION ALL
SELECT login.rolname || ' in ' || parent.rolname
  FROM pg_auth_members AS membership
  JOIN pg_roles AS login ON login.oid = membership.member
  JOIN pg_roles AS parent ON parent.oid = membership.roleid
"""
# A migration that runs just now may make it too.
_CREATE_GROUP = """\
DO $$ BEGIN
    CREATE ROLE {group} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""


class LoginsStep(Step):
    """The groups, the login users, and a file with a DSN for each."""

    name = "database logins"

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server

    def pending(self) -> str:
        """Say what is missing."""
        for login in LOGINS:
            password = self._password(login)
            if not password or differs(self._file(login), self._dsn(login, password), 0o600):
                return f"no {login.dsn_file} for this address"
        existing = set(self._server.psql(_EXISTING).splitlines())
        wanted = {*GROUPS, *(f"{login.user} in {login.group}" for login in LOGINS)}
        missing = sorted(wanted - existing)
        return f"missing: {', '.join(missing)}" if missing else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make them; a password is made once and given to the user each time."""
        existing = set(self._server.psql(_EXISTING).splitlines())
        for group in GROUPS:
            if group not in existing:
                self._server.psql(_CREATE_GROUP.format(group=group))
        for login in LOGINS:
            password = self._password(login) or secrets.token_urlsafe(24)
            write_if_changed(self._password_file(login), f"{password}\n", 0o600)
            verb = "ALTER" if login.user in existing else "CREATE"
            self._server.psql(f"{verb} ROLE {login.user} LOGIN PASSWORD '{password}'")
            if f"{login.user} in {login.group}" not in existing:
                self._server.psql(f"GRANT {login.group} TO {login.user}")
            write_if_changed(self._file(login), self._dsn(login, password), 0o600)

    def _file(self, login: Login) -> Path:
        return self._server.settings.path(login.dsn_file)

    def _password_file(self, login: Login) -> Path:
        return self._server.settings.pki / f"{login.user}.password"

    def _password(self, login: Login) -> str:
        path = self._password_file(login)
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def _dsn(self, login: Login, password: str) -> str:
        port = self._server.settings.ports.postgresql
        user = f"{login.user}:{quote(password, safe='')}"
        # The node's address, which pods reach too.
        return f"postgresql://{user}@{self._server.address}:{port}/{DATABASE}\n"
