# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts random cases on a real cluster and reads what kube-scheduler makes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any, NamedTuple

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    Authentication,
    ClusterClient,
    JSONObject,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.scheduler_cases import CASE, DRIVER, RUN, VOLUMES, Case

_CLAIMS = "/api/v1/persistentvolumeclaims"
_CONNECTIONS = 4
_SETTLED_S = 4.0
#: kube-scheduler 1.37 leaves a pod alone for minutes whose victims another pod evicted first: its place is
#: the one that it was nominated for.
_NOMINATED_S = 20.0
_LONGEST_S = 180.0


class SnapshotClient(ClusterClient):
    """Reads each thing once and answers many cases from that picture."""

    def __init__(self, authentication: Authentication) -> None:
        super().__init__(authentication)
        self._lists: dict[str, list[JSONObject]] = {}
        self._objects: dict[str, JSONObject | None] = {}

    def list_pages(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int = 500
    ) -> Iterator[JSONObject]:
        """Yield items, remembered; one path is always asked with the same query here."""
        if path not in self._lists:
            self._lists[path] = list(super().list_pages(path, query, limit))
        yield from self._lists[path]

    def find(self, path: str, query: Mapping[str, Any] | None = None) -> JSONObject | None:
        """Return the object, remembered."""
        if path not in self._objects:
            self._objects[path] = super().find(path, query)
        return self._objects[path]


class Stage:
    """A batch of cases on the cluster; removes everything at the end."""

    def __init__(self, kubeconfig: str, run: str, cases: Sequence[Case]) -> None:
        self.run = run
        self.cases = cases
        self.authentication = Authentication(kubeconfig=kubeconfig)
        self.api = ClusterClient(self.authentication)
        # Made here, one after the other: a client must not be shared between threads.
        self._clients: SimpleQueue[ClusterClient] = SimpleQueue()
        for _ in range(_CONNECTIONS):
            self._clients.put(ClusterClient(self.authentication))
        self._pool = ThreadPoolExecutor(max_workers=_CONNECTIONS)
        self._selector = {"labelSelector": f"{RUN}={run}"}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.clear()
        finally:
            self._pool.shutdown()

    def _all(self, work: Callable[[ClusterClient, Any], Any], items: Sequence[Any]) -> list[Any]:
        """Do the work for all items with a few connections."""

        def call(item: Any) -> Any:
            api = self._clients.get()
            try:
                return work(api, item)
            finally:
                self._clients.put(api)

        return list(self._pool.map(call, items))

    def create(self) -> None:
        """Create namespaces, limits, nodes and bound pods, and wait until controllers have reacted."""
        limited = [case for case in self.cases if case.own_namespace]
        self._all(self._create_namespace, limited)
        nodes = [node for case in self.cases for node in case.nodes]
        self._all(lambda api, node: _create(api, "/api/v1/nodes", node), nodes)
        self._wait("namespaces and quotas", lambda: all(self._limits_ready(case) for case in limited))
        # A claim that is there before its volume is looked at again only after a quarter of a minute.
        self._create_objects(claims=False)
        self._wait("nodes", self._nodes_settled)
        self._wait("volumes", self._volumes_ready)
        self._create_objects(claims=True)
        self._all(lambda api, case: [self._create_pod(api, case, pod) for pod in case.pods], self.cases)
        self._wait("running pods", self._pods_run)
        self._wait("claims", self._claims_bound)
        self._all(self._end_some_pods, self.cases)
        self._all(lambda api, case: [self._create_pod(api, case, pod) for pod in case.nominated], self.cases)
        self._wait("nominations", self._nominations_settled)

    def _create_objects(self, *, claims: bool) -> None:
        things = [item for case in self.cases for item in case.objects]
        some = [item for item in things if item[0].endswith("/persistentvolumeclaims") is claims]
        self._all(lambda api, item: _create(api, *item), some)

    def _volumes_ready(self) -> bool:
        volumes = self.api.list_pages(VOLUMES, self._selector)
        return all(item["status"].get("phase") in ("Available", "Bound") for item in volumes)

    def _claims_bound(self) -> bool:
        claims = self.api.list_pages(_CLAIMS, self._selector)
        return all(
            item["status"].get("phase") == "Bound" for item in claims if item["spec"].get("volumeName")
        )

    def _nominations_settled(self) -> bool:
        """Whether the scheduler has decided on the pods that evict others, and has evicted those."""
        waiting = {pod["metadata"]["name"] for case in self.cases for pod in case.nominated}
        if not waiting:
            return True
        pods = self.pods()
        fates = {pod["metadata"]["name"]: _fate(pod) for pod in pods if pod["metadata"]["name"] in waiting}
        going = {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]}
        return all(
            fate.node or fate.refused or (fate.nominated and f"p-{name.removeprefix('n-')}-victim" in going)
            for name, fate in fates.items()
        ) and not any(
            "deletionTimestamp" in pod["metadata"] and not pod["metadata"].get("finalizers") for pod in pods
        )

    @staticmethod
    def _create_namespace(api: ClusterClient, case: Case) -> None:
        metadata = {"name": case.namespace, "labels": {RUN: case.run, CASE: case.name}}
        _create(api, "/api/v1/namespaces", {"metadata": metadata})
        base = f"/api/v1/namespaces/{case.namespace}"
        if case.quota:
            _create(api, f"{base}/resourcequotas", case.quota)
        if case.limit_range:
            _create(api, f"{base}/limitranges", case.limit_range)

    def _limits_ready(self, case: Case) -> bool:
        base = f"/api/v1/namespaces/{case.namespace}"
        if self.api.find(f"{base}/serviceaccounts/default") is None:
            return False
        return not case.quota or "hard" in self.api.get(f"{base}/resourcequotas/quota").get("status", {})

    @staticmethod
    def _create_pod(api: ClusterClient, case: Case, pod: JSONObject) -> bool:
        try:
            _create(api, f"/api/v1/namespaces/{case.namespace}/pods", pod)
        except APIError as error:
            # Limits of the namespace refuse some of the random pods.
            if error.status in (403, 422) and case.own_namespace:
                return False
            raise
        return True

    def _nodes_settled(self) -> bool:
        """Whether the controllers have tainted the nodes that are not Ready or cordoned, and only those."""
        for node in self.api.list_pages("/api/v1/nodes", self._selector):
            taints = {taint["key"] for taint in node["spec"].get("taints") or ()}
            ready = "kwok.x-k8s.io/node" in (node["metadata"].get("annotations") or {})
            cordoned = bool(node["spec"].get("unschedulable"))
            if ("node.kubernetes.io/not-ready" in taints) is ready:
                return False
            if ("node.kubernetes.io/unschedulable" in taints) is not cordoned:
                return False
        return True

    def _pods_run(self) -> bool:
        finished = {name for case in self.cases for name in (*case.finished, *case.resized)}
        kept = {
            node["metadata"]["name"]
            for case in self.cases
            for node in case.nodes
            if node["metadata"]["annotations"]
        }
        return all(
            pod["status"]["phase"] == "Running" or pod["spec"].get("nodeName") not in kept
            for pod in self.pods()
            if pod["metadata"]["name"] in finished
        )

    def _end_some_pods(self, api: ClusterClient, case: Case) -> None:
        base = f"/api/v1/namespaces/{case.namespace}/pods"
        for name, status in case.resized.items():
            path, merge = f"{base}/{name}/status", "application/strategic-merge-patch+json"
            api.patch(path, {"status": status}, content_type=merge)
        for name in case.finished:
            api.patch(f"{base}/{name}/status", {"status": {"phase": "Succeeded"}})
        for name in case.terminating:
            api.delete(f"{base}/{name}", {"gracePeriodSeconds": 0})

    def pods(self) -> list[JSONObject]:
        """Return all pods of the batch."""
        return list(self.api.list_pages("/api/v1/pods", self._selector))

    def release(self) -> None:
        """Delete the pods that the new ones replace, as an update without surge does."""
        for case in self.cases:
            if case.releasing:
                base = f"/api/v1/namespaces/{case.namespace}/pods"
                selector = ",".join(f"{key}={value}" for key, value in case.releasing.items())
                self.api.delete(base, {"labelSelector": selector, "gracePeriodSeconds": 0})

    def ask(self) -> dict[str, list[str | None]]:
        """Create the replicas of every case; return the node (or none) of each pod that was let in."""
        self._all(self._create_replicas, self.cases)
        before: dict[str, _Fate] = {}
        since = start = time.monotonic()
        while time.monotonic() - start < _LONGEST_S:
            now = {
                f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": _fate(pod)
                for pod in self.pods()
                if pod["metadata"]["name"].startswith("new-")
            }
            if now != before:
                before, since = now, time.monotonic()
            settled_s = time.monotonic() - since
            decided = self._provision() and all(
                fate.node or fate.refused or (fate.nominated and settled_s >= _NOMINATED_S)
                for fate in now.values()
            )
            if decided and settled_s >= _SETTLED_S:
                return self._by_case(before)
            time.sleep(1)
        undecided = [name for name, fate in before.items() if not (fate.node or fate.refused)]
        raise AssertionError(f"the scheduler did not decide within {_LONGEST_S} s: {undecided[:5]}")

    def _provision(self) -> bool:
        """Make the volumes that a driver would make; tell whether none is missing."""
        classes = {name: late for case in self.cases for name, late in case.provisioned.items()}
        if not classes:
            return True
        done = True
        for claim in list(self.api.list_pages(_CLAIMS, self._selector)):
            spec, metadata = claim["spec"], claim["metadata"]
            wanted = spec.get("storageClassName")
            if wanted not in classes or claim["status"].get("phase") == "Bound":
                continue
            if classes[wanted] and "volume.kubernetes.io/selected-node" not in (
                metadata.get("annotations") or {}
            ):
                continue
            done = False
            reference = {name: metadata[name] for name in ("namespace", "name", "uid")}
            body = {
                "metadata": {"name": f"pvc-{metadata['uid']}", "labels": {RUN: self.run}},
                "spec": {
                    "accessModes": spec["accessModes"],
                    "capacity": spec["resources"]["requests"],
                    "storageClassName": wanted,
                    "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
                    "csi": {"driver": DRIVER, "volumeHandle": metadata["uid"]},
                    "persistentVolumeReclaimPolicy": "Retain",
                },
            }
            _create(self.api, VOLUMES, body)
        return done

    def _create_replicas(self, api: ClusterClient, case: Case) -> None:
        for index in range(case.replicas):
            metadata = {**case.template["metadata"], "name": f"new-{case.name}-{index}"}
            if not self._create_pod(api, case, {"metadata": metadata, "spec": case.template["spec"]}):
                return

    def _by_case(self, fates: Mapping[str, _Fate]) -> dict[str, list[str | None]]:
        placed: dict[str, list[str | None]] = {case.name: [] for case in self.cases}
        for name, fate in fates.items():
            placed[name.rpartition("/new-")[2].rpartition("-")[0]].append(fate.node or fate.nominated)
        return placed

    def clear(self) -> None:
        """Remove what the batch made."""
        held = [pod for pod in self.pods() if pod["metadata"].get("finalizers")]
        self._all(_let_go, held)
        query = {**self._selector, "gracePeriodSeconds": 0}
        paths = {f"/api/v1/namespaces/{case.namespace}/pods" for case in self.cases}
        paths |= {path for case in self.cases for path, _item in case.objects}
        self._all(lambda api, path: api.delete(path, query), sorted({*paths, VOLUMES, "/api/v1/nodes"}))
        for case in self.cases:
            if case.own_namespace:
                self.api.delete(f"/api/v1/namespaces/{case.namespace}")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _LONGEST_S
        while not ready():
            assert time.monotonic() < deadline, f"{what} were not ready within {_LONGEST_S} s"
            time.sleep(0.5)


def _create(api: ClusterClient, path: str, body: JSONObject) -> None:
    """Create an object on a server that may be too busy to answer; the name says whether it is there."""
    for last in (False, False, True):
        try:
            api.create(path, body)
        except PlatformError as error:
            if isinstance(error, APIError) and error.reason == "AlreadyExists":
                return
            if last or error.error_class is not ErrorClass.INFRASTRUCTURE:
                raise
        else:
            return


def _let_go(api: ClusterClient, pod: JSONObject) -> None:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    try:
        api.patch(path, {"metadata": {"finalizers": None}})
    except APIError as error:
        if error.status != 404:
            raise


class _Fate(NamedTuple):
    """What became of a pod: its node, the one that others are evicted from for it, or a refusal."""

    node: str | None
    nominated: str | None
    refused: bool


def _fate(pod: JSONObject) -> _Fate:
    nominated = pod["status"].get("nominatedNodeName")
    spec = pod["spec"]
    refused = (
        bool(spec.get("schedulingGates"))
        or spec["schedulerName"] != "default-scheduler"
        or any(
            condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
            for condition in pod["status"].get("conditions") or ()
        )
    )
    return _Fate(spec.get("nodeName"), nominated, refused and not nominated)


def sweep(api: ClusterClient) -> None:
    """Remove what runs have left behind that were killed more than half an hour ago."""
    limit = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    stale = {
        node["metadata"]["labels"][RUN]
        for node in api.list_pages("/api/v1/nodes", {"labelSelector": RUN})
        if node["metadata"]["creationTimestamp"] < limit
    }
    for run in stale:
        selector = {"labelSelector": f"{RUN}={run}"}
        for pod in api.list_pages("/api/v1/pods", selector):
            if pod["metadata"].get("finalizers"):
                _let_go(api, pod)
        api.delete("/api/v1/nodes", selector)
        for namespace in api.list_pages("/api/v1/namespaces", selector):
            api.delete(f"/api/v1/namespaces/{namespace['metadata']['name']}")


def seed_of_run() -> int:
    """Return the seed: that of an earlier run where one is given, else a new one."""
    given = os.environ.get("CAPACITY_SEED")
    return int(given) if given else int.from_bytes(os.urandom(4), "big")
