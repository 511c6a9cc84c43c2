# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argo CD Applications whose status a test writes, step by step, in the place of Argo CD's controller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
)

REFRESH = "argocd.argoproj.io/refresh"
Object = dict[str, Any]
SOURCE: Object = {"repoURL": "http://127.0.0.1:9/site.git", "path": "chart", "targetRevision": "main"}
DESTINATION: Object = {"server": "https://kubernetes.default.svc", "namespace": "llm"}


def applications(namespace: str) -> str:
    """Return the API path of a namespace's Applications."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications"


def application(name: str, *, automated: bool = True, status: Object | None = None) -> Object:
    """Return an Application that follows a branch."""
    item: Object = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name},
        "spec": {
            "project": "default",
            "source": SOURCE,
            "destination": DESTINATION,
        },
    }
    if automated:
        item["spec"]["syncPolicy"] = {"automated": {"prune": True, "selfHeal": True}}
    return {**item, "status": status} if status is not None else item


def second(number: int) -> str:
    """Return a time of the controller's clock."""
    return f"2026-05-04T10:00:{number:02d}Z"


def compared(
    revision: str, sync: str = "Synced", health: str = "Healthy", at: int = 0, path: str = "chart"
) -> Object:
    """Return what a comparison writes."""
    compared_to = {"source": {**SOURCE, "path": path}, "destination": DESTINATION}
    return {
        "sync": {"status": sync, "revision": revision, "comparedTo": compared_to},
        "health": {"status": health},
        "reconciledAt": second(at),
    }


def operation(
    phase: str, revision: str, started: int = 0, finished: int | None = None, **more: Any
) -> Object:
    """Return what a sync writes."""
    state = {
        "operation": {"sync": {"revision": revision}},
        "phase": phase,
        "startedAt": second(started),
        "syncResult": {"revision": revision},
        **({"finishedAt": second(finished)} if finished is not None else {}),
        **more,
    }
    return {"operationState": state}


class Controller:
    """Answers each refresh with the next of some statuses, and the last one from then on.

    ``sync`` says what is written for a sync that was asked for, and ``asked`` has the object as it was then.
    """

    def __init__(self, api: ClusterClient, namespace: str, name: str) -> None:
        self._api, self._path = api, f"{applications(namespace)}/{name}"
        self.refreshes: Sequence[Object] = ()
        self.sync: Callable[[Object], Object] | None = None
        self.refreshed = 0
        self.asked: list[Object] = []
        self._failure: BaseException | None = None

    def write(self, status: Object) -> None:
        """Write a part of the status."""
        self._api.patch(self._path, {"status": status})

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer until the end."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(10)
        if self._failure is not None:
            raise AssertionError("the controller broke off") from self._failure

    def _run(self, ended: threading.Event) -> None:
        try:
            while not ended.wait(0.1):
                item = self._api.find(self._path)
                if item is not None:
                    self._answer(item)
        except Exception as error:  # noqa: BLE001 - told to the test at the end
            self._failure = error

    def _answer(self, item: Object) -> None:
        patch: Object = {}
        if REFRESH in (item["metadata"].get("annotations") or {}) and self.refreshes:
            patch["metadata"] = {"annotations": {REFRESH: None}}
            patch["status"] = self.refreshes[min(self.refreshed, len(self.refreshes) - 1)]
            self.refreshed += 1
        if item.get("operation") and self.sync is not None:
            self.asked.append(item)
            patch["operation"] = None
            patch["status"] = {**patch.get("status", {}), **self.sync(item["operation"])}
        if not patch:
            return
        try:
            self._api.patch(self._path, patch)
        except APIError as error:
            # It was deleted meanwhile.
            if error.status != 404:
                raise
