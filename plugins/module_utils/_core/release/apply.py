# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one model server to the wanted state: capacity, Helm, rollout. Running it again is the resume.

Nothing is remembered between runs. Each run reads Helm's record and the workload, decides the next step
(:mod:`plan`) and takes it; a run that was killed leaves nothing that the next one cannot read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..cluster.client import ClusterClient, segment
from ..cluster.manifests import dump_manifest, parse_manifest
from ..cluster.rollout import follow_rollout
from ..cluster.workload import Rollout, Symptoms, judge, observe, running_image
from ..common.deadline import Backoff, Deadline, patiently
from ..common.digests import digest
from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import redact
from ..helm.chart import chart_digest
from ..helm.storage import ReleaseRecord, operation_labels, read_release
from ..placement.capacity import Verdict
from .plan import Plan, ReleaseRequest, check_owner, make_plan, selector
from .recovery import HELM_SHARE_S, Tools, Waits, settled_record, this_run

HELM_ATTEMPTS = 10


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
    tools: Tools,
    request: ReleaseRequest,
    waits: Waits,
    *,
    check_mode: bool = False,
    check_capacity: bool = True,
) -> ReleaseResult:
    """Install or upgrade the release and wait until exactly its new pods serve.

    Raises ``capacity`` when there is no room in time (or never will be), ``workload`` when the server cannot
    start, ``timeout`` when a deadline passed, ``fenced`` when the lock is lost, ``invalid``, ``auth`` and
    ``infrastructure`` as named.
    """
    timings = Timings()
    with timings.phase("plan_s"):
        record = settled_record(tools, request, waits, check_mode=check_mode)
        plan = make_plan(
            tools.client, tools.helm, request, record, Deadline(HELM_SHARE_S), check_capacity=check_capacity
        )
    if plan.verdict is not None and plan.verdict.permanent:
        raise _capacity_error(plan, plan.verdict.summary(), 0.0)
    if check_mode:
        tools.progress(f"{request.name}: {_describe(plan)}")
        return _planned(tools.client, request, plan, timings)
    changed = plan.changed
    if plan.changed:
        with timings.phase("capacity_s"):
            _wait_for_capacity(tools, plan, waits)
        with timings.phase("helm_s"), tools.permit.step(f"helm {plan.action}"):
            tools.progress(
                f"{request.name}: helm {plan.action} ({plan.digest[:19]}, strategy {plan.strategy})"
            )
            _upgrade(tools, request, plan, waits)
    with timings.phase("rollout_s"), tools.permit.step("rollout"):
        changed |= follow_rollout(
            tools.client,
            request,
            waits.rollout(plan),
            tools.progress,
            replace_failed=not plan.changed,
            nodes_may_come=not check_capacity,
        )
    final = read_release(tools.client, request.name, request.namespace)
    snapshot = observe(tools.client, request.namespace, request.name, request.selector)
    return _result(request, plan, final, timings, changed=changed, image_digest=running_image(snapshot.pods))


def remove_release(
    tools: Tools,
    name: str,
    namespace: str,
    model: str,
    deadline: Deadline,
    *,
    check_mode: bool = False,
) -> bool:
    """Uninstall the release and wait until its pods are gone; tell whether there was anything to do."""
    record = read_release(tools.client, name, namespace)
    if record is None:
        return False
    check_owner(record, name, model)
    if check_mode:
        return True
    with tools.permit.step("helm uninstall"):
        tools.progress(f"{name}: helm uninstall")
        tools.helm.uninstall(name, namespace, deadline.share(HELM_SHARE_S))
        _wait_for_pods_to_end(tools.client, name, namespace, deadline)
    return True


def _wait_for_pods_to_end(client: ClusterClient, name: str, namespace: str, deadline: Deadline) -> None:
    path = f"/api/v1/namespaces/{segment(namespace)}/pods"
    query = {"labelSelector": selector(name)}
    backoff = Backoff(0.3, 3.0)
    while left := [pod["metadata"]["name"] for pod in client.list_pages(path, query)]:
        if deadline.expired():
            raise deadline.timeout_error(
                f"Removing {name}",
                f"pods still end: {', '.join(left)}",
                "Look at the pods' finalizers and drain.",
            )
        deadline.pause(backoff.next())


def _wait_for_capacity(tools: Tools, plan: Plan, waits: Waits) -> None:
    verdict = plan.verdict
    if verdict is None or verdict.fits:
        return
    with tools.permit.step("wait for capacity"):
        _follow_capacity(tools, plan, verdict, waits)


def _follow_capacity(tools: Tools, plan: Plan, verdict: Verdict, waits: Waits) -> None:
    deadline = Deadline(waits.capacity_s)
    backoff = Backoff(2.0, 30.0)
    polls = 1
    while not verdict.fits:
        if verdict.permanent or deadline.expired():
            raise _capacity_error(plan, verdict.summary(), deadline.elapsed(), polls)
        delay = min(backoff.next(), deadline.remaining())
        tools.progress(
            f"{plan.spec.name}: waiting for capacity: {verdict.message} (next look in {delay:.0f} s)"
        )
        deadline.pause(delay)
        verdict = patiently(partial(plan.assess, tools.client), deadline, tools.progress)
        polls += 1


def _capacity_error(plan: Plan, capacity: dict[str, Any], waited: float, polls: int = 1) -> PlatformError:
    name = plan.spec.name
    if capacity["permanent"]:
        message = f"{name} does not fit this cluster: {capacity['message']}"
        advice = (
            "Waiting does not help: change the request, the node selection or the cluster. Where the cluster "
            "makes room once a pod waits, as autoscalers do, turn off check_capacity (vllm_check_capacity)."
        )
    else:
        message = f"{name}: no capacity within {waited:.0f} s: {capacity['message']}"
        advice = "Free GPUs, add nodes, or give a longer capacity_timeout. Nothing was changed."
    details = {"capacity": capacity, "waited_s": round(waited, 3), "polls": polls}
    return PlatformError(ErrorClass.CAPACITY, message, advice, details)


def _upgrade(tools: Tools, request: ReleaseRequest, plan: Plan, waits: Waits) -> None:
    deadline = Deadline(HELM_SHARE_S)
    backoff = Backoff(1.0, 15.0)
    description = f"deployed by {this_run()}"
    operation_id, fence = tools.permit.operation_id, tools.permit.fence
    if operation_id is not None:
        description += f", operation {operation_id}, fence {fence}"
    record = plan.record
    for attempt in range(1, HELM_ATTEMPTS + 1):
        labels = None
        if operation_id is not None:
            labels = operation_labels(operation_id, fence, record.revision + 1 if record else 1)
        try:
            tools.helm.upgrade(plan.spec, deadline, description, labels)
            _require_recorded(tools, request, deadline)
        except PlatformError as error:
            if error.error_class is not ErrorClass.INFRASTRUCTURE or attempt == HELM_ATTEMPTS:
                raise
            delay = backoff.next()
            if delay >= deadline.remaining():
                raise
            tools.progress(f"{plan.spec.name}: {error.message}; helm again in {delay:.0f} s")
            deadline.pause(delay)
            # Where helm lost the API server, it could not take back its mark on the release either.
            settle = partial(settled_record, tools, request, waits, check_mode=False)
            record = patiently(settle, deadline, tools.progress)
        else:
            return


def _require_recorded(tools: Tools, request: ReleaseRequest, deadline: Deadline) -> None:
    """Raise ``infrastructure`` where helm ended well and its record does not say so.

    Helm only logs that it could not write that down. A later run would take the release for one that a kill
    cut off, and so would everybody who asks Helm.
    """
    read = partial(read_release, tools.client, request.name, request.namespace)
    record = patiently(read, deadline, tools.progress)
    if record is not None and record.pending:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"helm could not record its end: revision {record.revision} is still {record.status}",
            "Look at the API server, then run again.",
        )


def _describe(plan: Plan) -> str:
    """Say in one line what the plan is."""
    if not plan.changed:
        return "is as it should be"
    why = ""
    if plan.drift:
        first, *more = plan.drift
        # Where it differs, not what is there: a value may be a secret.
        where = first if first.endswith("is missing") else f"{first.partition(' is ')[0]} differs"
        why = f" (on the cluster, {where}{f', and {len(more)} more' if more else ''})"
    room = f"; {plan.verdict.message}" if plan.verdict is not None else ""
    return f"needs {'an install' if plan.action == 'install' else 'an upgrade'}{why}{room}"


def _planned(client: ClusterClient, request: ReleaseRequest, plan: Plan, timings: Timings) -> ReleaseResult:
    rollout, image = Rollout(False), None
    if not plan.changed:
        snapshot = observe(client, request.namespace, request.name, request.selector)
        rollout, image = judge(snapshot, Symptoms()), running_image(snapshot.pods)
    result = _result(request, plan, plan.record, timings, changed=plan.changed, image_digest=image)
    if plan.changed:
        result.result["revision"] += 1
    result.result["ready"] = rollout.done
    if plan.verdict is not None and not plan.verdict.fits:
        result.warnings.append(f"{request.name} would wait for capacity: {plan.verdict.message}")
    return result


def _result(
    request: ReleaseRequest,
    plan: Plan,
    record: ReleaseRecord | None,
    timings: Timings,
    *,
    changed: bool,
    image_digest: str | None,
) -> ReleaseResult:
    before = plan.record.manifest if plan.record is not None else ""
    warnings = [f"{request.name}: {text}" for text in (plan.verdict.warnings if plan.verdict else ())]
    if plan.interrupts and plan.serves:
        first = "all old pods go" if plan.strategy == "recreate" else "the only pod goes"
        warnings.append(
            f"{request.name}: {first} before a new one starts (strategy {plan.strategy}), "
            "so the model is away meanwhile."
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
        "chart_digest": chart_digest(request.chart),
        "image": container["image"],
        "image_digest": image_digest,
        "replicas": int(plan.deployment["spec"].get("replicas", 1)),
        "manifest_digest": plan.digest,
        **shown_values(plan.spec.values),
        "ready": True,
        "drift": plan.drift,
        "capacity": plan.verdict.summary() if plan.verdict is not None else None,
        "timings": timings.phases,
    }
    return ReleaseResult(changed, result, before, plan.manifest, warnings)


def _shown(manifest: str) -> str:
    return dump_manifest([redact(item) for item in parse_manifest(manifest)])


def shown_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that Helm was given, as a result may show them, and the SHA-256 of them as they were.

    ``values_redacted`` tells whether secrets were hidden.
    """
    shown = redact(values)
    return {"chart_values": shown, "values_digest": digest(values), "values_redacted": shown != values}
