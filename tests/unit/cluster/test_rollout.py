# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout followed to its end on a cluster in memory, which changes while it is waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.rollout import follow_rollout
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.kubernetes_objects import Cluster

Object = dict[str, Any]
APPS = "/apis/apps/v1/namespaces/llm"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/llm/endpointslices"
REVISION = {"deployment.kubernetes.io/revision": "1"}


@dataclass(frozen=True)
class Scaled:
    """A Deployment that was scaled to two replicas."""

    name: str = "x"
    namespace: str = "llm"
    selector: str = "app=x"
    services: tuple[str, ...] = ("x",)


@dataclass
class Site:
    """The cluster, and what happens there when the rollout is first said to wait."""

    pods: list[Object]
    later: list[Object]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}
        deployment = {
            "metadata": {"name": "x", "uid": "d", "generation": 1, "annotations": REVISION},
            "spec": {"replicas": 2},
            "status": status,
        }
        metadata = {
            "name": "x-1",
            "annotations": REVISION,
            "ownerReferences": [{"uid": "d"}],
            "labels": {"pod-template-hash": "h"},
        }
        self.cluster = Cluster(
            others={
                f"{APPS}/deployments": [deployment],
                f"{APPS}/replicasets": [{"metadata": metadata}],
                "/api/v1/namespaces/llm/pods": self.pods,
                SLICES: [{"endpoints": [{"targetRef": {"name": "old"}}, {"targetRef": {"name": "new"}}]}],
            }
        )
        self._status = status

    def progress(self, line: str) -> None:
        self.said.append(line)
        self.pods[:] = self.later
        self._status["availableReplicas"] = 2

    def follow(self) -> bool:
        return follow_rollout(self.cluster, Scaled(), Deadline(10), self.progress, replace_failed=False)


def pod(name: str, phase: str = "Running", *, ready: bool = True, **status: Any) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "uid": name, "labels": {"pod-template-hash": "h"}},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": phase, "conditions": conditions, **status},
    }


def refused(name: str) -> Object:
    """Return a pod that its node did not admit, as after a reboot before the GPUs were there."""
    return pod(name, "Failed", ready=False, reason="UnexpectedAdmissionError", message="no GPU")


def test_a_pod_that_had_failed_before_says_nothing_about_this_rollout() -> None:
    before = [refused("of-the-reboot"), pod("old"), pod("new", ready=False)]
    site = Site(before, later=[refused("of-the-reboot"), pod("old"), pod("new")])
    assert site.follow() is False
    assert "1/2 ready" in site.said[0]


def test_a_pod_that_fails_meanwhile_is_fatal() -> None:
    before = [refused("of-the-reboot"), pod("old"), pod("new", ready=False)]
    site = Site(before, later=[refused("of-the-reboot"), pod("old"), refused("new")])
    site.later[1]["status"]["conditions"] = []
    with pytest.raises(PlatformError, match="UnexpectedAdmissionError: no GPU on node node-1") as caught:
        site.follow()
    assert (caught.value.error_class, caught.value.details["pod"]) == (ErrorClass.WORKLOAD, "new")


def test_the_first_restart_is_told_at_once_with_the_end_of_the_log() -> None:
    terminated = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {"name": "vllm", "restartCount": 1, "state": {"running": {}}, "lastState": terminated}
    before = [pod("old"), pod("new", ready=False, containerStatuses=[status])]
    site = Site(before, later=[pod("old"), pod("new")])
    site.cluster.tails["new"] = "INFO loading\ntorch.OutOfMemoryError: CUDA out of memory.\n"
    assert site.follow() is False
    told = [line for line in site.said if "exit code 1" in line]
    (line,) = told
    assert line == (
        "x: container vllm of new ended with exit code 1 and starts again (restart 1); its log ended: "
        "INFO loading\ntorch.OutOfMemoryError: CUDA out of memory. "
        "(The GPU's memory is too small: use more GPUs, a shorter context or a quantised model.)"
    )


def test_a_log_that_cannot_be_read_ends_no_rollout() -> None:
    terminated = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {"name": "vllm", "restartCount": 1, "state": {"running": {}}, "lastState": terminated}
    before = [pod("old"), pod("new", ready=False, containerStatuses=[status])]
    site = Site(before, later=[pod("old"), pod("new")])
    assert site.follow() is False
    (line,) = [line for line in site.said if "exit code 1" in line]
    assert line == "x: container vllm of new ended with exit code 1 and starts again (restart 1)"
