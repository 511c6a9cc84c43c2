# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``vllm_endpoint_info`` reaches a Service of the real cluster by each way, and says why where it cannot."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_endpoint_info
from tests.support.lab import wait_allowed
from tests.support.model_server import MODEL, wait_until
from tests.support.rights import token_with_rights
from tests.support.run_module import RunModule

CANARY = "sk-canary-2b8e4d"
IMAGE = "llmops.local/model-server:0.1.0"


def deploy(api: ClusterClient, namespace: str, name: str, *, ready: bool = True, **settings: str) -> None:
    """Start a model server behind a Service whose port differs from the pod's and is known by its name."""
    labels = {"app": name}
    # A path that does not exist never gets ready, while the server itself answers.
    path = "/health" if ready else "/never"
    container = {
        "name": "server",
        "image": IMAGE,
        "args": ["serve", MODEL, "--port", "9000"],
        "env": [{"name": key, "value": value} for key, value in settings.items()],
        "ports": [{"name": "api", "containerPort": 9000}, {"name": "other", "containerPort": 9001}],
        "readinessProbe": {"httpGet": {"path": path, "port": "api"}, "periodSeconds": 1},
    }
    api.create(
        f"/api/v1/namespaces/{namespace}/pods",
        {
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
    )
    ports = [{"name": "other", "port": 7000, "targetPort": "other"}]
    ports += [{"name": "http", "port": 8000, "targetPort": "api"}]
    api.create(
        f"/api/v1/namespaces/{namespace}/services",
        {"metadata": {"name": name}, "spec": {"selector": labels, "ports": ports}},
    )


@pytest.fixture(scope="module")
def served(api: ClusterClient) -> Iterator[str]:
    """Return a namespace with an open server, a guarded one with its Secret, and one that is never ready."""
    namespace = f"endpoint-{int(time.time())}"
    api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    try:
        deploy(api, namespace, "opened", MODEL_SERVER_OUTPUT_TOKENS="2000")
        deploy(api, namespace, "guarded", VLLM_API_KEY=CANARY)
        deploy(api, namespace, "unready", ready=False)
        secret = {"token": base64.b64encode(f"{CANARY}\n".encode()).decode(), "empty": ""}
        api.create(
            f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "model-key"}, "data": secret}
        )
        yield namespace
    finally:
        api.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def verify(kubeconfig: str, served: str) -> Callable[..., dict[str, Any]]:
    def run(service: str, **options: Any) -> dict[str, Any]:
        spec = vllm_endpoint_info.ARGUMENT_SPEC
        params = {name: entry.get("default") for name, entry in spec.items()}
        params |= {"model": MODEL, "service": service, "namespace": served, "kubeconfig": kubeconfig}
        return vllm_endpoint_info.run({**params, **options}, Context()).result

    return run


@pytest.mark.parametrize("access", ["proxy", "port_forward", "auto"])
def test_each_way_reaches_the_server(verify: Callable[..., dict[str, Any]], served: str, access: str) -> None:
    result = verify("opened", access=access, successes=3)
    assert result["healthy"]
    assert result["successes"] == 3
    assert result["endpoint"] == f"http://opened.{served}.svc.cluster.local:8000"
    assert result["access"] == access if access != "auto" else result["access"] in ("dns", "port_forward")
    assert result["completion"]["completion_tokens"] == 16
    assert result["completion"]["first_token_s"] <= result["completion"]["latency_s"] < 3


def test_large_and_slow_streams_pass_a_port_forward(verify: Callable[..., dict[str, Any]]) -> None:
    result = verify("opened", access="port_forward", max_tokens=1500, prompt="tell " * 5000)
    assert result["completion"]["prompt_tokens"] > 5000
    assert result["completion"]["completion_tokens"] == 1500


@pytest.mark.parametrize("access", ["port_forward", "auto"])
def test_api_key_from_the_secret(verify: Callable[..., dict[str, Any]], access: str) -> None:
    result = verify("guarded", access=access, api_key_secret={"name": "model-key", "key": "token"})
    assert result["healthy"]
    assert result["access"] in ("port_forward", "dns")
    assert CANARY not in json.dumps(result)


def test_missing_key_is_told_apart_from_missing_rights(verify: Callable[..., dict[str, Any]]) -> None:
    for access in ("proxy", "port_forward"):
        with pytest.raises(PlatformError) as caught:
            verify("guarded", access=access)
        assert caught.value.error_class is ErrorClass.AUTH
        assert "wants an API key" in caught.value.resolution


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"name": "no-such", "key": "token"}, "is not a Secret in namespace"),
        ({"name": "model-key", "key": "no-such"}, "is not a key of Secret 'model-key'"),
        ({"name": "model-key", "key": "empty"}, "holds no usable API key"),
        ({"name": "../services/opened", "key": "token"}, "is not a Secret in namespace"),
    ],
)
def test_wrong_references(
    verify: Callable[..., dict[str, Any]], reference: dict[str, str], words: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        verify("guarded", api_key_secret=reference)
    assert caught.value.error_class is ErrorClass.INVALID
    assert words in caught.value.message
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("access", "words"), [("proxy", "no endpoints available"), ("port_forward", "(not ready: unready)")]
)
def test_a_pod_that_is_not_ready_is_waited_for(
    verify: Callable[..., dict[str, Any]], access: str, words: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        verify("unready", access=access, timeout=2)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert words in caught.value.message
    assert 1.5 < caught.value.details["waited_s"] < 4


@pytest.mark.parametrize("access", ["auto", "proxy", "port_forward"])
def test_a_service_that_is_not_there_fails_at_once(
    verify: Callable[..., dict[str, Any]], access: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        verify("no-such", access=access)
    assert caught.value.error_class is ErrorClass.INVALID
    assert "there is no Service 'no-such'" in caught.value.message
    with pytest.raises(PlatformError, match="not a port of Service"):
        verify("opened", access=access, port=8001)


def test_a_closed_port_of_a_pod_is_a_refused_connection(
    verify: Callable[..., dict[str, Any]],
) -> None:
    for access in ("proxy", "port_forward"):
        with pytest.raises(PlatformError) as caught:
            verify("opened", access=access, port=7000, timeout=2)
        assert caught.value.error_class is ErrorClass.TIMEOUT
        assert "refused" in caught.value.message


def test_missing_rights(
    api: ClusterClient, served: str, verify: Callable[..., dict[str, Any]], kubeconfig: str, tmp_path: Path
) -> None:
    """A user who may read Services and endpoints, but neither proxy nor forward."""
    rules = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    ]
    token = token_with_rights(api, served, "reader", rules)
    cluster = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    authority = tmp_path / "ca.crt"
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    options = {
        "kubeconfig": None,
        "host": cluster["server"],
        "ca_cert": str(authority),
        "api_key": token,
    }
    wait_allowed(ClusterClient(Authentication.from_params(options)), served, "get", "services")
    for access, words in (("proxy", "services/proxy"), ("port_forward", "pods/portforward")):
        with pytest.raises(PlatformError) as caught:
            verify("opened", access=access, **options, timeout=10)
        assert caught.value.error_class is ErrorClass.AUTH
        assert words in caught.value.resolution
        assert token not in str(caught.value)


def test_nothing_is_left_open(verify: Callable[..., dict[str, Any]]) -> None:
    for access in ("proxy", "port_forward"):
        verify("opened", access=access)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        for access in ("proxy", "port_forward"):
            verify("opened", access=access)
        with pytest.raises(PlatformError):
            verify("opened", access="port_forward", port=7000, timeout=0.3)
    # The clients' pooled connections close when they are collected.
    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 4)
    assert not [thread for thread in threading.enumerate() if "port" in thread.name.lower()]


@pytest.mark.parametrize("mode", ["action", "module"])
def test_through_ansible(run_module: RunModule, served: str, kubeconfig: str, mode: str) -> None:
    arguments = {
        "model": MODEL,
        "service": "guarded",
        "namespace": served,
        "kubeconfig": kubeconfig,
        "api_key_secret": {"name": "model-key", "key": "token"},
    }
    task = run_module("vllm_endpoint_info", arguments, mode=mode)
    assert task.status == "ok", task.result
    assert task.result["healthy"]
    assert CANARY not in json.dumps(task.result)
