# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories of model servers for tests: the lab's server, quick probes, a namespace of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tests.support.lab import Lab

#: Chart values that make a pod of the lab's model server start at once and need next to nothing.
QUICK_VALUES: dict[str, Any] = {
    "image": {"repository": "llmops.local/model-server", "tag": "0.1.0", "pullPolicy": "Never"},
    "engineVersion": "0.33.0",
    "gpu": {
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
    },
    "probes": {
        "startup": {"periodSeconds": 1},
        "readiness": {"initialDelaySeconds": 0, "periodSeconds": 1},
    },
    "drain": {"preStopSeconds": 0, "shutdownTimeoutSeconds": 1, "marginSeconds": 1},
}


def fault(name: str, **settings: str) -> dict[str, Any]:
    """Return chart values that make the model server fail in one of its ways."""
    variables = {"MODEL_SERVER_FAULT": name, **settings}
    return {"model": {"extraEnv": [{"name": key, "value": value} for key, value in variables.items()]}}


def model_inventory(
    lab: Lab, namespace: str, dsn: str, models: Mapping[str, Mapping[str, Any]], **variables: Any
) -> dict[str, Any]:
    """Return an inventory whose hosts are models. Each model's mapping holds its host variables."""
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_kubeconfig": str(lab.kubeconfig),
        "vllm_helm_binary": str(lab.binary("helm")),
        "registry_dsn": dsn,
        "vllm_environment": "development",
        "vllm_namespace": namespace,
        "vllm_environment_values": QUICK_VALUES,
        **variables,
    }
    return {"models": {"hosts": {name: dict(own) for name, own in models.items()}, "vars": shared}}
