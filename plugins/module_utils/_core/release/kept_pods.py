# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods of an earlier template that are still there, which an update to that template keeps."""

from __future__ import annotations

import json

from ..cluster.client import APIError, ClusterClient, JSONObject, segment
from ..cluster.workload import TEMPLATE_HASH
from ..helm.storage import HELM


def ready_pods(
    client: ClusterClient, path: str, deployment: JSONObject, namespace: str, selector: str
) -> int:
    """Return how many ready pods an update to this Deployment (at ``path``) would find there already.

    They are those of a ReplicaSet whose template the API server would give the Deployment: going back in the
    middle of a rollout makes no pod anew. What cannot be found out counts as none.
    """
    query = {"labelSelector": selector}
    sets = list(client.list_pages(f"/apis/apps/v1/namespaces/{segment(namespace)}/replicasets", query))
    if sum(1 for item in sets if (item.get("status") or {}).get("replicas")) < 2:
        return 0
    try:
        would = json.loads(client.apply(path, deployment, HELM, force=True, dry_run=True).data)
    except APIError:
        return 0
    template = would["spec"]["template"]
    return sum(
        int((item.get("status") or {}).get("readyReplicas", 0))
        for item in sets
        if _without_hash(item["spec"]["template"]) == template
    )


def _without_hash(template: JSONObject) -> JSONObject:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {
        name: value for name, value in (metadata.get("labels") or {}).items() if name != TEMPLATE_HASH
    }
    return {**template, "metadata": metadata}
