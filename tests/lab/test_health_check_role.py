# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role, played as a user plays it: two pods on a real cluster that keep the registry true."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import kubernetes_objects, registry_schema
from tests.services.health_check.conftest import MIGRATIONS
from tests.support.lab import Lab
from tests.support.model_server import wait_until
from tests.support.playbooks import PlayResult, PlayRunner

PLAYBOOK = "playbooks/health_check.yml"
IMAGE = "llmops.local/health-checker:0.1.0"
ENGINE_IMAGE = "llmops.local/model-server:0.1.0"
KEY = "sk-canary'\"\\x"

Play = Callable[..., PlayResult]


def defaults_of(module: Any, **arguments: Any) -> dict[str, Any]:
    """Return a module's arguments with its defaults."""
    defaults = {name: option.get("default") for name, option in module.ARGUMENT_SPEC.items()}
    return {**defaults, **arguments}


@pytest.fixture
def rows(registry_dsn: str) -> Callable[..., list[Any]]:
    """Return a function that runs SQL in a fresh registry on the lab's PostgreSQL, as its owner."""
    arguments = defaults_of(registry_schema, dsn=registry_dsn, migrations_path=str(MIGRATIONS))
    registry_schema.run(arguments, Context(check_mode=False))

    def run(statement: str, *values: Any) -> list[Any]:
        with psycopg2.connect(registry_dsn) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    return run


@pytest.fixture
def play(lab: Lab, namespace: str, registry_dsn: str, tmp_path: Path) -> Play:
    """Return a function that plays the playbook for a model of the namespace."""
    database = psycopg2.extensions.parse_dsn(registry_dsn)["dbname"]
    login = (lab.folder / "health.dsn").read_text(encoding="utf-8").strip()
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_kubeconfig": str(lab.kubeconfig),
        "vllm_environment": "staging",
        "vllm_namespace": namespace,
        "health_check_image": IMAGE,
        "health_check_image_pull_policy": "Never",
        "health_check_dsn": psycopg2.extensions.make_dsn(login, dbname=database),
        "health_check_registry_ports": [15432],
        "health_check_upstream_keys": {"*": KEY},
        "health_check_interval_s": 1,
        "health_check_completion_interval_s": 3,
        "health_check_settings": {"connect_timeout_s": 1, "lease_ttl_s": 6, "lease_renew_s": 2},
    }
    inventory = {"models": {"hosts": {"first": {}, "second": {}}, "vars": shared}}
    runner = PlayRunner(tmp_path)

    def run(*arguments: str, **variables: Any) -> PlayResult:
        return runner.run(
            PLAYBOOK, inventory=inventory, arguments=arguments, extra_vars=variables, timeout=120
        )

    return run


def engines(kubeconfig: str, namespace: str, **replicas: int) -> None:
    """Run model servers, each as a Deployment and a Service of its name."""
    objects: list[dict[str, Any]] = []
    for name, count in replicas.items():
        labels = {"app": name}
        container = {
            "name": "server",
            "image": ENGINE_IMAGE,
            "imagePullPolicy": "Never",
            "args": ["serve", f"org/{name}"],
            "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
        }
        pod = {
            "nodeSelector": {"node-type": "gpu"},
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        }
        template = {"metadata": {"labels": labels}, "spec": pod}
        objects += [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {"replicas": count, "selector": {"matchLabels": labels}, "template": template},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": labels, "ports": [{"port": 8000}]},
            },
        ]
    arguments = {"set_name": "engines", "namespace": namespace, "objects": objects, "kubeconfig": kubeconfig}
    kubernetes_objects.run(
        defaults_of(kubernetes_objects, **arguments, timeout=60.0), Context(check_mode=False)
    )


def pods(api: ClusterClient, namespace: str) -> list[dict[str, Any]]:
    """Return the health checker's pods."""
    listed = api.list_pages(f"/api/v1/namespaces/{namespace}/pods")
    wanted = ("app.kubernetes.io/component", "health-checker")
    return [pod for pod in listed if wanted in pod["metadata"]["labels"].items()]


def test_it_runs_checks_and_goes(
    play: Play, rows: Callable[..., list[Any]], api: ClusterClient, kubeconfig: str, namespace: str
) -> None:
    for name in ("steady", "moody"):
        rows(
            "INSERT INTO model_registry_entries"
            " (model_name, deployment_environment, deployment_status, deployment_endpoint)"
            " VALUES (%s, 'staging', 'ready', %s)",
            f"org/{name}",
            f"http://{name}.{namespace}.svc.cluster.local:8000",
        )
    engines(kubeconfig, namespace, steady=1, moody=1)

    planned = play("--check", "--diff").check()
    assert planned.changed
    assert "sk-canary" not in planned.output
    assert pods(api, namespace) == []

    done = play("--diff").check()
    assert done.changed
    assert "sk-canary" not in done.output
    running = pods(api, namespace)
    assert len(running) == 2
    for pod in running:
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    def checked() -> int:
        return int(rows("SELECT count(*) FROM health_checks WHERE last_ok_at IS NOT NULL")[0][0])

    def status(name: str) -> str:
        query = "SELECT deployment_status FROM model_registry_entries WHERE model_name = %s"
        return str(rows(query, f"org/{name}")[0][0])

    wait_until(lambda: checked() == 2, 20)
    engines(kubeconfig, namespace, steady=1, moody=0)
    wait_until(lambda: status("moody") == "degraded", 20)
    engines(kubeconfig, namespace, steady=1, moody=1)
    wait_until(lambda: status("moody") == "ready", 20)
    assert status("steady") == "ready"

    assert play().check().changed == []
    changed = play("--check", "--diff", health_check_interval_s=2).check()
    assert "LLMOPS_HEALTH_INTERVAL_S" in changed.output

    assert play(health_check_state="absent").check().changed
    wait_until(lambda: pods(api, namespace) == [], 40)
    assert play(health_check_state="absent").check().changed == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"health_check_dsn": ""}, "health_check_dsn"),
        ({"health_check_image": ""}, "health_check_image"),
        ({"health_check_state": "gone"}, "health_check_state"),
    ],
)
def test_what_is_missing_is_named_and_nothing_secret_is_shown(
    play: Play, variables: dict[str, Any], told: str, registry_dsn: str
) -> None:
    failed = play(**variables)
    assert failed.rc != 0
    assert told in failed.output
    assert "sk-canary" not in failed.output
    password = psycopg2.extensions.parse_dsn(registry_dsn).get("password")
    assert password is None or password not in failed.output
