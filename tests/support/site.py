# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A place to deploy models to: a namespace of the lab, a registry of its own, and what is to be there."""

from __future__ import annotations

from typing import Any

import psycopg2
import psycopg2.extras

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from tests.support.lab import Lab
from tests.support.models import model_inventory
from tests.support.playbooks import PlayResult, PlayRunner, RunningPlay

DEPLOY = "playbooks/deploy.yml"


class Site:
    """One namespace and one registry, and the models that are deployed there."""

    def __init__(self, lab: Lab, api: ClusterClient, namespace: str, dsn: str, runner: PlayRunner) -> None:
        self.lab, self.api, self.namespace, self.dsn, self.runner = lab, api, namespace, dsn, runner
        self.models: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, Any] = {}

    def inventory(self) -> dict[str, Any]:
        """Return the inventory as it is now."""
        return model_inventory(self.lab, self.namespace, self.dsn, self.models, **self.variables)

    def deploy(self, *arguments: str, **extra_vars: Any) -> PlayResult:
        """Play deploy.yml to its end."""
        return self.start(*arguments, **extra_vars).wait(300)

    def start(self, *arguments: str, **extra_vars: Any) -> RunningPlay:
        """Start deploy.yml."""
        return self.runner.start(
            DEPLOY, inventory=self.inventory(), arguments=arguments, extra_vars=extra_vars
        )

    def query(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run SQL in the registry, as an independent witness."""
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the registry's rows by model name."""
        with (
            psycopg2.connect(self.dsn) as connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute("SELECT * FROM model_registry_entries")
            return {row["model_name"]: dict(row) for row in cursor.fetchall()}

    def objects(self, path: str) -> list[dict[str, Any]]:
        """List objects of the namespace; ``path`` such as ``api/v1/pods``."""
        group, _, plural = path.rpartition("/")
        return list(self.api.list_pages(f"/{group}/namespaces/{self.namespace}/{plural}"))

    def revisions(self, model: str, environment: str = "development") -> list[str]:
        """Return the status of each Helm revision of a model's release, oldest first."""
        secrets = self.objects("api/v1/secrets")
        name = release_name(model, environment)
        found = [
            item["metadata"]["labels"] for item in secrets if item["metadata"]["labels"].get("name") == name
        ]
        return [labels["status"] for labels in sorted(found, key=lambda labels: int(labels["version"]))]
