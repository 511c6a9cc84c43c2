# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the registry's tests: a server of their own, a fresh database for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import (
    registry_entry,
    registry_info,
    registry_schema,
)
from tests.support.playbooks import ROOT
from tests.support.postgres import Server, private_server

MIGRATIONS = ROOT / "roles" / "registry" / "files" / "migrations"

Run = Callable[..., Outcome]


def version_of(name: str) -> int:
    """Return the number of the migration of that name."""
    (file,) = MIGRATIONS.glob(f"*_{name}.up.sql")
    return int(file.name.split("_", 1)[0])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a running server that a test may do anything to, if it puts it right again."""
    with private_server() as running:
        yield running


@pytest.fixture
def database_name(server: Server) -> Iterator[str]:
    """Return the name of a fresh, empty database."""
    with fresh_database(server, "template0") as name:
        yield name


@pytest.fixture(scope="session")
def migrated_template(server: Server) -> str:
    """Return the name of a database with the present schema, to make others from: that is the quicker way."""
    name = "migrated_template"
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    administrator.close()
    arguments = {"dsn": server.dsn(name), "migrations_path": str(MIGRATIONS)}
    registry_schema.run(_defaults(registry_schema.ARGUMENT_SPEC, arguments), Context())
    return name


@pytest.fixture
def migrated_database_name(server: Server, migrated_template: str) -> Iterator[str]:
    """Return the name of a fresh database that has the schema. Use it as ``database_name``."""
    with fresh_database(server, migrated_template) as name:
        yield name


@contextmanager
def fresh_database(server: Server, template: str) -> Iterator[str]:
    """Make a copy of a database, and drop it in the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    administrator.close()
    yield name
    # The test may have restarted the server.
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    administrator.close()


@pytest.fixture
def dsn(server: Server, database_name: str) -> str:
    """Return the DSN of a fresh, empty database."""
    return server.dsn(database_name)


@pytest.fixture
def query(server: Server, database_name: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Return a function that runs SQL in the fresh database, as an independent witness."""
    opened: list[psycopg2.extensions.connection] = []

    def run(statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        if not opened or opened[-1].closed:
            opened.append(server.connect(database_name))
        with opened[-1].cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    yield run
    for connection in opened:
        connection.close()


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """Return the fresh database as the core sees it."""
    with open_database(dsn) as opened:
        yield opened


def open_database(dsn: str, seconds: float = 20.0) -> Database:
    """Return a database of the core."""
    return Database(settings({"dsn": dsn}), Deadline(seconds))


def _defaults(specification: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    assert set(arguments) <= set(specification), "an argument that the module does not have"
    return {name: option.get("default") for name, option in specification.items()} | arguments


@pytest.fixture
def schema(dsn: str) -> Run:
    """Return a function that runs the operation of registry_schema on the fresh database."""

    def run(check: bool = False, **arguments: Any) -> Outcome:
        arguments = {"dsn": dsn, "migrations_path": str(MIGRATIONS), **arguments}
        return registry_schema.run(
            _defaults(registry_schema.ARGUMENT_SPEC, arguments), Context(check_mode=check)
        )

    return run


@pytest.fixture
def entry(dsn: str) -> Run:
    """Return a function that runs the operation of registry_entry on the fresh database."""

    def run(check: bool = False, **arguments: Any) -> Outcome:
        arguments = {"dsn": dsn, "model": "org/Model-7B", "environment": "staging", **arguments}
        return registry_entry.run(
            _defaults(registry_entry.ARGUMENT_SPEC, arguments), Context(check_mode=check)
        )

    return run


@pytest.fixture
def info(dsn: str) -> Run:
    """Return a function that runs the operation of registry_info on the fresh database."""

    def run(**arguments: Any) -> Outcome:
        return registry_info.run(_defaults(registry_info.ARGUMENT_SPEC, {"dsn": dsn, **arguments}), Context())

    return run


@pytest.fixture
def copied_migrations(tmp_path: Path) -> Path:
    """Return a copy of the migrations that a test may change."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in MIGRATIONS.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder
