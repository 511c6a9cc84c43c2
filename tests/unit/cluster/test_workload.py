# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole table of when a rollout has failed, waits or is done, on a clock that the test turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.workload import (
    CONFIGURATION_GRACE_S,
    FAILED_MOUNT_GRACE_S,
    OUTDATED_GRACE_S,
    REPLICA_FAILURE_GRACE_S,
    Cause,
    Observed,
    Restart,
    Rollout,
    Symptoms,
    judge,
    log_hint,
    restarts,
)

Object = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"


class Watcher:
    """Judges what was observed, one after the other, as a waiting run does."""

    def __init__(self) -> None:
        self.now = 0.0
        self._symptoms = Symptoms(lambda: self.now)

    def look(self, observed: Observed, after: float = 0.0) -> Rollout:
        self.now += after
        rollout = judge(observed, self._symptoms)
        self._symptoms.next_round()
        return rollout

    def cause(self, observed: Observed, after: float = 0.0) -> Cause | None:
        return self.look(observed, after).cause


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def deployment(*conditions: Object, wanted: int = 1, generation: int = 2, **status: Any) -> Object:
    return {
        "metadata": {"name": "x", "uid": "d", "generation": generation, "annotations": {REVISION: "2"}},
        "spec": {"replicas": wanted},
        "status": {
            "observedGeneration": 2,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "conditions": list(conditions),
            **status,
        },
    }


def replica_set(revision: int, *conditions: Object, owner: str = "d") -> Object:
    return {
        "metadata": {
            "name": f"x-{revision}",
            "ownerReferences": [{"uid": owner}],
            "annotations": {REVISION: str(revision)},
            "labels": {"pod-template-hash": f"hash{revision}"},
        },
        "status": {"conditions": list(conditions)},
    }


def pod(
    *containers: Object, name: str = "a", revision: int = 2, terminating: bool = False, **status: Any
) -> Object:
    return {
        "metadata": {
            "name": name,
            "labels": {"pod-template-hash": f"hash{revision}"},
            **({"deletionTimestamp": "2026-11-21T00:00:00Z"} if terminating else {}),
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Pending",
            "conditions": [condition("PodScheduled", "True"), condition("Ready", "False")],
            "containerStatuses": list(containers),
            **status,
        },
    }


def ready_pod(name: str = "a", revision: int = 2, *containers: Object) -> Object:
    return pod(
        *containers, name=name, revision=revision, phase="Running", conditions=[condition("Ready", "True")]
    )


def unschedulable(message: str) -> Object:
    return pod(conditions=[condition("PodScheduled", "False", "Unschedulable", message)])


def container(state: Object | None = None, last: Object | None = None, restarts: int = 0) -> Object:
    return {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "state": state or {"running": {}},
        "lastState": last or {},
        "restartCount": restarts,
    }


def waiting(reason: str, message: str = "", **more: Any) -> Object:
    return container({"waiting": {"reason": reason, "message": message}}, **more)


def ended(reason: str, code: int, message: str = "") -> Object:
    return {"terminated": {"reason": reason, "exitCode": code, "message": message}}


def observed(*pods: Object, **changes: Any) -> Observed:
    return Observed(
        changes.get("deployment", deployment()),
        changes.get("replica_sets", [replica_set(1), replica_set(2)]),
        list(pods),
        changes.get("failed_mounts", {}),
        changes.get("outdated", frozenset()),
    )


FATAL_NOW: tuple[tuple[str, Object], ...] = (
    ("InvalidImageName", waiting("InvalidImageName", 'couldn\'t parse image name "A:b:c"')),
    ("ErrImageNeverPull", waiting("ErrImageNeverPull", "image is not present with pull policy of Never")),
    ("ErrImagePull", waiting("ErrImagePull", "rpc error: code = NotFound desc = x:1: not found")),
    ("ImagePullBackOff", waiting("ImagePullBackOff", "Back-off pulling: ErrImagePull: x:1: not found")),
    ("ErrImagePull", waiting("ErrImagePull", "pull access denied, repository does not exist")),
    ("ErrImagePull", waiting("ErrImagePull", "failed to authorize: 401 Unauthorized")),
    ("ErrImagePull", waiting("ErrImagePull", "manifest unknown: manifest unknown")),
    ("ErrImagePull", waiting("ErrImagePull", "unexpected status from HEAD request: 403 Forbidden")),
    ("CreateContainerConfigError", waiting("CreateContainerConfigError", 'secret "hf" not found')),
    ("CreateContainerConfigError", waiting("CreateContainerConfigError", "couldn't find key token")),
    ("CrashLoopBackOff", waiting("CrashLoopBackOff", last=ended("Error", 1), restarts=2)),
    ("CrashLoopBackOff", waiting("CrashLoopBackOff", last=ended("Completed", 0), restarts=5)),
    ("OOMKilled", container(ended("OOMKilled", 137))),
    ("OOMKilled", container({"running": {}}, last=ended("OOMKilled", 137), restarts=1)),
    ("OOMKilled", waiting("CrashLoopBackOff", last=ended("OOMKilled", 137), restarts=1)),
)


@pytest.mark.parametrize(("reason", "status"), FATAL_NOW)
@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
def test_what_does_not_heal_fails_at_the_first_look(where: str, reason: str, status: Object) -> None:
    broken = pod()
    broken["status"][where] = [status]
    found = Watcher().cause(observed(broken))
    assert found is not None
    assert (found.reason, found.pod, found.container) == (reason, "a", "vllm")
    assert found.advice
    assert found.crashed == (reason in ("CrashLoopBackOff", "OOMKilled"))


@pytest.mark.parametrize(
    "status",
    [
        container(),
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        waiting("ErrImagePull", "toomanyrequests: You have reached your unauthenticated pull rate limit"),
        waiting("ErrImagePull", "unexpected status: 429 Too Many Requests"),
        waiting("ImagePullBackOff", "dial tcp: lookup registry.example: i/o timeout"),
        waiting("ImagePullBackOff", 'Back-off pulling image "x:1"'),
        waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting"),
        waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting"),
        waiting("CrashLoopBackOff", last=ended("Error", 1), restarts=1),
        container({"running": {}}, last=ended("Error", 137), restarts=1),
    ],
)
def test_what_may_heal_is_waited_for(status: Object) -> None:
    watcher = Watcher()
    for _ in range(4):
        rollout = watcher.look(observed(pod(status)), after=1000)
        assert (rollout.cause, rollout.done) == (None, False)
        assert rollout.waiting_for


def test_what_was_mended_since_the_node_looked_is_outdated_for_a_while() -> None:
    message = 'configmap "settings" not found'
    watcher = Watcher()
    broken = observed(
        pod(waiting("CreateContainerConfigError", message)), outdated=frozenset({message, "another"})
    )
    first = watcher.look(broken).cause
    assert first is not None
    assert first.outdated
    later = watcher.look(broken, after=OUTDATED_GRACE_S).cause
    assert later is not None
    assert not later.outdated


def test_a_crash_tells_exit_code_and_last_words() -> None:
    status = waiting("CrashLoopBackOff", last=ended("StartError", 128, 'exec: "vlm": not found'), restarts=2)
    found = Watcher().cause(observed(pod(status)))
    assert found is not None
    assert found.message == 'container vllm crashed 3 times, last with exit code 128: exec: "vlm": not found'


@pytest.mark.parametrize(
    ("seconds", "code", "restarts", "fails"),
    [
        (90, 1, 2, True),
        (90, 1, 5, True),
        # The first one may heal, and is only told.
        (90, 1, 1, False),
        # It had started, and served before it ended.
        (5000, 1, 2, False),
        (90, 0, 2, False),
    ],
)
def test_the_second_failure_of_a_start_ends_the_wait_though_it_starts_again(
    seconds: int, code: int, restarts: int, fails: bool
) -> None:
    """With a start of minutes the node backs off for a moment only: in between it looks as if it loaded."""
    wanted = deployment()
    probe = {"periodSeconds": 30, "failureThreshold": 20}
    wanted["spec"]["template"] = {"spec": {"containers": [{"name": "vllm", "startupProbe": probe}]}}
    last = ended("Error", code)
    began = datetime(2026, 11, 30, tzinfo=UTC)
    last["terminated"]["startedAt"] = began.isoformat()
    last["terminated"]["finishedAt"] = (began + timedelta(seconds=seconds)).isoformat()
    broken = observed(pod(container({"running": {}}, last=last, restarts=restarts)), deployment=wanted)
    watcher = Watcher()
    watcher.look(observed(deployment=wanted))
    found = watcher.cause(broken)
    assert (found is not None) == fails
    if found is not None:
        assert (found.reason, found.crashed) == ("CrashLoopBackOff", True)
        assert found.message == f"container vllm crashed {restarts} times, last with exit code 1"
    # What was so when the wait began may be the life that comes up; the next failure is one too many.
    late = Watcher()
    assert late.cause(broken) is None
    assert late.cause(broken, after=60) is None
    broken.pods[0]["status"]["containerStatuses"][0]["restartCount"] += 1
    assert (late.cause(broken) is not None) == (fails or (seconds, code) == (90, 1))


@pytest.mark.parametrize("change", ["served", "sidecar", "no-probe"])
def test_what_is_no_start_of_the_server_is_waited_for(change: str) -> None:
    wanted = deployment()
    probe = {} if change == "no-probe" else {"startupProbe": {"periodSeconds": 30, "failureThreshold": 20}}
    wanted["spec"]["template"] = {"spec": {"containers": [{"name": "vllm", **probe}]}}
    last = ended("Error", 1)
    last["terminated"] |= {"startedAt": "2026-11-30T00:00:00Z", "finishedAt": "2026-11-30T00:00:05Z"}
    status = container({"running": {}}, last=last, restarts=2)
    if change == "served":
        # Its startup probe succeeded; that it is not ready now is a readiness probe's word.
        status["started"] = True
    if change == "sidecar":
        status["name"] = "istio-proxy"
    watcher = Watcher()
    watcher.look(observed(deployment=wanted))
    assert watcher.cause(observed(pod(status), deployment=wanted)) is None


def test_restarts_are_those_of_new_pods_that_are_not_ready() -> None:
    again = container({"running": {}}, last=ended("Error", 1), restarts=1)
    old, going = pod(again, name="old", revision=1), pod(again, name="going", terminating=True)
    pods = (pod(again), ready_pod("served", 2, again), old, going, pod(container(), name="new"))
    assert restarts(observed(*pods)) == [Restart("a", "vllm", 1, 1)]


QUOTA = condition("ReplicaFailure", "True", "FailedCreate", 'pods "x" is forbidden: exceeded quota: gpus')
MOUNT = 'MountVolume.SetUp failed for volume "token" : secret "hf" not found'


@pytest.mark.parametrize(
    ("reason", "grace", "symptom"),
    [
        ("RunContainerError", CONFIGURATION_GRACE_S, observed(pod(waiting("RunContainerError", "x")))),
        ("CreateContainerError", CONFIGURATION_GRACE_S, observed(pod(waiting("CreateContainerError", "x")))),
        ("ContainerCannotRun", CONFIGURATION_GRACE_S, observed(pod(waiting("ContainerCannotRun", "x")))),
        (
            "Unschedulable",
            CONFIGURATION_GRACE_S,
            observed(unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node selector.")),
        ),
        ("FailedCreate", REPLICA_FAILURE_GRACE_S, observed(replica_sets=[replica_set(2, QUOTA)])),
        ("FailedCreate", REPLICA_FAILURE_GRACE_S, observed(deployment=deployment(QUOTA))),
        (
            "FailedMount",
            FAILED_MOUNT_GRACE_S,
            observed(pod(waiting("ContainerCreating")), failed_mounts={"a": MOUNT}),
        ),
    ],
)
def test_graces(reason: str, grace: float, symptom: Observed) -> None:
    """A symptom fails when it has lasted so long without a break, not a moment sooner."""
    watcher = Watcher()
    assert watcher.cause(symptom) is None
    assert watcher.cause(symptom, after=grace - 0.01) is None
    found = watcher.cause(symptom, after=0.02)
    assert found is not None
    assert found.reason == reason
    assert found.advice

    broken_off = Watcher()
    broken_off.look(symptom)
    broken_off.look(observed(pod(container())), after=grace - 1)
    assert broken_off.cause(symptom, after=1) is None
    assert broken_off.cause(symptom, after=grace - 1) is None
    assert broken_off.cause(symptom, after=1) is not None


def test_graces_of_the_reference() -> None:
    assert (REPLICA_FAILURE_GRACE_S, FAILED_MOUNT_GRACE_S) == (30, 120)


def test_a_mount_that_failed_before_the_containers_came_is_over() -> None:
    conditions = [condition("PodScheduled", "True"), condition("PodReadyToStartContainers", "True")]
    pulling = observed(pod(waiting("ContainerCreating"), conditions=conditions), failed_mounts={"a": MOUNT})
    watcher = Watcher()
    assert [watcher.cause(pulling, after=FAILED_MOUNT_GRACE_S) for _ in range(3)] == [None] * 3


def test_a_quota_is_named_with_what_to_do() -> None:
    watcher = Watcher()
    quota = observed(replica_sets=[replica_set(2, QUOTA)])
    watcher.look(quota)
    found = watcher.cause(quota, after=REPLICA_FAILURE_GRACE_S)
    assert found is not None
    assert "exceeded quota: gpus" in found.message
    assert "ResourceQuota" in found.advice


@pytest.mark.parametrize(
    ("reason", "fails"),
    [
        ("UnexpectedAdmissionError", True),
        ("", True),
        ("DeadlineExceeded", True),
        ("Evicted", False),
        ("Preempting", False),
        ("NodeShutdown", False),
        ("Terminated", False),
    ],
)
def test_a_failed_pod(reason: str, fails: bool) -> None:
    """What the controller replaces by itself is waited for; the rest names pod and node."""
    found = Watcher().cause(observed(pod(phase="Failed", reason=reason, message="Allocate failed")))
    assert (found is not None) == fails
    if found is not None:
        assert (found.reason, found.pod) == (reason or "PodFailed", "a")
        assert "Allocate failed on node node-1" in found.message


@pytest.mark.parametrize(
    ("message", "fails"),
    [
        ("0/4 nodes are available: 4 Insufficient nvidia.com/gpu.", False),
        ("0/4 nodes are available: 1 Insufficient nvidia.com/gpu, 3 had untolerated taint {a: b}.", False),
        ("0/4 nodes are available: 4 Too many pods.", False),
        ("0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims.", False),
        ("0/4 nodes are available: 4 node(s) had volume node affinity conflict.", False),
        ("0/4 nodes are available: 4 node(s) were unschedulable.", False),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.", False),
        ("0/1 nodes are available: 1 had untolerated taint {node.kubernetes.io/disk-pressure: }.", False),
        ("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.", False),
        ("0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.", False),
        ("no nodes available to schedule pods", False),
        ("0/4 nodes are available: 4 node(s) had untolerated taint {gpu: yes}.", True),
        ("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.", True),
    ],
)  # fmt: skip
def test_only_a_configuration_that_no_node_meets_fails(message: str, fails: bool) -> None:
    watcher = Watcher()
    watcher.look(observed(unschedulable(message)))
    rollout = watcher.look(observed(unschedulable(message)), after=3600)
    assert (rollout.cause is not None) == fails
    if not fails:
        assert rollout.waiting_for == f"a node for a: {message}"
    # An autoscaler may start a pool that has no node yet.
    clock = iter((0.0, 3600.0))
    symptoms = Symptoms(lambda: next(clock, 3600.0))
    judge(observed(unschedulable(message)), symptoms, nodes_may_come=True)
    rollout = judge(observed(unschedulable(message)), symptoms, nodes_may_come=True)
    assert (rollout.cause, rollout.waiting_for) == (None, f"a node for a: {message}")


STUCK = condition("Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "x-2" has timed out')
MOVING = condition("Progressing", "True", "ReplicaSetUpdated")


def test_the_progress_deadline_fails_when_it_passes() -> None:
    watcher = Watcher()
    assert watcher.cause(observed(pod(container()), deployment=deployment(MOVING))) is None
    found = watcher.cause(observed(pod(container()), deployment=deployment(STUCK)), after=600)
    assert found is not None
    assert (found.reason, found.message) == ("ProgressDeadlineExceeded", 'ReplicaSet "x-2" has timed out')


def initializing(*statuses: tuple[str, Object], sidecars: tuple[str, ...] = ()) -> Object:
    found = pod(
        waiting("PodInitializing"),
        initContainerStatuses=[{**container(), "name": name, **status} for name, status in statuses],
    )
    found["spec"]["initContainers"] = [
        {"name": name, **({"restartPolicy": "Always"} if name in sidecars else {})} for name, _ in statuses
    ]
    return found


DONE: Object = {"state": ended("Completed", 0)}
NEXT: Object = {"state": {"waiting": {"reason": "PodInitializing"}}}
STARTING = [
    (initializing(("fetch", {})), "fetch"),
    (initializing(("check", DONE), ("fetch", {}), ("last", NEXT)), "fetch"),
    (initializing(("proxy", {"started": True}), ("fetch", {}), sidecars=("proxy",)), "fetch"),
    (initializing(("proxy", {"started": False}), ("fetch", NEXT), sidecars=("proxy",)), "proxy"),
]


@pytest.mark.parametrize(("starting", "name"), STARTING)
def test_what_runs_before_the_server_is_named(starting: Object, name: str) -> None:
    watcher = Watcher()
    assert watcher.look(observed(starting)).waiting_for == f"{name}, which runs before the server of a"
    found = watcher.cause(observed(starting, deployment=deployment(STUCK)), after=600)
    assert found is not None
    assert found.advice.startswith(f"The container {name} of a")
    assert "progressDeadlineSeconds" in found.advice


def test_what_cannot_run_before_the_server_is_named() -> None:
    refused = {"state": {"waiting": {"reason": "RunContainerError", "message": "no such file"}}}
    watcher = Watcher()
    starting = initializing(("fetch", refused), ("last", NEXT))
    assert watcher.look(observed(starting)).waiting_for == "fetch: RunContainerError: no such file"
    found = watcher.cause(observed(starting, deployment=deployment(STUCK)), after=1)
    assert found is not None
    assert found.advice.startswith("The container fetch of a")


def test_a_sidecar_is_not_waited_for_once_it_has_started() -> None:
    starting = initializing(("check", DONE), ("proxy", {"started": True}), sidecars=("proxy",))
    watcher = Watcher()
    assert watcher.look(observed(starting)).waiting_for == "vllm: PodInitializing"
    found = watcher.cause(observed(starting, deployment=deployment(STUCK)), after=600)
    assert found is not None
    assert "probes.startup" in found.advice


def test_a_deadline_that_an_earlier_attempt_missed_says_nothing_about_this_one() -> None:
    watcher = Watcher()
    stuck = observed(pod(container()), deployment=deployment(STUCK))
    assert [watcher.cause(stuck, after=60) for _ in range(5)] == [None] * 5
    assert watcher.cause(observed(pod(container()), deployment=deployment(MOVING))) is None
    assert watcher.cause(stuck, after=600) is not None


def test_done_needs_the_new_pods_ready_and_the_old_ones_gone() -> None:
    healthy = deployment(wanted=2, availableReplicas=2)
    done = Watcher().look(observed(ready_pod("a"), ready_pod("b"), deployment=healthy))
    assert (done.done, done.ready, done.wanted, done.cause) == (True, 2, 2, None)


@pytest.mark.parametrize(
    ("pods", "status", "reason"),
    [
        ([ready_pod()], {"availableReplicas": 1, "generation": 3}, "the controller to see"),
        ([ready_pod()], {"availableReplicas": 0}, "1 pods to be available (1 are ready)"),
        ([pod(container())], {"availableReplicas": 1}, "a to become ready (0 of 1 are)"),
        ([], {"updatedReplicas": 0, "replicas": 0}, "1 of 1 new pods to be created"),
        # An old pod that serves makes the Deployment look available.
        (
            [ready_pod("old", 1), pod(container())],
            {"availableReplicas": 1, "replicas": 2},
            "a to become ready (0 of 1 are)",
        ),
        (
            [ready_pod("old", 1), ready_pod()],
            {"availableReplicas": 2, "replicas": 2},
            "1 pods of the previous revision to end",
        ),
        # An evicted pod is not the one to wait for.
        (
            [pod(name="gone", phase="Failed", reason="Evicted"), pod(waiting("ContainerCreating"))],
            {},
            "vllm: ContainerCreating",
        ),
        # A pod that ends no longer counts, though it still answers.
        ([pod(terminating=True, conditions=[condition("Ready", "True")])], {"availableReplicas": 1}, "0 are"),
    ],
)  # fmt: skip
def test_not_done_yet(pods: list[Object], status: Object, reason: str) -> None:
    rollout = Watcher().look(observed(*pods, deployment=deployment(**status)))
    assert (rollout.done, rollout.cause) == (False, None)
    assert reason in rollout.waiting_for


def test_a_surge_waits_for_each_of_several_replicas() -> None:
    pods = [ready_pod("a"), ready_pod("b"), pod(container(), name="c"), ready_pod("old", 1)]
    status = {"replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}
    rollout = Watcher().look(observed(*pods, deployment=deployment(wanted=3, **status)))
    assert (rollout.done, rollout.ready, rollout.wanted) == (False, 2, 3)
    assert rollout.waiting_for == "c to become ready (2 of 3 are)"


def test_one_broken_replica_of_several_fails_the_rollout() -> None:
    broken = pod(waiting("ErrImagePull", "not found"), name="b")
    found = Watcher().cause(observed(ready_pod(), broken, deployment=deployment(wanted=2)))
    assert found is not None
    assert found.pod == "b"


def test_pods_of_other_revisions_and_pods_that_end_are_not_judged() -> None:
    crash = waiting("CrashLoopBackOff", last=ended("Error", 1), restarts=9)
    pods = (pod(crash, revision=1), pod(crash, name="b", terminating=True), pod(container(), name="c"))
    assert Watcher().cause(observed(*pods)) is None


def test_a_replica_set_of_another_deployment_is_not_ours() -> None:
    foreign = replica_set(2, QUOTA, owner="somebody else")
    watcher = Watcher()
    watcher.look(observed(replica_sets=[foreign]))
    assert watcher.cause(observed(replica_sets=[foreign]), after=3600) is None


def test_what_a_ready_pod_went_through_before_is_no_failure() -> None:
    survivor = ready_pod("a", 2, container({"running": {}}, last=ended("OOMKilled", 137), restarts=1))
    rollout = Watcher().look(observed(survivor, deployment=deployment(availableReplicas=1)))
    assert (rollout.done, rollout.cause) == (True, None)
    starting = pod(container(), name="b")
    rollout = Watcher().look(observed(survivor, starting, deployment=deployment(wanted=2)))
    assert (rollout.done, rollout.cause) == (False, None)


def test_a_failed_pod_that_was_replaced_is_no_failure() -> None:
    failed = pod(name="gone", phase="Failed", reason="UnexpectedAdmissionError")
    rollout = Watcher().look(observed(failed, ready_pod(), deployment=deployment(availableReplicas=1)))
    assert rollout.done


def test_no_replicas_wanted_is_done_at_once_and_no_deployment_is_waited_for() -> None:
    assert Watcher().look(observed(deployment=deployment(wanted=0))).done
    assert Watcher().look(Observed(None)).waiting_for == "the Deployment to be created"


CONFIGURATION = (
    "Initializing an LLM engine with config: trust_remote_code=False, max_seq_len=8192, max_model_len=8192"
)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("OSError: You are trying to access a gated repo.", "gated"),
        ("requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url", "gated"),
        ("Access to model google/gemma-3 is restricted.", "gated"),
        ("The repository for a/b contains custom code which must be executed", "trust_remote_code"),
        ("consider setting `trust_remote_code=True` in LLM", "trust_remote_code"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "GPU's memory"),
        ("ValueError: No available memory for the cache blocks.", "GPU's memory"),
        ("User-specified max_model_len (99999) is greater than the derived", "lower maxModelLen"),
        ("To serve at least one request with the model's max seq len (131072), 16 GiB", "lower maxModelLen"),
        ("vllm serve: error: unrecognized arguments: --foo", "extraArgs"),
        ("RuntimeError: something new", ""),
    ],
)
def test_hints_of_well_known_log_lines(line: str, hint: str) -> None:
    """The settings that every server prints as it starts give no hint."""
    found = log_hint(f"{CONFIGURATION}\n{line}\n")
    assert (hint in found) if hint else (found == "")
