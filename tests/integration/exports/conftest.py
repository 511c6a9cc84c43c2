# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry of the tests' own, and a real LiteLLM proxy with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import migrations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import load
from tests.support.lab import Lab, fresh_database
from tests.support.litellm_proxy import LiteLLMProxy
from tests.support.model_server import ModelServer
from tests.support.playbooks import ROOT

MIGRATIONS = ROOT / "roles" / "registry" / "files" / "migrations"


class Registry:
    """The registry of one test, changed by SQL as any program may change it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True

    def put(
        self,
        model: str,
        endpoint: str,
        status: str = "ready",
        environment: str = "staging",
        namespace: str = "",
    ) -> None:
        """Insert or change an entry."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
                " deployment_endpoint, deployment_namespace) VALUES (%s, %s, %s, %s, nullif(%s, ''))"
                " ON CONFLICT (model_name, deployment_environment) DO UPDATE SET"
                " deployment_status = excluded.deployment_status,"
                " deployment_endpoint = excluded.deployment_endpoint",
                (model, environment, status, endpoint, namespace),
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@pytest.fixture
def registry(lab: Lab) -> Iterator[Registry]:
    """Return an empty registry."""
    with fresh_database(lab) as dsn:
        with Database(settings({"dsn": dsn}), Deadline(60)) as database:
            migrations.migrate(database, load(str(MIGRATIONS)), None)
        rows = Registry(dsn)
        yield rows
        rows.close()


@pytest.fixture(scope="session")
def proxy(litellm_proxy: LiteLLMProxy) -> LiteLLMProxy:
    """Return a running LiteLLM proxy with its database."""
    return litellm_proxy


@pytest.fixture(scope="module")
def engine(model_server_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """Return a running model server."""
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    with ModelServer(model_server_binary, log) as running:
        yield running.wait_open()
