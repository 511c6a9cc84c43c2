# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running lab, as tests see it: a kubeconfig, a database server, Helm binaries."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
import yaml
from psycopg2 import sql

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.model_server import wait_until
from tests.support.playbooks import ROOT


@dataclass(frozen=True)
class Lab:
    """Where the parts of the lab are. ``facts`` is what the lab wrote about itself."""

    folder: Path
    facts: dict[str, Any]

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def registry_dsn(self) -> str:
        """URI of the lab's registry database."""
        return (self.folder / "registry.dsn").read_text(encoding="utf-8").strip()

    def binary(self, name: str) -> Path:
        """Return the path of a program of the lab."""
        path = self.folder / "bin" / name
        assert path.exists(), f"the lab has no {name}: {path}"
        return path


def lab_folder() -> Path:
    """Return where the lab keeps its files."""
    return Path(os.environ.get("LLMOPS_LAB_DIR", "/var/lib/llmops-lab"))


def running_lab() -> Lab:
    """Return the lab; start it if its API server does not listen."""
    folder = lab_folder()
    if not _listens(folder / "kubeconfig"):
        subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "playbooks/lab.yml",
                "-e",
                "lab_provider=native",
                "-e",
                "lab_helm3=true",
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            check=True,
        )
    return Lab(folder, json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def _listens(kubeconfig: Path) -> bool:
    if not kubeconfig.exists():
        return False
    server = urlsplit(
        yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"]
    )
    try:
        with socket.create_connection((server.hostname or "", server.port or 443), timeout=2):
            return True
    except OSError:
        return False


@contextmanager
def fresh_namespace(api: ClusterClient, prefix: str = "test") -> Iterator[str]:
    """Make a namespace and delete it afterwards, without waiting for its end."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    labels = {"llmops.platform/test": "true"}
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        api.delete(f"/api/v1/namespaces/{name}")


def wait_allowed(client: ClusterClient, namespace: str, verb: str, resource: str) -> None:
    """Wait until the API server knows of a right that was just given."""
    wanted = {"namespace": namespace, "verb": verb, "resource": resource}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    review = {"spec": {"resourceAttributes": wanted}}
    wait_until(lambda: client.create(path, review)["status"]["allowed"])


@contextmanager
def fresh_database(lab: Lab) -> Iterator[str]:
    """Make an empty database on the lab's PostgreSQL, yield its DSN, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _administer(lab, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield psycopg2.extensions.make_dsn(lab.registry_dsn, dbname=name)
    finally:
        _administer(lab, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(lab: Lab, statement: sql.Composable) -> None:
    # A connection each time: the tests in between may restart PostgreSQL.
    with closing(psycopg2.connect(lab.registry_dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
