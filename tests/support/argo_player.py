# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays Argo CD for Applications of a bare repository, in the order in which its controller writes.

It applies what ``helm template`` makes of a commit, and leaves health and comparison as they were before a
sync until it looks again, as Argo CD does.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.drift import differences
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    object_path,
    parse_manifest,
)
from tests.support.applications import REFRESH, applications
from tests.support.argocd_rendering import rendered
from tests.support.git_server import Bare

Object = dict[str, Any]
_TRACKING = "argocd.argoproj.io/tracking-id"


class ArgoPlayer:
    """Argo CD, as far as a delivery sees it."""

    def __init__(self, api: ClusterClient, bare: Bare, namespace: str, helm: Path, folder: Path) -> None:
        self._api, self._bare, self._helm, self._folder = api, bare, helm, folder
        self._path = applications(namespace)
        self.deny = threading.Event()  #: a sync window of the project forbids it meanwhile
        self.asleep = threading.Event()  #: nothing runs
        self.brings = threading.Event()  #: an Application of Applications follows the folder
        self.synced: list[str] = []  #: the commits of syncs that were made
        self._made: dict[str, list[Object]] = {}
        self._rendered_once: dict[str, str] = {}
        self._failure: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Reconcile until the end."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(20)
        if self._failure is not None:
            raise AssertionError("the player broke off") from self._failure

    def _run(self, ended: threading.Event) -> None:
        try:
            while not ended.wait(0.1):
                if self.asleep.is_set():
                    continue
                if self.brings.is_set():
                    self._bring()
                for item in self._api.get(self._path)["items"]:
                    try:
                        self._reconcile(item)
                    except APIError as error:
                        # Somebody else wrote it meanwhile, or it is gone: the next round looks again.
                        if error.status not in (404, 409):
                            raise
        except Exception as error:  # noqa: BLE001 - told to the test at the end
            self._failure = error

    def _bring(self) -> None:
        """Apply the Applications of the repository, and remove those that are not in it any more."""
        head = self._bare.head()
        there = [path for path in self._bare.files() if path.startswith("applications/")] if head else []
        wanted = {
            item["metadata"]["name"]: item
            for path in there
            for item in parse_manifest(self._bare.git("show", f"{head}:{path}"))
        }
        for item in wanted.values():
            self._api.apply(f"{self._path}/{item['metadata']['name']}", item, "argocd-controller", force=True)
        for item in self._api.get(self._path)["items"]:
            if item["metadata"]["name"] not in wanted and not item["metadata"].get("deletionTimestamp"):
                self._api.delete(f"{self._path}/{item['metadata']['name']}")

    def _reconcile(self, item: Object) -> None:
        metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
        name = metadata["name"]
        if metadata.get("deletionTimestamp"):
            self._remove(name, item)
            return
        source = spec["source"]
        compared = (status.get("sync") or {}).get("comparedTo", {}).get("source")
        asked = REFRESH in (metadata.get("annotations") or {})
        operation = item.get("operation")
        if operation:
            self._sync(name, item, operation["sync"].get("revision") or self._bare.head())
            return
        head = self._bare.head()
        stale = (time.time() - _seconds(status.get("reconciledAt"))) > 2
        if not (asked or compared != source or stale) or not head:
            return
        try:
            wanted = self._rendered(item, head)
        except subprocess.CalledProcessError as error:
            # The files may be gone already, and the Application not yet.
            told = {"type": "ComparisonError", "message": str(error.stderr)}
            failed = {"conditions": [told], "reconciledAt": _now()}
            self._api.patch(
                f"{self._path}/{name}",
                {"metadata": {"annotations": {REFRESH: None}}, "status": failed},
            )
            return
        out_of_sync = [one for one in wanted if self._differs(one)]
        gone = [one for one in self._made.get(name, []) if _key(one) not in {_key(one) for one in wanted}]
        patch: Object = {
            "metadata": {"annotations": {REFRESH: None}},
            "status": {
                "sync": {
                    "status": "OutOfSync" if out_of_sync or gone else "Synced",
                    "revision": head,
                    "comparedTo": {"source": source, "destination": spec["destination"]},
                },
                "health": {"status": self._health(wanted)},
                "reconciledAt": _now(),
                "conditions": [],
                "resources": [
                    {"kind": one["kind"], "name": one["metadata"]["name"], "status": "OutOfSync"}
                    for one in out_of_sync
                ],
            },
        }
        self._api.patch(f"{self._path}/{name}", patch)
        automated = (spec.get("syncPolicy") or {}).get("automated")
        if automated is not None and (out_of_sync or gone) and not self.deny.is_set():
            self._sync(name, item, head)

    def _sync(self, name: str, item: Object, revision: str) -> None:
        if self.deny.is_set():
            return
        started = _now()
        wanted = self._rendered(item, revision)
        namespace = item["spec"]["destination"]["namespace"]
        for one in wanted:
            one["metadata"].setdefault("annotations", {})[_TRACKING] = f"{name}:{_key(one)}"
            path = object_path(one, namespace)
            assert path is not None
            self._api.apply(path, one, "argocd-controller", force=True)
        for one in self._made.get(name, []):
            path = object_path(one, namespace)
            if _key(one) not in {_key(one) for one in wanted} and path is not None:
                self._api.delete(path)
        self._made[name] = wanted
        self.synced.append(revision)
        # Health and the comparison stay those of before, until it looks again.
        state = {
            "operation": {"sync": {"revision": revision}},
            "phase": "Succeeded",
            "startedAt": started,
            "finishedAt": _now(),
            "syncResult": {"revision": revision, "source": item["spec"]["source"]},
        }
        patch = {"operation": None, "status": {"operationState": state}}
        self._api.patch(f"{self._path}/{name}", patch)

    def _remove(self, name: str, item: Object) -> None:
        if not item["metadata"].get("finalizers"):
            return
        namespace = item["spec"]["destination"]["namespace"]
        left = False
        for one in self._made.get(name, []):
            path = object_path(one, namespace)
            assert path is not None
            left |= self._api.delete(path, {"propagationPolicy": "Foreground"})
        if not left:
            self._made.pop(name, None)
            self._api.patch(f"{self._path}/{name}", {"metadata": {"finalizers": None}})

    def _rendered(self, item: Object, revision: str) -> list[Object]:
        root = self._folder / revision
        if not root.exists():
            archive = subprocess.run(
                ["git", "-C", str(self._bare.path), "archive", revision], check=True, capture_output=True
            ).stdout
            root.mkdir(parents=True)
            subprocess.run(["tar", "-x", "-C", str(root)], input=archive, check=True)
        key = f"{revision} {item['metadata']['name']} {item['spec']['source']}"
        if key not in self._rendered_once:
            self._rendered_once[key] = rendered(self._helm, root, item)
        return parse_manifest(self._rendered_once[key])

    def _differs(self, one: Object) -> bool:
        path = object_path(one, one["metadata"].get("namespace") or "")
        assert path is not None
        live = self._api.find(path)
        return live is None or any(differences(one, live))

    def _health(self, wanted: list[Object]) -> str:
        for one in wanted:
            if one["kind"] == "Deployment":
                live = self._api.find(object_path(one, one["metadata"]["namespace"]) or "") or {}
                ready = (live.get("status") or {}).get("availableReplicas", 0)
                return "Healthy" if ready >= one["spec"].get("replicas", 1) else "Progressing"
        return "Healthy"


def _key(one: Object) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
