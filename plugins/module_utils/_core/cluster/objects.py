# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring a set of objects to the wanted state: try, apply, follow the rollouts, remove what left the set.

What left the set goes last: as long as its successor does not run, it still serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..common.deadline import Backoff, Deadline, patiently
from .apply import SetPlan, apply_steps, delete_steps, plan_namespace, plan_set
from .client import APIError, ClusterClient, JSONObject
from .namespaces import require_namespace
from .object_set import ObjectSet
from .rollout import follow_rollout


@dataclass(frozen=True)
class DeploymentOfSet:
    """A Deployment of the set, with those Services of the set that lead to its pods."""

    name: str
    namespace: str
    selector: str
    services: tuple[str, ...]


@dataclass(frozen=True)
class SetDone:
    """What was done, and the seconds that each part took."""

    changed: bool
    plan: SetPlan
    timings: dict[str, float] = field(default_factory=dict)


def bring(
    client: ClusterClient,
    wanted: ObjectSet,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    create_namespace: bool = False,
    namespace_labels: Mapping[str, str] | None = None,
    force: bool = False,
    wait: bool = True,
    check_mode: bool = False,
) -> SetDone:
    """Make the set so; an empty one removes all its objects. Return what was (or would be) done.

    Raises ``locked`` and ``invalid`` before anything is written, ``workload`` (or ``capacity``, for a quota)
    where a Deployment cannot start, ``timeout`` where a rollout or a removal takes longer than the deadline.
    """
    require_namespace(client, wanted.namespace, create=create_namespace or not wanted.items)
    missing = _namespace_missing(client, wanted.namespace)
    if missing and not wanted.items and not wanted.cluster_wide:
        return SetDone(False, SetPlan())
    labelling = None
    if wanted.items and namespace_labels:
        labelling = plan_namespace(client, wanted.namespace, namespace_labels, force=force)
    # Without a namespace nothing in it can be tried; where there is nothing to apply, none is made.
    create = missing and bool(wanted.items) and not check_mode
    if create:
        if labelling is None:
            _create_namespace(client, wanted.namespace)
        else:
            apply_steps(client, wanted.namespace, [labelling], force=force)
        progress(f"namespace {wanted.namespace}: created")
    plan = plan_set(client, wanted, force=force, namespace_missing=missing and not create)
    if labelling is not None:
        plan.steps.insert(0, labelling)
    if check_mode:
        return SetDone(plan.changed, plan)
    changed = create or plan.changed
    for entry in plan.actions():
        if entry["action"] != "none":
            progress(f"{entry['kind']}/{entry['name']}: {entry['action']}")
    began = deadline.elapsed()
    apply_steps(client, wanted.namespace, plan.steps, force=force)
    applied = deadline.elapsed()
    if wait:
        for workload in deployments(wanted):
            # The same input again: pods that failed before this run get another chance, as what they lack may
            # be there by now.
            changed |= follow_rollout(client, workload, deadline, progress, replace_failed=not plan.writes)
    rolled_out = deadline.elapsed()
    gone = delete_steps(client, wanted.namespace, plan.steps)
    if wait:
        _wait_until_gone(client, gone, deadline, progress)
    timings = {
        "apply_s": round(applied - began, 3),
        "rollout_s": round(rolled_out - applied, 3),
        "removal_s": round(deadline.elapsed() - rolled_out, 3),
    }
    return SetDone(changed, plan, timings)


def deployments(wanted: ObjectSet) -> list[DeploymentOfSet]:
    """Return the set's Deployments in the order of its list."""
    found = []
    for item in wanted.items:
        if item["kind"] != "Deployment":
            continue
        labels = item["spec"]["template"]["metadata"].get("labels") or {}
        services = [
            other["metadata"]["name"]
            for other in wanted.items
            if other["kind"] == "Service" and _selects(other, labels)
        ]
        selector = item["spec"]["selector"].get("matchLabels") or {}
        words = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        found.append(
            DeploymentOfSet(item["metadata"]["name"], wanted.namespace, words, tuple(services)),
        )
    return found


def _selects(service: JSONObject, labels: Mapping[str, Any]) -> bool:
    selector = (service.get("spec") or {}).get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _namespace_missing(client: ClusterClient, namespace: str) -> bool:
    try:
        return client.find(f"/api/v1/namespaces/{namespace}") is None
    except APIError as error:
        if error.status == 403:
            # Who may not look at namespaces works in one that somebody made.
            return False
        raise


def _create_namespace(client: ClusterClient, namespace: str) -> None:
    try:
        client.create(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    except APIError as error:
        # Somebody was quicker.
        if error.status != 409:
            raise


def _wait_until_gone(
    client: ClusterClient, paths: list[str], deadline: Deadline, progress: Callable[[str], None]
) -> None:
    backoff = Backoff(0.1, 2.0)
    for path in paths:
        while patiently(partial(client.find, path), deadline, progress) is not None:
            if deadline.expired():
                raise deadline.timeout_error(
                    "Removing the objects",
                    f"{path} is still there",
                    "Look at its finalizers and, for a Deployment, at the pods that still end.",
                )
            deadline.pause(backoff.next())
