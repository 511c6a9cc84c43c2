# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody with some rights in one namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient


def token_with_rights(
    api: ClusterClient, namespace: str, name: str, rules: Sequence[Mapping[str, Any]]
) -> str:
    """Make a ServiceAccount with a Role of these rules; return a token of it, for ten minutes."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    metadata = {"name": name}
    api.create(accounts, {"metadata": metadata})
    api.create(f"{rbac}/roles", {"metadata": metadata, "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    api.create(f"{rbac}/rolebindings", {"metadata": metadata, "roleRef": role, "subjects": [subject]})
    answer = api.create(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 600}})
    return str(answer["status"]["token"])
