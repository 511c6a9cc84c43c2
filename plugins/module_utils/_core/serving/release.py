# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one model server to the wanted state: capacity, Helm, rollout. Running it again is the resume.

Nothing is remembered between runs. Each run reads Helm's record and the workload, decides the next step
(:mod:`release_plan`) and takes it; a run that was killed leaves nothing that the next one cannot read.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..cluster.client import APIError, ClusterClient, segment
from ..cluster.helm import Helm
from ..cluster.helm_storage import ReleaseRecord, mark_failed, read_release
from ..cluster.manifests import dump_manifest, parse_manifest
from ..cluster.workload import Rollout, Symptoms, judge, observe
from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import redact
from .release_plan import Plan, ReleaseRequest, check_owner, make_plan
from .rollout import follow_rollout

HELM_ATTEMPTS = 10
_DEFAULT_ROLLOUT_MARGIN_S = 60.0
_HELM_SHARE_S = 300.0


@dataclass(frozen=True)
class Waits:
    """How long each part may take, in seconds."""

    capacity_s: float = 600.0
    rollout_s: float | None = None  #: default: the chart's progress deadline and a minute
    takeover_s: float = 30.0  #: a pending release untouched for so long was left by a run that died

    def rollout(self, plan: Plan) -> Deadline:
        """Start the deadline of a rollout."""
        if self.rollout_s is not None:
            return Deadline(self.rollout_s)
        progress_deadline = float(plan.deployment["spec"].get("progressDeadlineSeconds", 600))
        return Deadline(progress_deadline + _DEFAULT_ROLLOUT_MARGIN_S)


@dataclass
class Timings:
    """Seconds spent in each phase."""

    phases: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the block, also where it raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + time.monotonic() - start, 3)


@dataclass(frozen=True)
class ReleaseResult:
    """The outcome of one call, with the manifests before and after it."""

    changed: bool
    result: dict[str, Any]
    before: str
    after: str
    warnings: list[str]

    def diff(self) -> dict[str, str]:
        """Return the difference for Ansible to show, in a stable order and without secrets."""
        if self.result["drift"]:
            return {"prepared": "\n".join(self.result["drift"]) + "\n"}
        return {
            "before_header": f"{self.result['name']} (deployed)",
            "after_header": f"{self.result['name']} (rendered)",
            "before": _shown(self.before),
            "after": _shown(self.after),
        }


def apply_release(
    client: ClusterClient,
    helm: Helm,
    request: ReleaseRequest,
    waits: Waits,
    progress: Callable[[str], None],
    *,
    check_mode: bool = False,
    check_capacity: bool = True,
) -> ReleaseResult:
    """Install or upgrade the release and wait until exactly its new pods serve.

    Raises ``capacity`` when there is no room in time (or never will be), ``workload`` when the server cannot
    start, ``timeout`` when a deadline passed, ``invalid``, ``auth`` and ``infrastructure`` as named.
    """
    timings = Timings()
    with timings.phase("plan_s"):
        record = _settled_record(client, helm, request, waits, progress, check_mode=check_mode)
        plan = make_plan(
            client, helm, request, record, Deadline(_HELM_SHARE_S), check_capacity=check_capacity
        )
    if plan.verdict is not None and plan.verdict.permanent:
        raise _capacity_error(plan, plan.verdict.summary(), 0.0)
    if check_mode:
        progress(f"{request.name}: {_describe(plan)}")
        return _planned(client, request, plan, timings)
    changed = plan.changed
    if plan.changed:
        with timings.phase("capacity_s"):
            _wait_for_capacity(client, plan, waits, progress)
        with timings.phase("helm_s"):
            progress(f"{request.name}: helm {plan.action} ({plan.digest[:19]}, strategy {plan.strategy})")
            _upgrade(client, helm, request, plan, waits, progress)
    with timings.phase("rollout_s"):
        changed |= follow_rollout(
            client, request, waits.rollout(plan), progress, replace_failed=not plan.changed
        )
    final = read_release(client, request.name, request.namespace)
    return _result(request, plan, final, timings, changed=changed)


def remove_release(
    client: ClusterClient,
    helm: Helm,
    name: str,
    namespace: str,
    model: str,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    check_mode: bool = False,
) -> bool:
    """Uninstall the release and wait until its pods are gone; tell whether there was anything to do."""
    record = read_release(client, name, namespace)
    if record is None:
        return False
    check_owner(record, name, model)
    if check_mode:
        return True
    progress(f"{name}: helm uninstall")
    helm.uninstall(name, namespace, deadline.share(_HELM_SHARE_S))
    path = f"/api/v1/namespaces/{segment(namespace)}/pods"
    query = {"labelSelector": f"app.kubernetes.io/instance={name}"}
    backoff = Backoff(0.3, 3.0)
    while True:
        left = [pod["metadata"]["name"] for pod in client.list_pages(path, query)]
        if not left:
            return True
        if deadline.expired():
            raise deadline.timeout_error(
                f"Removing {name}",
                f"pods still end: {', '.join(left)}",
                "Look at the pods' finalizers and drain.",
            )
        deadline.pause(backoff.next())


def _settled_record(
    client: ClusterClient,
    helm: Helm,
    request: ReleaseRequest,
    waits: Waits,
    progress: Callable[[str], None],
    *,
    check_mode: bool,
) -> ReleaseRecord | None:
    """Return the newest record once no helm works on it any more; recover what a killed run left."""
    shown = False
    version, since = "", 0.0
    while True:
        record = read_release(client, request.name, request.namespace)
        # Before anything is recovered: what belongs to others stays as it is.
        check_owner(record, request.name, request.model, request.chart_name)
        if record is None or check_mode or not (record.pending or record.status == "uninstalling"):
            return record
        if record.secret["metadata"]["resourceVersion"] != version:
            version, since = record.secret["metadata"]["resourceVersion"], time.monotonic()
        # Clocks differ: what has stayed the same before our eyes for so long is idle too.
        idle = max((datetime.now(UTC) - record.modified_at).total_seconds(), time.monotonic() - since)
        if idle < waits.takeover_s:
            if not shown:
                progress(
                    f"{request.name}: revision {record.revision} is {record.status} since {idle:.0f} s; "
                    f"taken over if it stays so for {waits.takeover_s:g} s"
                )
                shown = True
            time.sleep(min(1.0, waits.takeover_s - idle + 0.05))
            continue
        if record.status == "uninstalling":
            progress(f"{request.name}: finishing an uninstall that was cut off")
            helm.uninstall(request.name, request.namespace, Deadline(_HELM_SHARE_S))
            continue
        progress(
            f"{request.name}: recovering revision {record.revision}, left {record.status} by a run that died"
        )
        try:
            mark_failed(client, record, f"left {record.status} by a run that died; recovered by {_actor()}")
        except APIError as error:
            # 409: somebody else wrote meanwhile, so look again.
            if error.status != 409:
                raise


def _wait_for_capacity(
    client: ClusterClient, plan: Plan, waits: Waits, progress: Callable[[str], None]
) -> None:
    verdict = plan.verdict
    if verdict is None:
        return
    deadline = Deadline(waits.capacity_s)
    backoff = Backoff(2.0, 30.0)
    polls = 1
    while not verdict.fits:
        if verdict.permanent or deadline.expired():
            raise _capacity_error(plan, verdict.summary(), deadline.elapsed(), polls)
        delay = min(backoff.next(), deadline.remaining())
        progress(f"{plan.spec.name}: waiting for capacity: {verdict.message} (next look in {delay:.0f} s)")
        deadline.pause(delay)
        verdict = patiently(partial(plan.assess, client), deadline, progress)
        polls += 1


def _capacity_error(plan: Plan, capacity: dict[str, Any], waited: float, polls: int = 1) -> PlatformError:
    name = plan.spec.name
    if capacity["permanent"]:
        message = f"{name} does not fit this cluster: {capacity['message']}"
        advice = "Waiting does not help: change the request, the node selection or the cluster."
    else:
        message = f"{name}: no capacity within {waited:.0f} s: {capacity['message']}"
        advice = "Free GPUs, add nodes, or give a longer capacity_timeout. Nothing was changed."
    details = {"capacity": capacity, "waited_s": round(waited, 3), "polls": polls}
    return PlatformError(ErrorClass.CAPACITY, message, advice, details)


def _upgrade(
    client: ClusterClient,
    helm: Helm,
    request: ReleaseRequest,
    plan: Plan,
    waits: Waits,
    progress: Callable[[str], None],
) -> None:
    deadline = Deadline(_HELM_SHARE_S)
    backoff = Backoff(1.0, 15.0)
    for attempt in range(1, HELM_ATTEMPTS + 1):
        try:
            helm.upgrade(plan.spec, deadline, f"deployed by {_actor()}")
        except PlatformError as error:
            if error.error_class is not ErrorClass.INFRASTRUCTURE or attempt == HELM_ATTEMPTS:
                raise
            delay = backoff.next()
            if delay >= deadline.remaining():
                raise
            progress(f"{plan.spec.name}: {error.message}; helm again in {delay:.0f} s")
            deadline.pause(delay)
            # Where helm lost the API server, it could not take back its mark on the release either.
            settle = partial(_settled_record, client, helm, request, waits, progress, check_mode=False)
            patiently(settle, deadline, progress)
        else:
            return


def _describe(plan: Plan) -> str:
    """Say in one line what the plan is."""
    if not plan.changed:
        return "is as it should be"
    why = f" ({len(plan.drift)} fields were changed on the cluster)" if plan.drift else ""
    room = f"; {plan.verdict.message}" if plan.verdict is not None else ""
    return f"needs {'an install' if plan.action == 'install' else 'an upgrade'}{why}{room}"


def _planned(client: ClusterClient, request: ReleaseRequest, plan: Plan, timings: Timings) -> ReleaseResult:
    result = _result(request, plan, plan.record, timings, changed=plan.changed)
    rollout = Rollout(False)
    if plan.changed:
        result.result["revision"] += 1
    else:
        snapshot = observe(client, request.namespace, request.name, request.selector)
        rollout = judge(snapshot, Symptoms())
    result.result["ready"] = rollout.done
    if plan.verdict is not None and not plan.verdict.fits:
        result.warnings.append(f"{request.name} would wait for capacity: {plan.verdict.message}")
    return result


def _result(
    request: ReleaseRequest, plan: Plan, record: ReleaseRecord | None, timings: Timings, *, changed: bool
) -> ReleaseResult:
    before = plan.record.manifest if plan.record is not None else ""
    warnings = []
    if plan.interrupts:
        warnings.append(
            f"{request.name}: no free GPU for a second pod, so the model is away while its pod is replaced."
        )
    timings.phases["total_s"] = round(sum(timings.phases.values()), 3)
    container = plan.deployment["spec"]["template"]["spec"]["containers"][0]
    result = {
        "name": request.name,
        "namespace": request.namespace,
        "environment": request.environment,
        "model": request.model,
        "endpoint": request.endpoint,
        "action": plan.action,
        "strategy": plan.strategy,
        "interrupts": plan.interrupts,
        "revision": record.revision if record is not None else 0,
        "chart": request.chart_name,
        "chart_version": request.chart_version,
        "image": container["image"],
        "replicas": int(plan.deployment["spec"].get("replicas", 1)),
        "manifest_digest": plan.digest,
        "ready": True,
        "drift": plan.drift,
        "capacity": plan.verdict.summary() if plan.verdict is not None else None,
        "timings": timings.phases,
    }
    return ReleaseResult(changed, result, before, plan.manifest, warnings)


def _shown(manifest: str) -> str:
    return dump_manifest([redact(item) for item in parse_manifest(manifest)])


def _actor() -> str:
    """Return who runs this, for Helm's description: user, host and AWX job where there is one."""
    job = os.environ.get("AWX_JOB_ID") or os.environ.get("TOWER_JOB_ID")
    return f"{getpass.getuser()}@{socket.gethostname()}" + (f" (AWX job {job})" if job else "")
