# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``gpu_capacity_info`` on a real API server: rights, errors, and what it says about real objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.control_plane import OPEN_NODE
from tests.support.run_module import RunModule

MODULE = "gpu_capacity_info"


@pytest.mark.parametrize("mode", ["action", "module"])
def test_says_where_there_is_room(run_module: RunModule, kubeconfig: str, namespace: str, mode: str) -> None:
    arguments = {
        "kubeconfig": kubeconfig,
        "namespace": namespace,
        "cpu": "100m",
        "node_selector": {"node-type": "gpu"},
    }
    answer = run_module(MODULE, arguments, mode=mode, check=True)
    assert answer.status == "ok"
    assert not answer.changed
    result = answer.result
    assert result["api"]["source"] == "device-plugin"
    assert result["nodes_total"] >= 1
    # The others carry a taint that this pod does not tolerate.
    assert {item["node"] for item in result["nodes_fit"]} == {OPEN_NODE}


def test_quota_is_told_apart_from_room(
    run_module: RunModule, api: ClusterClient, kubeconfig: str, namespace: str
) -> None:
    hard = {"requests.nvidia.com/gpu": "1"}
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.create(path, {"metadata": {"name": "gpus"}, "spec": {"hard": hard}})
    answer = run_module(MODULE, {"kubeconfig": kubeconfig, "namespace": namespace, "gpus": 2})
    assert answer.result["verdict"] == "never_fits"
    assert "ResourceQuota gpus" in answer.result["message"]
    assert answer.result["quota"] == [
        {"quota": "gpus", "resource": "requests.nvidia.com/gpu", "hard": "1", "used": "0", "need": "2"}
    ]


def test_missing_right_is_unknown(
    run_module: RunModule, api: ClusterClient, kubeconfig: str, namespace: str
) -> None:
    base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(base, {"metadata": {"name": "nobody"}})
    token = api.create(f"{base}/nobody/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
    arguments = {"host": api.server, "api_key": token, "validate_certs": False, "namespace": namespace}
    answer = run_module(MODULE, arguments)
    assert answer.status == "failed"
    assert answer.result["error_class"] == "auth"
    assert answer.result["verdict"] == "unknown"
    assert "Capacity is unknown: not allowed to list" in answer.result["msg"]
    assert token not in str(answer.result)


@pytest.mark.parametrize(
    ("change", "error_class"),
    [
        ({"host": "https://127.0.0.1:1", "api_key": "x"}, "infrastructure"),
        ({"kubeconfig": "/nowhere/kubeconfig"}, "invalid"),
        ({"context": "nowhere"}, "invalid"),
        ({"memory": "much"}, "invalid"),
    ],
    ids=["unreachable", "no kubeconfig", "no context", "bad quantity"],
)
def test_errors_have_a_class(
    run_module: RunModule, kubeconfig: str, change: dict[str, Any], error_class: str
) -> None:
    answer = run_module(MODULE, {"kubeconfig": kubeconfig, **change})
    assert answer.status == "failed"
    assert answer.result["error_class"] == error_class


def test_claims_bind_the_pod(
    run_module: RunModule, api: ClusterClient, kubeconfig: str, make_namespace: Callable[[str], str]
) -> None:
    namespace = make_namespace("claims")
    template = {
        "spec": {
            "containers": [{"name": "c"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "weights"}}],
        }
    }
    arguments = {"kubeconfig": kubeconfig, "namespace": namespace, "pod_template": template}
    missing = run_module(MODULE, arguments).result
    assert missing["permanent"] is True
    assert "weights does not exist" in missing["message"]
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "",
    }
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    api.create(path, {"metadata": {"name": "weights"}, "spec": spec})
    unbound = run_module(MODULE, arguments).result
    assert (unbound["fits"], unbound["permanent"]) == (False, False)
    assert "not bound" in unbound["message"]
