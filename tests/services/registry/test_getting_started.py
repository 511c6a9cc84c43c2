# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SQL of docs/getting-started.md on servers that differ from the one of the page's walk."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import registry_schema
from tests.support.guide import blocks
from tests.support.playbooks import ROOT
from tests.support.postgres import PASSWORD, Server, private_server

FILES = {block.path: block.text for block in blocks(ROOT / "docs/getting-started.md", {}) if block.path}
SECRETS = {f"{who}_PASSWORD": f"{who}: it's \\ $HOME" for who in ("OWNER", "DEPLOY", "ROUTER", "HEALTH")}


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server without any of the roles, which belong to all its databases."""
    with private_server() as running:
        yield running


def as_in_14(server: Server) -> str:
    """Let everybody create in the schema public, as up to PostgreSQL 14; return the administrator."""
    connection = server.connect("template1")
    with connection.cursor() as cursor:
        cursor.execute("ALTER SCHEMA public OWNER TO postgres")
        cursor.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
    connection.close()
    return "postgres"


def as_in_a_cloud(server: Server) -> str:
    """Return an administrator who is no superuser."""
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE chief LOGIN CREATEDB CREATEROLE PASSWORD %s", [PASSWORD])
    connection.close()
    return "chief"


def play(server: Server, file: str, folder: Path, database: str, user: str, password: str) -> None:
    """Run a file of the page as its commands do."""
    (folder / file).write_text(FILES[file], encoding="utf-8")
    url = f"postgresql://{user}@127.0.0.1:{server.port}/{database}"
    subprocess.run(
        [server.binaries / "psql", "-X", url, "-v", "ON_ERROR_STOP=1", "-f", file],
        cwd=folder,
        env={**os.environ, **SECRETS, "PGPASSWORD": password},
        check=True,
    )


@pytest.mark.parametrize("administrator", [as_in_14, as_in_a_cloud])
def test_the_page_makes_the_database_and_its_users(
    server: Server, administrator: Any, tmp_path: Path
) -> None:
    play(server, "database.sql", tmp_path, "postgres", administrator(server), PASSWORD)
    owner = SECRETS["OWNER_PASSWORD"]
    arguments = {
        "dsn": server.dsn("registry", user="registry_owner", password=owner),
        "migrations_path": str(ROOT / "roles/registry/files/migrations"),
        "environments": ["staging"],
    }
    defaults = {name: option.get("default") for name, option in registry_schema.ARGUMENT_SPEC.items()}
    assert registry_schema.run({**defaults, **arguments}, Context()).warnings == []
    play(server, "logins.sql", tmp_path, "registry", "registry_owner", owner)
    for user, name in (("deploy", "DEPLOY"), ("router", "ROUTER"), ("health_checker", "HEALTH")):
        dsn = server.dsn("registry", user=f"{user}_staging", password=SECRETS[f"{name}_PASSWORD"])
        psycopg2.connect(dsn).close()


def test_psql_14_knows_its_commands() -> None:
    text = "".join(FILES[file] for file in ("database.sql", "logins.sql"))
    assert set(re.findall(r"^\\(\w+)", text, re.MULTILINE)) <= {"set", "connect"}
