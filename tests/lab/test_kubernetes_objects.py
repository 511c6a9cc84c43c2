# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kubernetes_objects`` where a kubelet runs what it applies: waiting, failing pods, a bad API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.api_proxy import ApiProxy
from tests.support.lab import Lab
from tests.support.object_set import CANARY, ObjectSet, config, read, secret, server


def test_waits_for_pods_and_for_their_end(objects: ObjectSet, api: ClusterClient) -> None:
    done = objects(server(replicas=2))
    deployment = read(api, objects.namespace, "deployments", "server")
    assert deployment is not None
    assert deployment["status"]["readyReplicas"] == 2
    assert done.result["timings"]["rollout_s"] > 0
    assert not objects(server(replicas=2)).changed
    objects([], state="absent")
    pods = api.get(f"/api/v1/namespaces/{objects.namespace}/pods", {"labelSelector": "app=server"})
    assert pods["items"] == []


def test_a_pod_that_cannot_start_fails_with_its_cause(objects: ObjectSet, api: ClusterClient) -> None:
    objects([config("old")])
    with pytest.raises(PlatformError) as failed:
        objects(server("llmops.local/no-such-image:1"), timeout=120.0)
    assert failed.value.error_class is ErrorClass.WORKLOAD
    assert failed.value.details["cause"] == "ErrImageNeverPull"
    # What left the set goes only once its successor runs.
    assert read(api, objects.namespace, "configmaps", "old") is not None


@pytest.mark.full
@pytest.mark.parametrize("seed", [1, 2])
def test_converges_through_a_bad_api_server(
    lab: Lab, api: ClusterClient, namespace: str, tmp_path: Path, seed: int
) -> None:
    wanted = [config(level="info"), secret(dsn=CANARY), *server(replicas=2)]
    with ApiProxy(lab, faults=20, probability=0.25, seed=seed, stall_s=1.0).running() as proxy:
        objects = ObjectSet(str(proxy.kubeconfig(tmp_path / "proxied")), namespace)
        assert objects(wanted).changed
        assert sum(proxy.given.values()) > 5, proxy.given
        assert not objects(wanted).changed
        objects([], state="absent")
    assert read(api, namespace, "deployments", "server") is None


def test_a_run_that_ended_in_between_is_finished_by_the_next(objects: ObjectSet, api: ClusterClient) -> None:
    objects([config("old")])
    broken = [config("new"), *server("llmops.local/no-such-image:1")]
    with pytest.raises(PlatformError, match="ErrImageNeverPull"):
        objects(broken, timeout=120.0)
    assert objects.actions([config("new"), *server()]) == {
        "ConfigMap/new": "none",
        "Deployment/server": "update",
        "Service/server": "none",
        "ConfigMap/old": "delete",
    }
