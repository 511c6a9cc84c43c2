# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real node says of missing configuration is understood, and seen as outdated once it is there."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.workload import (
    exists_by_now,
)

IMAGE = "llmops.local/model-server:0.1.0"


def pod(name: str, source: dict[str, Any]) -> dict[str, Any]:
    """Return a pod whose only container takes one variable from a ConfigMap or Secret."""
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "env": [{"name": "WANTED", "valueFrom": source}],
    }
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": "lab-node", "restartPolicy": "Never", "containers": [container]},
    }


def message_of(api: ClusterClient, path: str) -> str:
    """Wait until the node says that it misses something, and return what it says."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        statuses = api.get(path).get("status", {}).get("containerStatuses") or [{}]
        waiting = statuses[0].get("state", {}).get("waiting") or {}
        if waiting.get("reason") == "CreateContainerConfigError":
            return str(waiting["message"])
        time.sleep(0.2)
    raise AssertionError(f"{path} was never refused")


@pytest.mark.parametrize("kind", ["configmap", "secret"])
def test_missing_then_without_the_key_then_there(api: ClusterClient, namespace: str, kind: str) -> None:
    core = f"/api/v1/namespaces/{namespace}"
    reference = {"name": "settings", "key": "wanted"}
    source = {"configMapKeyRef" if kind == "configmap" else "secretKeyRef": reference}
    api.create(f"{core}/pods", pod("no-object", source))
    no_object = message_of(api, f"{core}/pods/no-object")
    assert not exists_by_now(api, core, no_object), no_object

    api.create(f"{core}/{kind}s", {"metadata": {"name": "settings"}})
    assert exists_by_now(api, core, no_object), no_object
    api.create(f"{core}/pods", pod("no-key", source))
    no_key = message_of(api, f"{core}/pods/no-key")
    assert not exists_by_now(api, core, no_key), no_key

    # "eA==" is the letter x for a Secret, and four letters for a ConfigMap.
    api.patch(f"{core}/{kind}s/settings", {"data": {"wanted": "eA=="}})
    assert exists_by_now(api, core, no_key), no_key


def test_another_message_tells_nothing(api: ClusterClient, namespace: str) -> None:
    for message in ("", "failed to sync secret cache", "couldn't find key", 'pod "settings" not found'):
        assert not exists_by_now(api, f"/api/v1/namespaces/{namespace}", message)
