# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``playbooks/export.yml`` with the backend ``gateway_api``, on an API server with the real definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import parse_dsn

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.export_registry import Registry, fresh_registry
from tests.support.gateway_api import gateway_api
from tests.support.lab import Lab, fresh_namespace
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.postgres import PASSWORD, Server, private_server

FIRST = "meta-llama/Llama-3.1-8B-Instruct"
SECOND = "mistral-7b"
GATEWAY = {"name": "inference", "namespace": "gateways"}

Export = Callable[..., PlayResult]


@pytest.fixture(scope="module", autouse=True)
def definitions(api: ClusterClient) -> Iterator[None]:
    """Install the Gateway API."""
    with gateway_api(api):
        yield


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """Return a database server for the registries."""
    with private_server() as running:
        yield running


@pytest.fixture
def registry(postgres: Server) -> Iterator[Registry]:
    """Return an empty registry."""
    with fresh_registry(postgres) as rows:
        yield rows


@pytest.fixture
def namespace(api: ClusterClient) -> Iterator[str]:
    """Return a namespace."""
    with fresh_namespace(api, "gateway") as name:
        yield name


@pytest.fixture
def export(lab: Lab, registry: Registry, namespace: str, tmp_path: Path) -> Export:
    """Return a function that runs the playbook."""

    def run(*arguments: str, **changes: Any) -> PlayResult:
        variables = {
            "ansible_connection": "local",
            "registry_dsn": registry.dsn,
            "vllm_environment": "staging",
            "vllm_namespace": namespace,
            "vllm_kubeconfig": str(lab.kubeconfig),
            "router_backend": "gateway_api",
            "router_gateway_parents": [GATEWAY],
            **changes,
        }
        inventory = {"models": {"hosts": {"a-model": {}, "b-model": {}}, "vars": variables}}
        return PlayRunner(tmp_path).run("playbooks/export.yml", inventory=inventory, arguments=arguments)

    return run


def service(namespace: str, name: str = "llama-staging") -> str:
    """Return the endpoint of a Service."""
    return f"http://{name}.{namespace}.svc.cluster.local:8000"


def routes(api: ClusterClient, namespace: str) -> dict[str, dict[str, Any]]:
    """Return the specs of the routes, by model."""
    found = api.get(f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes")["items"]
    return {item["metadata"]["annotations"]["llmops.platform/model"]: item["spec"] for item in found}


def test_routes_follow_the_registry(
    api: ClusterClient, registry: Registry, export: Export, namespace: str
) -> None:
    registry.put(FIRST, service(namespace))
    registry.put(SECOND, service(namespace, "mistral-7b-staging"))
    registry.put("not/ready", service(namespace), status="degraded")
    registry.put("other/environment", service(namespace), environment="production")

    assert export("--check").check().changed
    assert not routes(api, namespace)

    assert export().check().changed
    found = routes(api, namespace)
    assert set(found) == {FIRST, SECOND}
    # The API server fills in defaults; these are the fields that decide.
    (rule,) = found[FIRST]["rules"]
    assert [(match["path"]["value"], match["method"]) for match in rule["matches"]] == [
        ("/v1/chat/completions", "POST"),
        ("/v1/completions", "POST"),
        ("/v1/embeddings", "POST"),
    ]
    for match in rule["matches"]:
        assert match["headers"] == [{"type": "Exact", "name": "x-llmops-model", "value": FIRST}]
    (target,) = rule["backendRefs"]
    assert (target["kind"], target["name"], target["port"]) == ("Service", "llama-staging", 8000)
    assert rule["timeouts"] == {"request": "600s"}
    assert found[FIRST]["parentRefs"][0]["name"] == "inference"

    assert not export().check().changed

    registry.put(FIRST, service(namespace), status="draining")
    registry.put(SECOND, service(namespace, "mistral-moved"))
    assert export().check().changed
    found = routes(api, namespace)
    assert {model: spec["rules"][0]["backendRefs"][0]["name"] for model, spec in found.items()} == {
        SECOND: "mistral-moved"
    }

    assert export(router_state="absent").check().changed
    assert not routes(api, namespace)


def test_single_settings_serve_as_well_as_a_dsn(
    api: ClusterClient, registry: Registry, export: Export, namespace: str, postgres: Server
) -> None:
    registry.put(FIRST, service(namespace))
    place = {
        "registry_host": "127.0.0.1",
        "registry_port": postgres.port,
        "registry_database": parse_dsn(registry.dsn)["dbname"],
        "registry_user": "postgres",
    }
    exported = export("-vvvv", **place, registry_dsn="", registry_password=PASSWORD).check()
    assert exported.changed
    assert set(routes(api, namespace)) == {FIRST}
    assert "c4n@ry" not in exported.output
    # Another registry is not mixed with these.
    other = export(**place, registry_password="wrong", router_registry_dsn=registry.dsn).check()
    assert not other.changed


def test_a_model_outside_the_namespace_is_told_and_holds_up_no_other(
    api: ClusterClient, registry: Registry, export: Export, namespace: str
) -> None:
    registry.put(FIRST, service("elsewhere"))
    registry.put(SECOND, service(namespace))
    done = export()
    assert done.rc != 0
    assert FIRST in done.output
    assert set(routes(api, namespace)) == {SECOND}


def test_a_gateway_has_to_be_named(registry: Registry, export: Export, namespace: str) -> None:
    registry.put(FIRST, service(namespace))
    done = export(router_gateway_parents=[])
    assert done.rc != 0
    assert "router_gateway_parents" in done.output


def test_a_backend_has_to_be_named(export: Export) -> None:
    done = export(router_backend="builtin")
    assert done.rc != 0
    assert "router_backend has to be" in done.output
