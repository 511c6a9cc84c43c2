# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Deployment's rollout: done, still on its way, or failed for a cause that waiting does not heal.

``judge`` is pure: it sees what was observed and the time each symptom has lasted. ``observe`` reads it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..common.redaction import excerpt
from .client import ClusterClient, JSONObject, segment

TEMPLATE_HASH = "pod-template-hash"

#: Seconds that a symptom may last before it counts as a failure; what heals by itself does so sooner.
REPLICA_FAILURE_GRACE_S = 30.0
CONFIGURATION_GRACE_S = 15.0
FAILED_MOUNT_GRACE_S = 120.0
OUTDATED_GRACE_S = 120.0

_NEVER_PULLS = re.compile(
    r"not found|notfound|denied|unauthorized|manifest unknown|no such image|forbidden|does not exist",
    re.IGNORECASE,
)
# Resources come free, volumes bind, nodes recover, other pods go; selectors and other taints stay.
_MAY_BECOME_SCHEDULABLE = re.compile(
    r"Insufficient|Too many pods|volume|persistentvolumeclaim|were unschedulable|"
    r"pod anti-affinity|topology spread|no nodes available|ToBeDeletedByClusterAutoscaler|"
    r"node\.cloudprovider\.kubernetes\.io/uninitialized|node\.kubernetes\.io/"
    r"(not-ready|unreachable|unschedulable|network-unavailable|disk-pressure|memory-pressure|pid-pressure)",
    re.IGNORECASE,
)
_CACHE_NOT_SYNCED = re.compile(r"failed to sync (configmap|secret) cache", re.IGNORECASE)
# The kubelet's two ways to say that a ConfigMap or Secret is missing.
_NO_OBJECT = re.compile(r'^(?P<kind>configmap|secret) "(?P<name>[^"]+)" not found', re.IGNORECASE)
_NO_KEY = re.compile(
    r"^couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) [^/\s]+/(?P<name>\S+)", re.IGNORECASE
)
_RETRIED_POD_FAILURES = frozenset(
    {"Evicted", "Preempting", "Preempted", "NodeShutdown", "Terminated", "NodeLost"}
)


#: The model server's container in the chart's pods, beside which meshes and agents put theirs.
SERVER_CONTAINER = "vllm"


@dataclass(frozen=True)
class Observed:
    """The objects of one rollout, read at about the same time."""

    deployment: JSONObject | None
    replica_sets: list[JSONObject] = field(default_factory=list)
    pods: list[JSONObject] = field(default_factory=list)
    #: Message of the last FailedMount event, by pod. Read only while a pod's volumes are being mounted.
    failed_mounts: dict[str, str] = field(default_factory=dict)
    #: Messages about a ConfigMap, Secret or key that was missing when the node looked, and is there by now.
    outdated: frozenset[str] = frozenset()
    #: Version of the list of pods, from which a watch goes on.
    version: str = ""


@dataclass(frozen=True)
class Cause:
    """Why a rollout failed: a stable ``reason``, the message, and where it was seen."""

    reason: str
    message: str
    pod: str = ""
    container: str = ""
    crashed: bool = False  #: the container ran, so its previous log tells more
    advice: str = ""
    outdated: bool = False  #: it is mended already; the node has yet to look again


@dataclass(frozen=True)
class Rollout:
    """Where a rollout stands: exactly one of done, failed (``cause``) or waiting."""

    done: bool
    waiting_for: str = ""
    cause: Cause | None = None
    ready: int = 0
    wanted: int = 0


class Symptoms:
    """Remembers since when a symptom has been seen without a break, on our own clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._seen: set[str] = set()
        self._at_start: dict[str, bool] = {}
        self._counts: dict[str, int] = {}
        self._first_round = True

    def appeared(self, key: str, seen: bool) -> bool:
        """Tell whether a symptom is there now that was absent at some look before."""
        self._at_start[key] = self._at_start.get(key, True) and seen
        return seen and not self._at_start[key]

    def lasted(self, key: str) -> float:
        """Note the symptom and return for how many seconds it has lasted."""
        self._seen.add(key)
        return self._clock() - self._since.setdefault(key, self._clock())

    def grew(self, key: str, count: int) -> bool:
        """Tell whether a count is higher than when the wait began; what came later began at 0."""
        return count > self._counts.setdefault(key, count if self._first_round else 0)

    def next_round(self) -> None:
        """Forget the symptoms that the last round did not show."""
        self._since = {key: value for key, value in self._since.items() if key in self._seen}
        self._seen = set()
        self._first_round = False


def observe(client: ClusterClient, namespace: str, name: str, selector: str) -> Observed:
    """Read a Deployment with its ReplicaSets and pods."""
    apps = f"/apis/apps/v1/namespaces/{segment(namespace)}"
    deployment = client.find(f"{apps}/deployments/{segment(name)}")
    if deployment is None:
        return Observed(None)
    query = {"labelSelector": selector}
    core = f"/api/v1/namespaces/{segment(namespace)}"
    replica_sets = list(client.list_pages(f"{apps}/replicasets", query))
    pods, version = client.list_at(f"{core}/pods", query)
    failed_mounts = {}
    if any(_mounts_volumes(pod) for pod in pods):
        # Only an event tells that a volume cannot be mounted.
        events = client.list_pages(f"{core}/events", {"fieldSelector": "reason=FailedMount"})
        failed_mounts = {event["involvedObject"]["name"]: event.get("message", "") for event in events}
    missing = {
        str(container["state"]["waiting"].get("message", ""))
        for pod in pods
        for container in _container_statuses(pod.get("status", {}))
        if container.get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError"
    }
    outdated = frozenset(message for message in missing if exists_by_now(client, core, message))
    return Observed(deployment, replica_sets, pods, failed_mounts, outdated, version)


def judge(observed: Observed, symptoms: Symptoms, *, nodes_may_come: bool = False) -> Rollout:
    """Decide where the rollout stands. A pod that no node may take is a failure unless ``nodes_may_come``."""
    deployment = observed.deployment
    if deployment is None:
        return Rollout(False, "the Deployment to be created")
    wanted = int(deployment["spec"].get("replicas", 1))
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return Rollout(False, "the controller to see the new Deployment", wanted=wanted)
    current = _current_replica_set(deployment, observed.replica_sets)
    pods = _pods_of(current, observed.pods)
    ready = sum(1 for pod in pods if is_ready(pod) and not is_terminating(pod))
    complete = (
        status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )
    if complete and ready == wanted:
        return Rollout(True, ready=ready, wanted=wanted)
    cause = _controller_failure(deployment, current, pods, symptoms)
    for pod in pods:
        # What a ready pod went through before, such as an OOM kill last week, is no failure of this rollout.
        if cause is None and not is_terminating(pod) and not is_ready(pod):
            cause = _pod_failure(pod, observed, symptoms)
            if cause is None and not nodes_may_come:
                cause = _scheduling_failure(pod, symptoms)
    if cause is not None:
        return Rollout(False, cause=cause, ready=ready, wanted=wanted)
    return Rollout(False, _waiting_for(pods, observed, wanted, ready), ready=ready, wanted=wanted)


@dataclass(frozen=True)
class Restart:
    """A container of a new pod that ended and was started again: the first sign of a start that fails."""

    pod: str
    container: str
    count: int
    exit_code: int


def restarts(observed: Observed) -> list[Restart]:
    """Return the containers of new pods that were started again and are not ready yet."""
    if observed.deployment is None:
        return []
    current = _current_replica_set(observed.deployment, observed.replica_sets)
    return [
        Restart(pod["metadata"]["name"], status["name"], status["restartCount"], last["exitCode"])
        for pod in _pods_of(current, observed.pods)
        if not is_ready(pod) and not is_terminating(pod)
        for status in _container_statuses(pod.get("status", {}))
        if status.get("restartCount") and (last := (status.get("lastState") or {}).get("terminated"))
    ]


def failure_details(
    client: ClusterClient, namespace: str, cause: Cause, observed: Observed
) -> dict[str, Any]:
    """Collect the evidence of a failure: warning events and the tail of the log, short and printable."""
    names = {cause.pod} if cause.pod else {item["metadata"]["name"] for item in observed.replica_sets}
    query = {"fieldSelector": "type=Warning"}
    path = f"/api/v1/namespaces/{segment(namespace)}/events"
    warnings = [
        event
        for event in client.list_pages(path, query)
        if event.get("involvedObject", {}).get("name") in names
    ]
    warnings.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    events = [
        f"{event.get('reason', '')}: {excerpt(event.get('message', ''), 400)}" for event in warnings[-5:]
    ]
    log = ""
    if cause.crashed:
        # In a crash loop the container before may go while it is asked for; there is another one then.
        for previous in (True, False, True):
            log = log or client.logs(namespace, cause.pod, cause.container, previous=previous)
    return {
        "cause": cause.reason,
        "pod": cause.pod,
        "container": cause.container,
        "events": events,
        "log_tail": excerpt(log, 4096),
    }


_LOG_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"gated repo|401 Client Error|Access to model .* is restricted",
        "The model is gated: give a Secret with a Hugging Face token that may read it.",
    ),
    (
        # A server prints its settings as it starts, so the name of a setting alone tells nothing.
        r"contains custom code|(set|setting|argument|option) `?trust_remote_code=True",
        "The model wants to run code of its own (trust_remote_code): review it, or choose another model.",
    ),
    (
        r"CUDA out of memory|OutOfMemoryError|No available memory for the cache blocks",
        "The GPU's memory is too small: use more GPUs, a shorter context or a quantised model.",
    ),
    (
        r"max_model_len \(|max seq len \(|maximum model length|tokens that can be stored in KV cache",
        "The context length does not fit the model or the memory: lower maxModelLen.",
    ),
    (
        r"unrecognized arguments|invalid choice",
        "The server refuses an argument: check extraArgs against the image's version.",
    ),
)


def log_hint(log: str) -> str:
    """Return advice for a well-known line in a model server's log, or an empty string."""
    return next((advice for pattern, advice in _LOG_HINTS if re.search(pattern, log)), "")


def _current_replica_set(deployment: JSONObject, replica_sets: list[JSONObject]) -> JSONObject | None:
    key = "deployment.kubernetes.io/revision"
    revision = deployment["metadata"].get("annotations", {}).get(key)
    uid = deployment["metadata"]["uid"]
    for item in replica_sets:
        owners = {owner["uid"] for owner in item["metadata"].get("ownerReferences", [])}
        if uid in owners and item["metadata"].get("annotations", {}).get(key) == revision:
            return item
    return None


def _pods_of(replica_set: JSONObject | None, pods: list[JSONObject]) -> list[JSONObject]:
    if replica_set is None:
        return []
    wanted = replica_set["metadata"]["labels"][TEMPLATE_HASH]
    return [pod for pod in pods if pod["metadata"].get("labels", {}).get(TEMPLATE_HASH) == wanted]


def _condition(item: JSONObject, kind: str) -> str:
    return str((_find_condition(item, kind) or {}).get("status", "Unknown"))


def _find_condition(item: JSONObject, kind: str) -> JSONObject | None:
    conditions: list[JSONObject] = item.get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), None)


def is_ready(pod: JSONObject) -> bool:
    """Tell whether a pod takes requests, by its node's word."""
    return _condition(pod, "Ready") == "True"


def is_terminating(pod: JSONObject) -> bool:
    """Tell whether a pod is on its way out."""
    return "deletionTimestamp" in pod["metadata"]


def _mounts_volumes(pod: JSONObject) -> bool:
    """Tell whether the node has the pod but not yet its volumes and network."""
    return (
        pod.get("status", {}).get("phase") == "Pending"
        and _condition(pod, "PodScheduled") == "True"
        and _condition(pod, "PodReadyToStartContainers") != "True"
    )


def _controller_failure(
    deployment: JSONObject, current: JSONObject | None, pods: list[JSONObject], symptoms: Symptoms
) -> Cause | None:
    for item in filter(None, (current, deployment)):
        condition = _find_condition(item, "ReplicaFailure")
        if condition and condition["status"] == "True":
            message = excerpt(condition.get("message", ""), 1000)
            if symptoms.lasted("ReplicaFailure") >= REPLICA_FAILURE_GRACE_S:
                advice = (
                    "Ask for a larger ResourceQuota, or ask for less."
                    if "quota" in message
                    else "An admission rule refuses the pods: change the values or the rule."
                )
                return Cause(str(condition.get("reason", "ReplicaFailure")), message, advice=advice)
    progressing = _find_condition(deployment, "Progressing")
    exceeded = progressing is not None and progressing.get("reason") == "ProgressDeadlineExceeded"
    # A condition left by an earlier attempt says nothing about this one.
    if symptoms.appeared("ProgressDeadlineExceeded", exceeded) and progressing is not None:
        advice = "The server did not become ready in its start-up budget: see its log and probes.startup."
        for pod in pods:
            if before := _before_the_server(pod):
                advice = (
                    f"The container {before['name']} of {pod['metadata']['name']} has to come first: see its "
                    "log, and give it more time by progressDeadlineSeconds."
                )
        return Cause("ProgressDeadlineExceeded", excerpt(progressing.get("message", ""), 1000), advice=advice)
    return None


def _before_the_server(pod: JSONObject) -> JSONObject | None:
    """Return the status of the init container that the server waits for: to end, or to start if it stays."""
    starting = pod.get("spec", {}).get("initContainers") or ()
    stays = {item["name"] for item in starting if item.get("restartPolicy") == "Always"}
    for status in pod.get("status", {}).get("initContainerStatuses") or ():
        state = status.get("state", {})
        if (state.get("waiting") or {}).get("reason") == "PodInitializing":
            return None
        if "terminated" not in state and not (status["name"] in stays and status.get("started")):
            return dict(status)
    return None


def _pod_failure(pod: JSONObject, observed: Observed, symptoms: Symptoms) -> Cause | None:
    name = pod["metadata"]["name"]
    failed_mount = observed.failed_mounts.get(name, "")
    status = pod.get("status", {})
    if status.get("phase") == "Failed" and status.get("reason", "") not in _RETRIED_POD_FAILURES:
        where = f" on node {pod['spec'].get('nodeName', '?')}"
        message = f"{status.get('message', 'the pod failed')}{where}"
        return Cause(str(status.get("reason") or "PodFailed"), excerpt(message, 1000), name)
    for container in _container_statuses(status):
        cause = _container_failure(name, container, observed, symptoms)
        if cause is not None:
            return cause
    if (
        failed_mount
        and _mounts_volumes(pod)
        and symptoms.lasted(f"{name}/FailedMount") >= FAILED_MOUNT_GRACE_S
    ):
        advice = "Create the Secret, ConfigMap or volume claim that the message names."
        return Cause("FailedMount", excerpt(failed_mount, 1000), name, advice=advice)
    return None


def _container_statuses(status: JSONObject) -> Iterator[JSONObject]:
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _container_failure(pod: str, status: JSONObject, observed: Observed, symptoms: Symptoms) -> Cause | None:
    name = status["name"]
    terminated = [
        state["terminated"]
        for state in (status.get("state", {}), status.get("lastState", {}))
        if "terminated" in state
    ]
    for ended in terminated:
        if ended.get("reason") == "OOMKilled":
            return Cause(
                "OOMKilled",
                f"container {name} was killed for using more memory than its limit",
                pod,
                name,
                crashed=True,
                advice="Raise the container's memory limit, or lower what the server keeps in memory.",
            )
    waiting = status.get("state", {}).get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    shown = f"container {name}: {excerpt(message, 800)}"
    if reason in ("InvalidImageName", "ErrImageNeverPull") or (
        reason in ("ErrImagePull", "ImagePullBackOff") and _NEVER_PULLS.search(message)
    ):
        advice = f"Check image and pull secrets: {status.get('image', '')!r} cannot be had by the node."
        return Cause(reason, shown, pod, name, advice=advice)
    if reason == "CreateContainerConfigError" and not _CACHE_NOT_SYNCED.search(message):
        advice = "Create the Secret or ConfigMap (key) that the message names."
        lasted = symptoms.lasted(f"{pod}/{name}/{reason}")
        outdated = message in observed.outdated and lasted < OUTDATED_GRACE_S
        return Cause(reason, shown, pod, name, advice=advice, outdated=outdated)
    if reason in ("RunContainerError", "CreateContainerError", "ContainerCannotRun"):
        if symptoms.lasted(f"{pod}/{name}/{reason}") >= CONFIGURATION_GRACE_S:
            return Cause(
                reason, shown, pod, name, advice="The container cannot be started: check command and image."
            )
        return None
    last = terminated[-1] if terminated else {}
    count = int(status.get("restartCount", 0))
    backs_off = reason == "CrashLoopBackOff"
    # With a start that takes minutes, the node waits for so short that nobody sees it back off. What was so
    # before this run says nothing: that life may be the one that comes up.
    again = symptoms.grew(f"{pod}/{name}/restarts", count) and not status.get("started")
    if count >= 2 and (backs_off or (again and _ended_in_its_start(last, name, observed))):
        reason = "CrashLoopBackOff"
        times = status["restartCount"] + ("running" not in status.get("state", {}))
        message = f"container {name} crashed {times} times, "
        message += f"last with exit code {last.get('exitCode', 'unknown')}"
        if last.get("message"):
            message += f": {excerpt(last['message'], 500)}"
        return Cause(reason, message, pod, name, crashed=True, advice="See the tail of its log.")
    return None


def _ended_in_its_start(last: JSONObject, container: str, observed: Observed) -> bool:
    """Tell whether a container's last life ended with a failure before it can have served."""
    if not last.get("exitCode") or observed.deployment is None:
        return False
    template = observed.deployment["spec"].get("template") or {}
    probe: JSONObject | None = None
    for item in template.get("spec", {}).get("containers") or ():
        if item["name"] == container:
            probe = item.get("startupProbe")
    if probe is None:
        # A sidecar that somebody else injects may wait for others in its own way.
        return False
    start_s = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
    try:
        began, ended = (datetime.fromisoformat(last[name]) for name in ("startedAt", "finishedAt"))
    except (KeyError, ValueError, TypeError):
        return False
    return bool((ended - began).total_seconds() <= start_s)


def _scheduling_failure(pod: JSONObject, symptoms: Symptoms) -> Cause | None:
    condition = _find_condition(pod, "PodScheduled")
    if condition is None or condition.get("reason") != "Unschedulable":
        return None
    message = str(condition.get("message", ""))
    name = pod["metadata"]["name"]
    if (
        _MAY_BECOME_SCHEDULABLE.search(message)
        or symptoms.lasted(f"{name}/unschedulable") < CONFIGURATION_GRACE_S
    ):
        return None
    return Cause(
        "Unschedulable",
        excerpt(message, 1000),
        name,
        advice="No node may take this pod as configured: check node selector, affinity and tolerations.",
    )


def _waiting_for(pods: list[JSONObject], observed: Observed, wanted: int, ready: int) -> str:
    for pod in pods:
        over = pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
        if over or is_terminating(pod) or is_ready(pod):
            continue
        condition = _find_condition(pod, "PodScheduled")
        if condition and condition.get("reason") == "Unschedulable":
            return f"a node for {pod['metadata']['name']}: {excerpt(condition.get('message', ''), 300)}"
        before = _before_the_server(pod)
        if before and "running" in before.get("state", {}):
            return f"{before['name']}, which runs before the server of {pod['metadata']['name']}"
        for container in _container_statuses(pod.get("status", {})):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                detail = excerpt(str(waiting.get("message", "")), 200)
                return (
                    f"{container['name']}: {waiting.get('reason', 'waiting')}{': ' if detail else ''}{detail}"
                )
        return f"{pod['metadata']['name']} to become ready ({ready} of {wanted} are)"
    if len(pods) < wanted:
        return f"{wanted - len(pods)} of {wanted} new pods to be created"
    if len(observed.pods) > len(pods):
        return f"{len(observed.pods) - len(pods)} pods of the previous revision to end"
    return f"{wanted} pods to be available ({ready} are ready)"


def exists_by_now(client: ClusterClient, namespace_path: str, message: str) -> bool:
    """Tell whether what a container's waiting message says is missing is there: nodes look now and then.

    ``namespace_path`` is the namespace's path in the core API. False for a message of another shape.
    """
    text = message.removeprefix("Error: ")
    found = _NO_OBJECT.match(text) or _NO_KEY.match(text)
    if found is None:
        return False
    item = client.find(f"{namespace_path}/{found['kind'].lower()}s/{segment(found['name'])}")
    if item is None:
        return False
    key = found.groupdict().get("key")
    return key is None or key in (item.get("data") or {}) or key in (item.get("binaryData") or {})


def running_image(pods: Sequence[JSONObject]) -> str | None:
    """Return the digest of the image that all pods of a release run; None where they do not say or differ."""
    found = running_images(pods)
    return found.pop() if len(found) == 1 else None


def running_images(pods: Sequence[JSONObject]) -> set[str]:
    """Return the digests of the images that the pods of a release run, as far as they say."""
    found = {image.rpartition("@")[2] for image in image_ids(pods)}
    return {image for image in found if image.startswith("sha256:")}


def image_ids(pods: Sequence[JSONObject]) -> set[str]:
    """Return what nodes call the images of the model servers, such as ``repository@sha256:...``."""
    # One that was evicted, or whose node went, stays on record for days.
    there = [pod for pod in pods if not is_terminating(pod) and _is_there(pod)]
    return {str(image) for pod in there if (image := _server_status(pod).get("imageID"))}


def _is_there(pod: JSONObject) -> bool:
    return pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")


def _server_status(pod: JSONObject) -> JSONObject:
    """Return the status of the model server's container: kubelet sorts them by name, sidecars among them."""
    statuses: dict[str, JSONObject] = {
        status["name"]: status for status in pod.get("status", {}).get("containerStatuses") or ()
    }
    # A chart of one's own may call it otherwise, and has it first.
    names = [SERVER_CONTAINER, *(container["name"] for container in pod["spec"]["containers"])]
    return next((statuses[name] for name in names if name in statuses), {})
