# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow a rollout to its end, which is success, a cause, or the deadline with the last reason seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import excerpt
from .client import ClusterClient, JSONObject, segment
from .waiting import News, Reasons
from .workload import (
    Cause,
    Observed,
    Restart,
    Rollout,
    Symptoms,
    failure_details,
    is_ready,
    is_terminating,
    judge,
    log_hint,
    observe,
    restarts,
)

_LOG_LINES, _LOG_LENGTH, _LOG_TIMEOUT_S = 5, 600, 5.0


class Workload(Protocol):
    """A Deployment and what leads to it."""

    @property
    def name(self) -> str:
        """Name of the Deployment."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def selector(self) -> str:
        """Label selector of its pods."""

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the Services that send requests to its pods."""


def follow_rollout(
    client: ClusterClient,
    request: Workload,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    replace_failed: bool,
    nodes_may_come: bool = False,
) -> bool:
    """Wait until the Deployment's new pods, and only they, are ready and listed by its Services.

    With ``replace_failed``, pods that failed before this run are deleted once, and True is returned then.
    Otherwise those that had ended in failure say nothing: their ReplicaSet has replaced them already.
    With ``nodes_may_come``, a pod that no node may take is waited for.
    Raises ``workload`` (``capacity`` for a quota) with the evidence, or ``timeout`` with the last reason.
    """
    backoff = Backoff(0.2, 2.0)
    path = f"/api/v1/namespaces/{segment(request.namespace)}/pods"
    pods = News(client, path, {"labelSelector": request.selector}, deadline)
    symptoms = Symptoms()
    restarted = False
    failed_before: set[str] | None = set() if replace_failed else None
    told = _Told(client, request, progress)

    while True:
        observed = patiently(
            partial(observe, client, request.namespace, request.name, request.selector),
            deadline,
            progress,
        )
        if failed_before is None:
            failed_before = {pod["metadata"]["uid"] for pod in observed.pods if _has_failed(pod)}
        judged = [pod for pod in observed.pods if pod["metadata"]["uid"] not in failed_before]
        observed = replace(observed, pods=judged)
        rollout = judge(observed, symptoms, nodes_may_come=nodes_may_come)
        symptoms.next_round()
        if rollout.cause is not None and replace_failed and not restarted:
            # The same input again after a failure: whoever asks has mended something outside, such as a
            # Secret, and a pod in back-off would not notice for minutes.
            restarted = True
            symptoms = Symptoms()
            _restart(client, request, rollout.cause, observed, progress)
            continue
        if rollout.cause is not None and not rollout.cause.outdated:
            raise _workload_error(client, request, rollout, rollout.cause, observed)
        if rollout.done and patiently(
            partial(endpoints_are_new, client, request, observed), deadline, progress
        ):
            return restarted
        line = rollout.waiting_for or f"{' and '.join(request.services)} to list the new pods"
        if rollout.cause is not None:
            line = f"the node to look again: {rollout.cause.message}"
        if deadline.expired():
            raise deadline.timeout_error(
                f"The rollout of {request.name}",
                f"waiting for {line}",
                "Run again to go on waiting, or see the pods: "
                f"kubectl -n {request.namespace} describe pods -l {request.selector}",
            )
        told.restarts(observed)
        if told.waits(rollout, line, deadline.elapsed()):
            backoff.reset()
        delay = backoff.next()
        # Where no pod is on its way, controllers have to follow, which no pod tells and takes a moment.
        if pods.watched and any(not is_ready(pod) and not is_terminating(pod) for pod in observed.pods):
            delay = max(1.0, delay)
        if pods.changed(observed.version, delay):
            backoff.reset()


class _Told:
    """Tells what a rollout waits for, and what its servers ended with."""

    def __init__(self, client: ClusterClient, request: Workload, progress: Callable[[str], None]) -> None:
        self._client = client
        self._request = request
        self._progress = progress
        self._reasons = Reasons(progress)
        self._restarts: set[Restart] = set()

    def waits(self, rollout: Rollout, line: str, elapsed: float) -> bool:
        """Tell what is waited for; return whether it is news."""
        ready = f"{rollout.ready}/{rollout.wanted} ready after {elapsed:.0f} s"
        return self._reasons.tell(line, f"{self._request.name}: {ready}, waiting for {line}", elapsed)

    def restarts(self, observed: Observed) -> None:
        """Tell at once what a server ended with: its next try may take minutes."""
        for restart in restarts(observed):
            if restart not in self._restarts:
                self._restarts.add(restart)
                self._progress(f"{self._request.name}: {self._describe(restart)}")

    def _describe(self, restart: Restart) -> str:
        try:
            log = self._client.logs(
                self._request.namespace,
                restart.pod,
                restart.container,
                previous=True,
                lines=_LOG_LINES,
                timeout_s=_LOG_TIMEOUT_S,
            )
        except PlatformError as error:
            if error.error_class is ErrorClass.FENCED:
                raise
            # It is only told; a node that does not answer ends no rollout.
            log = ""
        ended = f"; its log ended: {excerpt(log.strip(), _LOG_LENGTH)}" if log.strip() else ""
        hint = log_hint(log)
        return (
            f"container {restart.container} of {restart.pod} ended with exit code {restart.exit_code} and "
            f"starts again (restart {restart.count}){ended}{f' ({hint})' if hint else ''}"
        )


def _has_failed(pod: JSONObject) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Failed")


def _restart(
    client: ClusterClient,
    request: Workload,
    cause: Cause,
    observed: Observed,
    progress: Callable[[str], None],
) -> None:
    progress(f"{request.name}: {cause.reason} from before this run; replacing the pods that are not ready")
    pods = f"/api/v1/namespaces/{segment(request.namespace)}/pods"
    for pod in observed.pods:
        if not is_ready(pod):
            client.delete(f"{pods}/{segment(pod['metadata']['name'])}")


def endpoints_are_new(client: ClusterClient, request: Workload, observed: Observed) -> bool:
    """Tell whether the Services send requests to the pods of this rollout only."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{segment(request.namespace)}/endpointslices"
    current = {pod["metadata"]["name"] for pod in observed.pods if not is_terminating(pod)}
    wanted = int((observed.deployment or {}).get("spec", {}).get("replicas", 1))
    for service in request.services:
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        ready = {
            (endpoint.get("targetRef") or {}).get("name")
            for item in client.list_pages(path, query)
            for endpoint in item.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready", True)
        }
        if not ready <= current or not (ready or wanted == 0):
            return False
    return True


def _workload_error(
    client: ClusterClient, request: Workload, rollout: Rollout, cause: Cause, observed: Observed
) -> PlatformError:
    details = failure_details(client, request.namespace, cause, observed)
    hint = log_hint(details["log_tail"])
    where = f" (pod {cause.pod})" if cause.pod else ""
    error_class = ErrorClass.CAPACITY if "exceeded quota" in cause.message else ErrorClass.WORKLOAD
    return PlatformError(
        error_class,
        f"{request.name} cannot start: {cause.reason}: {cause.message}{where}.",
        hint or cause.advice,
        {**details, "ready": rollout.ready, "replicas": rollout.wanted},
    )
