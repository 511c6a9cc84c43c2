# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the health checker's tests: a PostgreSQL of their own, model servers, checkers. All real."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg2
import psycopg2.extras
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import registry_schema
from tests.services.health_check.checker_process import CheckerProcess
from tests.support.model_server import MODEL, ModelServer
from tests.support.playbooks import ROOT
from tests.support.postgres import PASSWORD, Server, private_server

MIGRATIONS = ROOT / "roles/registry/files/migrations"
#: A login role as an administrator makes it: member of its environment's group and nothing else.
LOGIN = "health_checker_of_tests"
_TEMPLATE = "registry_template"


@dataclass
class RegistryDatabase:
    """A fresh registry, seen by its owner."""

    server: Server
    name: str

    @property
    def dsn(self) -> str:
        """DSN of the health checker's login role."""
        return self.server.dsn(self.name, user=LOGIN)

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        connection = self.server.connect(self.name)
        try:
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(statement, values)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def register(
        self, model: str, endpoint: str, status: str = "ready", environment: str = "staging"
    ) -> None:
        """Write an entry."""
        self.query(
            "INSERT INTO model_registry_entries"
            " (model_name, deployment_environment, deployment_status, deployment_endpoint)"
            " VALUES (%s, %s, %s, %s)",
            model,
            environment,
            status,
            endpoint,
        )

    def row(self, model: str = MODEL) -> dict[str, Any]:
        """Return an entry."""
        (row,) = self.query("SELECT * FROM model_registry_entries WHERE model_name = %s", model)
        return row

    def status(self, model: str = MODEL) -> str:
        """Return the status of an entry."""
        return str(self.row(model)["deployment_status"])

    def health(self, model: str = MODEL) -> dict[str, Any]:
        """Return what the health checker has recorded of a model; empty if nothing."""
        rows = self.query("SELECT * FROM health_checks WHERE model_name = %s", model)
        return rows[0] if rows else {}

    def checks_recorded(self) -> int:
        """Return how many rows the checker has written."""
        return int(self.query("SELECT count(*) AS n FROM health_checks")[0]["n"])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a running server with a registry to copy; a test that breaks it puts it right again."""
    with private_server() as server:
        administrator = server.connect()
        with administrator.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {_TEMPLATE}")
        defaults = {name: option.get("default") for name, option in registry_schema.ARGUMENT_SPEC.items()}
        registry_schema.run(
            {
                **defaults,
                "dsn": server.dsn(_TEMPLATE),
                "migrations_path": str(MIGRATIONS),
                "environments": ["staging"],
            },
            Context(check_mode=False),
        )
        with administrator.cursor() as cursor:
            cursor.execute(
                f"CREATE ROLE {LOGIN} LOGIN PASSWORD %s IN ROLE llmops_health_checker_staging", [PASSWORD]
            )
        administrator.close()
        yield server


@pytest.fixture
def registry(postgres: Server) -> Iterator[RegistryDatabase]:
    """Return a fresh registry."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    for statement in (f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}", f"DROP DATABASE {name} WITH (FORCE)"):
        administrator = postgres.connect()
        with administrator.cursor() as cursor:
            cursor.execute(statement)
        administrator.close()
        if statement.startswith("CREATE"):
            yield RegistryDatabase(postgres, name)


class StartEngine(Protocol):
    """Starts a model server that serves models: the first itself, the others as its adapters."""

    def __call__(self, *models: str, arguments: Sequence[str] = (), **settings: str) -> ModelServer:
        """Start it and wait for its port; ``settings`` are environment variables."""


@pytest.fixture
def engine(model_server_binary: Path, tmp_path: Path) -> Iterator[StartEngine]:
    """Return a starter of model servers, which end with the test."""
    with ExitStack() as running:

        def start(*models: str, arguments: Sequence[str] = (), **settings: str) -> ModelServer:
            log = tmp_path / f"engine-{uuid.uuid4().hex[:6]}.log"
            settings |= {"MODEL_SERVER_CONTROL": "1", "MODEL_SERVER_ACCESS_LOG": "0"}
            served = ["--served-model-name", models[0]] if models else []
            if models[1:]:
                adapters = [f"{model}=/adapters/{model}" for model in models[1:]]
                served += ["--enable-lora", "--lora-modules", *adapters]
            server = ModelServer(model_server_binary, log, *served, *arguments, **settings)
            return running.enter_context(server).wait_open()

        yield start


@pytest.fixture
def checker(registry: RegistryDatabase, tmp_path: Path) -> Iterator[Callable[..., CheckerProcess]]:
    """Return a starter of health checkers, which end with the test."""
    with ExitStack() as running:

        def start(name: str = "one", **settings: str) -> CheckerProcess:
            settings = {"dsn": registry.dsn, **settings}
            log = tmp_path / f"checker-{name}.log"
            return running.enter_context(CheckerProcess(log=log, name=name, **settings))

        yield start
