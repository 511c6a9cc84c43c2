# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both sides of the benchmark run against: the lab, a place of their own, the peer's environment."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
import yaml
from psycopg2 import sql

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
    JSONObject,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import read_release
from tests.support.cached_venv import cached_venv
from tests.support.lab import Lab
from tests.support.playbooks import ROOT, PlayRunner

PEER = ROOT / "tests/bench/peer"
CHART = ROOT / "roles/vllm/files/chart/vllm-deployment"
_GONE_TIMEOUT_S = 180


def peer_environment(say: Callable[[str], None]) -> Path:
    """Return the peer's virtual environment."""
    return cached_venv("bench-venv", PEER / "requirements.txt", say)


@dataclass
class Place:
    """A database and namespaces that belong to one run of the benchmark."""

    lab: Lab
    folder: Path
    dsn: str
    api: ClusterClient

    def namespace(self) -> str:
        """Return the name of a namespace that does not exist yet."""
        return f"bench-{uuid.uuid4().hex[:8]}"

    def variables(self, namespace: str, more: Mapping[str, Any] | None = None) -> Path:
        """Write what both playbooks need to know about this run, and more; return the file."""
        # kubeconfig with certificates as data; uri wants files.
        config = yaml.safe_load(self.lab.kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        dsn = psycopg2.extensions.parse_dsn(self.dsn)
        content = {
            "bench_namespace": namespace,
            "bench_kubeconfig": str(self.lab.kubeconfig),
            "bench_server": cluster["server"],
            "bench_ca_cert": self._file("ca.crt", cluster["certificate-authority-data"]),
            "bench_client_cert": self._file("client.crt", user["client-certificate-data"]),
            "bench_client_key": self._file("client.key", user["client-key-data"]),
            "bench_helm": str(self.lab.binary("helm")),
            "bench_helm3": str(self.lab.binary("helm3")),
            "bench_chart": str(CHART),
            "bench_dsn": self.dsn,
            "bench_pg": {key: dsn.get(key, "") for key in ("host", "port", "user", "password", "dbname")},
            **(more or {}),
        }
        path = self.folder / f"{namespace}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def router_settings(self, namespace: str) -> dict[str, Any]:
        """Return what playbooks/router.yml needs to run the lab's router on this place's registry."""
        dsn = urlsplit((self.lab.folder / "router.dsn").read_text(encoding="utf-8").strip())
        database = psycopg2.extensions.parse_dsn(self.dsn)["dbname"]
        return {
            "router_image": "llmops.local/router:0.1.0",
            "router_image_pull_policy": "Never",
            "router_dsn": dsn._replace(path=f"/{database}").geturl(),
            "router_redis_url": (self.lab.folder / "redis.url").read_text(encoding="utf-8").strip(),
            "router_registry_ports": [15432, 16379],
            "router_settings": {"redis_prefix": namespace},
            "router_resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }

    def ready_models(self) -> int:
        """Return how many models the registry calls ready."""
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM model_registry_entries WHERE deployment_status = 'ready'")
            row = cursor.fetchone()
        connection.close()
        return int(row[0]) if row else 0

    def revisions(self, namespace: str) -> int:
        """Return how many Helm revisions the namespace holds."""
        return len(self._records(namespace))

    def manifests(self, namespace: str) -> list[str]:
        """Return what Helm has on record for each release of the namespace, newest revisions only."""
        names = sorted({item["metadata"]["labels"]["name"] for item in self._records(namespace)})
        found = (read_release(self.api, name, namespace) for name in names)
        return [record.manifest for record in found if record is not None]

    def _records(self, namespace: str) -> list[JSONObject]:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        return list(self.api.list_pages(path, {"labelSelector": "owner=helm"}))

    def clear(self, namespace: str) -> None:
        """Delete the namespace with all that is in it and the rows, and wait until both are gone."""
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM model_registry_entries")
        connection.close()
        path = f"/api/v1/namespaces/{namespace}"
        self.api.delete(path)
        deadline = time.monotonic() + _GONE_TIMEOUT_S
        while self.api.find(path) is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"namespace {namespace} is still there after {_GONE_TIMEOUT_S} s")
            time.sleep(0.5)

    def _file(self, name: str, data: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(data))
        return str(path)


@contextmanager
def prepared_place(lab: Lab, folder: Path) -> Iterator[Place]:
    """Make a database with the registry's schema, which neither side's time contains; drop it at the end."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    administrator = psycopg2.connect(lab.registry_dsn)
    administrator.autocommit = True
    try:
        with administrator.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            dsn = psycopg2.extensions.make_dsn(lab.registry_dsn, dbname=name)
            play = {
                "name": "Make the registry's schema",
                "hosts": "localhost",
                "connection": "local",
                "gather_facts": False,
                "vars": {"registry_dsn": dsn},
                "roles": ["llmops.platform.registry"],
            }
            PlayRunner(folder).run([play]).check()
            yield Place(lab, folder, dsn, ClusterClient(Authentication(kubeconfig=str(lab.kubeconfig))))
        finally:
            with administrator.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        administrator.close()
