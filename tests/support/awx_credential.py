# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A credential for the lab's cluster as AWX injects it: variables of the environment, and a file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab


@dataclass(frozen=True)
class Credential:
    """What the options ``environment`` and ``files`` of a job are."""

    environment: dict[str, str]
    files: dict[str, str]


@contextmanager
def administrator(lab: Lab, api: ClusterClient, namespace: str) -> Iterator[Credential]:
    """Make a ServiceAccount that may do anything, and yield what a job gets of it."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "awx"}})
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    binding = {
        "metadata": {"name": f"awx-{namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "awx", "namespace": namespace}],
    }
    api.create(bindings, binding)
    token = api.create(f"{accounts}/awx/token", {"spec": {"expirationSeconds": 900}})["status"]["token"]
    shown = yaml.safe_load(lab.kubeconfig.read_text("utf-8"))["clusters"][0]["cluster"]
    try:
        yield Credential(
            {
                "K8S_AUTH_HOST": shown["server"],
                "K8S_AUTH_API_KEY": token,
                "K8S_AUTH_SSL_CA_CERT": "{files}/ca.crt",
                "K8S_AUTH_VERIFY_SSL": "True",
            },
            {"ca.crt": base64.b64decode(shown["certificate-authority-data"]).decode()},
        )
    finally:
        api.delete(f"{bindings}/awx-{namespace}")
