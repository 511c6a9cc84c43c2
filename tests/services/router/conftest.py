# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry, a Redis and model servers of the tests' own, and routers on them: real processes all."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import migrations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import load
from tests.support.model_server import ModelServer
from tests.support.playbooks import ROOT
from tests.support.postgres import Server, private_server
from tests.support.redis_server import RedisServer
from tests.support.router_process import RouterProcess

MIGRATIONS = ROOT / "roles" / "registry" / "files" / "migrations"

StartRouter = Callable[..., RouterProcess]
StartEngine = Callable[..., ModelServer]


class RegistryRows:
    """The registry of one test, changed by SQL as any program may change it."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        self.dsn = server.dsn(database)
        self._connection: psycopg2.extensions.connection | None = None

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement, committed at once, and return its rows."""
        if self._connection is None or self._connection.closed:
            self._connection = self.server.connect(self.database)
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def put(
        self,
        model: str,
        endpoint: str | None,
        status: str = "ready",
        desired_state: str = "enabled",
        environment: str = "staging",
    ) -> None:
        """Insert or change an entry."""
        self.query(
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
            " deployment_endpoint, desired_state) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (model_name, deployment_environment) DO UPDATE SET deployment_status ="
            " excluded.deployment_status, deployment_endpoint = excluded.deployment_endpoint,"
            " desired_state = excluded.desired_state",
            model, environment, status, endpoint, desired_state,
        )  # fmt: skip

    def remove(self, model: str) -> None:
        """Delete an entry."""
        self.query("DELETE FROM model_registry_entries WHERE model_name = %s", model)

    def epoch(self) -> int:
        """Return the registry's epoch."""
        return int(self.query("SELECT epoch FROM registry_epoch")[0][0])

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a server with a database ``template_registry`` that has the registry's schema."""
    with private_server() as running:
        prepare_template(running)
        yield running


def prepare_template(server: Server) -> None:
    """Make a database ``template_registry`` with the registry's schema."""
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute("CREATE DATABASE template_registry")
    administrator.close()
    with Database(settings({"dsn": server.dsn("template_registry")}), Deadline(60)) as database:
        migrations.migrate(database, load(str(MIGRATIONS)), None)


@pytest.fixture
def registry(postgres: Server) -> Iterator[RegistryRows]:
    """Return an empty registry."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    administrator = postgres.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template_registry")
    rows = RegistryRows(postgres, name)
    # A copied registry is another registry.
    rows.query("UPDATE registry_epoch SET registry_id = gen_random_uuid()")
    yield rows
    rows.close()
    with administrator.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    administrator.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return an empty Redis."""
    with RedisServer(tmp_path) as running:
        yield running


@pytest.fixture
def start_router(tmp_path: Path, registry: RegistryRows) -> Iterator[StartRouter]:
    """Return a function that starts a router on the registry; settings are its keywords."""
    with ExitStack() as running:

        def start(name: str = "a", wait: bool = True, **chosen: str) -> RouterProcess:
            router = running.enter_context(
                RouterProcess(name, tmp_path, chosen.pop("dsn", registry.dsn), **chosen)
            )
            return router.wait_ready() if wait else router

        yield start


@pytest.fixture
def start_engine(tmp_path: Path, model_server_binary: Path) -> Iterator[StartEngine]:
    """Return a function that starts a model server which serves a name; settings are its keywords."""
    with ExitStack() as running:

        def start(model: str = "org/chat", *arguments: str, **chosen: str) -> ModelServer:
            log = tmp_path / f"engine-{uuid.uuid4().hex[:6]}.log"
            server = ModelServer(model_server_binary, log, "--served-model-name", model, *arguments, **chosen)
            return running.enter_context(server).wait_open()

        yield start
