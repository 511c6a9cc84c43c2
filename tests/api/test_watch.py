# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for news: a watch ends with the first change, by its time, or because it is not allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.rollout import follow_rollout
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.control_plane import OPEN_NODE
from tests.support.lab import Lab
from tests.support.rights import token_with_rights

APPS = "/apis/apps/v1/namespaces"


class Server:
    """A Deployment of pods that a fake node makes ready, and its Service."""

    name = "server"
    selector = "app=server"
    services = ("server",)

    def __init__(self, api: ClusterClient, namespace: str, **pod: Any) -> None:
        self.namespace = namespace
        labels = {"app": "server"}
        container = {"name": "server", "image": "none"}
        spec = {"containers": [container], "automountServiceAccountToken": False, **pod}
        template = {"metadata": {"labels": labels}, "spec": spec}
        api.create(
            f"{APPS}/{namespace}/deployments",
            {
                "metadata": {"name": self.name},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
            },
        )
        api.create(
            f"/api/v1/namespaces/{namespace}/services",
            {"metadata": {"name": self.name}, "spec": {"selector": labels, "ports": [{"port": 80}]}},
        )


@pytest.fixture
def reader(lab: Lab, api: ClusterClient, namespace: str) -> Callable[..., ClusterClient]:
    """Return a function that returns the client of somebody with some rights."""

    def make(*verbs: str) -> ClusterClient:
        groups = ["", "apps", "discovery.k8s.io"]
        rules = [{"apiGroups": groups, "resources": ["*"], "verbs": list(verbs)}]
        token = token_with_rights(api, namespace, "reader", rules)
        authority = str(lab.folder / "pki/ca.crt")
        return ClusterClient(Authentication(host=api.server, api_key=token, ca_cert=authority))

    return make


def test_a_watch_ends_with_the_first_change_or_with_its_time(api: ClusterClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    query = {"labelSelector": "app=x"}
    items, version = api.list_at(path, query, limit=1)
    assert (items, version.isdecimal()) == ([], True)

    def change(**labels: str) -> None:
        api.create(path, {"metadata": {"generateName": "x-", "labels": labels}})

    began = time.monotonic()
    change(app="another")
    assert api.wait_for_change(path, query, version, 1) is False
    assert 0.9 < time.monotonic() - began < 4

    change(app="x")
    began = time.monotonic()
    assert api.wait_for_change(path, query, version, 10) is True, "it came before the watch began"
    assert time.monotonic() - began < 3

    change(app="x")
    items, version = api.list_at(path, query, limit=1)
    assert len(items) == 2
    later = threading.Timer(1.0, change, kwargs={"app": "x"})
    later.start()
    began = time.monotonic()
    assert api.wait_for_change(path, query, version, 10) is True
    assert 0.5 < time.monotonic() - began < 5
    later.join()


def test_what_is_no_event_is_no_change(api: ClusterClient) -> None:
    """So that an error in the stream, or a proxy that knows no watch, makes nobody ask without a pause."""
    with pytest.raises(PlatformError, match="answered a watch with") as caught:
        api.wait_for_change("/version", {}, "1", 5)
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


def test_who_may_not_watch_is_told_and_follows_a_rollout_all_the_same(
    api: ClusterClient, namespace: str, reader: Callable[..., ClusterClient]
) -> None:
    client = reader("get", "list")
    server = Server(api, namespace, nodeName=OPEN_NODE)
    with pytest.raises(PlatformError, match="cannot watch resource") as caught:
        client.wait_for_change(f"/api/v1/namespaces/{namespace}/pods", {}, "0", 1)
    assert caught.value.error_class is ErrorClass.AUTH
    follow_rollout(client, server, Deadline(60), lambda _line: None, replace_failed=False)


def test_a_rollout_is_watched(
    api: ClusterClient,
    namespace: str,
    reader: Callable[..., ClusterClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = reader("get", "list", "watch")
    answers: list[bool] = []
    watch = client.wait_for_change

    def noted(path: str, query: dict[str, Any], version: str, seconds: int) -> bool:
        # While it is watched, and not while it is read.
        if len(answers) == 1:
            later.start()
        answers.append(watch(path, query, version, seconds))
        return answers[-1]

    monkeypatch.setattr(client, "wait_for_change", noted)
    server = Server(api, namespace, nodeSelector={"watched": namespace})
    node = f"/api/v1/nodes/{OPEN_NODE}"
    later = threading.Timer(0.1, api.patch, (node, {"metadata": {"labels": {"watched": namespace}}}))
    try:
        follow_rollout(
            client, server, Deadline(60), lambda _line: None, replace_failed=False, nodes_may_come=True
        )
    finally:
        later.join()
        api.patch(node, {"metadata": {"labels": {"watched": None}}})
    assert any(answers), answers
