# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of ``kubernetes_objects`` apply, and a set that applies it in a namespace of its own."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules.kubernetes_objects import ARGUMENT_SPEC, run

IMAGE = "llmops.local/model-server:0.1.0"
CANARY = "canary-7f3a91"

Objects = list[dict[str, Any]]


class ObjectSet:
    """One set in a namespace; calls the module's function with its defaults."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.namespace = namespace
        self._base = {
            **{name: option.get("default") for name, option in ARGUMENT_SPEC.items()},
            "kubeconfig": kubeconfig,
            "set_name": "under-test",
            "namespace": namespace,
            "timeout": 60.0,
        }

    def __call__(self, objects: Objects, *, check: bool = False, **arguments: Any) -> Outcome:
        """Run the module."""
        return run({**self._base, "objects": objects, **arguments}, Context(check_mode=check))

    def actions(self, objects: Objects, **arguments: Any) -> dict[str, str]:
        """Run the module and return what it did to each object."""
        return {
            f"{entry['kind']}/{entry['name']}": entry["action"]
            for entry in self(objects, **arguments).result["objects"]
        }


def config(name: str = "settings", **data: str) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(**data: str) -> dict[str, Any]:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "access"}, "stringData": data}


def server(image: str = IMAGE, replicas: int = 1) -> Objects:
    """Return a Deployment of the lab's model server and its Service."""
    labels = {"app": "server"}
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["serve", "some/model"],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"node-type": "gpu"},
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": labels, "ports": [{"port": 8000}]},
    }
    return [deployment, service]


def read(api: ClusterClient, namespace: str, plural: str, name: str) -> dict[str, Any] | None:
    """Read an object of the core group or of apps."""
    root = "/apis/apps/v1" if plural == "deployments" else "/api/v1"
    return api.find(f"{root}/namespaces/{namespace}/{plural}/{name}")
