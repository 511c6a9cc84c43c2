# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten models of one run ask for the room of the cluster, and the API server is asked once."""

from __future__ import annotations

import multiprocessing
import re
import sys
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.shared_lists import SharedLists
from ansible_collections.llmops.platform.plugins.module_utils._core.placement import capacity
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape

_LISTS = re.compile(
    r'^apiserver_request_total\{(?=[^}]*resource="(nodes|pods)")(?=[^}]*scope="cluster")'
    r'(?=[^}]*verb="LIST")[^}]*\} (\d+)',
    re.MULTILINE,
)


@pytest.mark.parametrize("shared", [True, False])
def test_ten_workers_list_nodes_and_pods_once(
    api: ClusterClient, kubeconfig: str, namespace: str, tmp_path: Path, shared: bool
) -> None:
    def listed() -> dict[str, int]:
        found = {"nodes": 0, "pods": 0}
        metrics = api.request("GET", "/metrics").data.decode()
        for resource, count in _LISTS.findall(metrics):
            found[resource] += int(count)
        return found

    def ask() -> None:
        client = ClusterClient(Authentication(kubeconfig=kubeconfig))
        lists = SharedLists(client, tmp_path if shared else None)
        shape = PodShape.from_pod_template({"spec": {"containers": [{"name": "c"}]}}, namespace)
        verdict = capacity.assess(client, shape, 1, namespace, lists=lists)
        sys.exit(0 if verdict.message else 1)

    before = listed()
    workers = [multiprocessing.get_context("fork").Process(target=ask) for _ in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 10
    after = listed()
    asked = {resource: after[resource] - before[resource] for resource in after}
    # The control plane's own components list now and then as well.
    assert (max(asked.values()) < 5) if shared else (min(asked.values()) >= 10), asked
