# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry to export from, changed by SQL as any program may change it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import migrations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import load
from tests.support.playbooks import ROOT
from tests.support.postgres import Server

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


@contextmanager
def fresh_registry(server: Server) -> Iterator[Registry]:
    """Make a database with the registry's schema; it goes with the server."""
    dsn = server.dsn(server.create_database(f"exports_{uuid.uuid4().hex[:8]}"))
    with Database(settings({"dsn": dsn}), Deadline(60)) as database:
        migrations.migrate(database, load(str(MIGRATIONS)), None)
    rows = Registry(dsn)
    try:
        yield rows
    finally:
        rows.close()
