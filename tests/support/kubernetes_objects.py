# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes objects in a few words, and a cluster made of them that answers reads from memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
    JSONObject,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape

GPU = "nvidia.com/gpu"


def node(
    name: str = "n1",
    gpus: int = 8,
    *,
    labels: Mapping[str, str] | None = None,
    taints: list[JSONObject] | None = None,
    cordoned: bool = False,
    ready: bool = True,
    resource: str = GPU,
    **allocatable: str,
) -> JSONObject:
    """Return a Node with 32 cores, 256 GiB and 110 pods unless told otherwise."""
    amounts = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "500Gi", "pods": "110", **allocatable}
    if gpus:
        amounts[resource] = str(gpus)
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": taints or [], "unschedulable": cordoned},
        "status": {
            "allocatable": amounts,
            "capacity": dict(amounts),
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def container(name: str = "c", limits: JSONObject | None = None, **more: Any) -> JSONObject:
    """Return a container with equal requests and limits."""
    amounts = dict(limits or {})
    return {"name": name, "resources": {"requests": amounts, "limits": amounts}, **more}


def template(
    gpus: int = 1, *, labels: Mapping[str, str] | None = None, cpu: str | None = None, **spec: Any
) -> JSONObject:
    """Return a pod template with one container."""
    amounts = {GPU: str(gpus)} if gpus else {}
    if cpu:
        amounts["cpu"] = cpu
    return {
        "metadata": {"labels": dict(labels or {})},
        "spec": {"containers": [container(limits=amounts)], **spec},
    }


def shape(gpus: int = 1, *, namespace: str = "mine", **more: Any) -> PodShape:
    """Return the shape of ``template``."""
    return PodShape.from_pod_template(template(gpus, **more), namespace)


def pod(
    name: str,
    on: str | None,
    gpus: int = 1,
    *,
    namespace: str = "other",
    phase: str = "Running",
    deleted: bool = False,
    priority: int = 0,
    status: JSONObject | None = None,
    **more: Any,
) -> JSONObject:
    """Return a pod, bound to a node or pending."""
    made = template(gpus, **more)
    metadata = {
        **made["metadata"],
        "name": name,
        "namespace": namespace,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    spec = {**made["spec"], "priority": priority}
    if on:
        spec["nodeName"] = on
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, **(status or {})}}


class Cluster(ClusterClient):
    """Answers reads from objects in memory; like the server, it leaves out finished pods when asked to."""

    def __init__(
        self,
        *nodes: JSONObject,
        pods: list[JSONObject] | None = None,
        others: Mapping[str, list[JSONObject]] | None = None,
        forbidden: tuple[str, ...] = (),
    ) -> None:
        self.lists: dict[str, list[JSONObject]] = {
            "/api/v1/nodes": list(nodes),
            "/api/v1/pods": list(pods or []),
            **(others or {}),
        }
        self.forbidden = forbidden
        self.reads: list[str] = []
        #: The end of the last container's log, by pod.
        self.tails: dict[str, str] = {}

    def _allow(self, path: str) -> None:
        self.reads.append(path)
        if path in self.forbidden:
            raise APIError(ErrorClass.AUTH, f"forbidden: {path}", "", 403, "Forbidden")

    def list_pages(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int = 500
    ) -> Iterator[JSONObject]:
        self._allow(path)
        unfinished = "status.phase!=Succeeded,status.phase!=Failed" in (query or {}).get("fieldSelector", "")
        for item in self.lists.get(path, ()):
            if not (unfinished and item["status"]["phase"] in ("Succeeded", "Failed")):
                yield item

    def list_at(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int = 500
    ) -> tuple[list[JSONObject], str]:
        # Without a version, nothing can be watched.
        return list(self.list_pages(path, query, limit)), ""

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        lines: int = 40,
        timeout_s: float = 30.0,
    ) -> str:
        if pod not in self.tails:
            raise PlatformError(ErrorClass.INFRASTRUCTURE, "the node does not answer", "")
        return self.tails[pod]

    def find(self, path: str, query: Mapping[str, Any] | None = None) -> JSONObject | None:
        self._allow(path)
        if path in self.lists:
            return {"items": self.lists[path]}
        folder, _, name = path.rpartition("/")
        named = (item for item in self.lists.get(folder, ()) if item["metadata"]["name"] == name)
        return next(named, None)
