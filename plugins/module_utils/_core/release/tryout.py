# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the API server what it would refuse, by dry run, before anything is changed."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from ..cluster.client import APIError, ClusterClient, JSONObject, segment
from ..cluster.manifests import object_path
from ..common.errors import ErrorClass, PlatformError
from ..helm.storage import HELM
from .plan import Plan

#: Refused because of who asks or how, not because of what is asked for; a quota is for the capacity check.
_SAYS_NOTHING = re.compile(
    r"is forbidden: User |cannot create resource|exceeded quota|does not support dry run|being terminated"
)
#: What may be another answer for the account that is to come: its name, its rights, and what it brings.
_OF_THE_ACCOUNT = re.compile(
    r"service ?account|security context constraint|identity|pull ?secrets?|\bdefault account\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Conflict:
    """A field that somebody else manages."""

    where: str
    field: str
    manager: str
    since: str

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"{self.field} of {self.where} is managed by {self.manager}{since}"


def refuse_conflicts(
    client: ClusterClient, plan: Plan, helm_version: tuple[int, int, int], *, force: bool = False
) -> None:
    """Raise ``invalid`` where Helm would meet fields that others manage, or objects that are refused.

    With ``force`` the fields are taken over, so that only objects that are refused are left.

    Helm applies one object after the other, so a conflict in the last one leaves half of a revision. Where
    Helm merges by itself, as it does for releases that Helm 3 made, there are none.
    """
    record = plan.comparison.record
    if record is None or not record.server_side or helm_version[0] < 4:
        return
    namespace = plan.wanted.spec.namespace
    conflicts: list[Conflict] = []
    for item in plan.wanted.objects:
        path = object_path(item, namespace)
        if path is None:
            continue
        try:
            client.apply(path, item, HELM, force=force, dry_run=True)
        except APIError as error:
            found = _conflicts(client, error, item, path)
            if not found and error.status == 422:
                raise
            conflicts += found
    if not conflicts:
        return
    advice = (
        "Undo these changes, or take the fields over with force_conflicts (vllm_force_conflicts). "
        "Nothing was changed."
    )
    if any(conflict.field == ".spec.replicas" for conflict in conflicts):
        advice += " Where an autoscaler decides about replicas, set replicas to null in the chart's values."
    raise PlatformError(
        ErrorClass.INVALID,
        f"{plan.wanted.spec.name}: {'; '.join(map(str, conflicts))}.",
        advice,
        {"conflicts": [vars(conflict) for conflict in conflicts]},
    )


def _conflicts(client: ClusterClient, error: APIError, item: JSONObject, path: str) -> list[Conflict]:
    if not error.conflicts:
        return []
    live = client.find(path) or {}
    since = {
        str(entry.get("manager")): str(entry.get("time", ""))
        for entry in live.get("metadata", {}).get("managedFields") or ()
    }
    where = f"{item['kind']}/{item['metadata']['name']}"
    return [Conflict(where, field, manager, since.get(manager, "")) for field, manager in error.conflicts]


def refuse_pod(client: ClusterClient, plan: Plan) -> None:
    """Raise ``workload`` where admission would refuse the pods that the plan makes.

    Quotas are left to the check of capacity, which says who uses them up; rights that are missing for the
    question say nothing about the answer.
    """
    if plan.room is None or not plan.room.pods:
        return
    template = plan.wanted.deployment["spec"]["template"]
    namespace = plan.wanted.spec.namespace
    name = plan.wanted.spec.name
    # As a ReplicaSet makes it: there are policies against pods that nobody owns.
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": str(uuid.uuid4())}
    metadata = {**template.get("metadata", {}), "generateName": f"{name}-", "ownerReferences": [owner]}
    spec = dict(template["spec"])
    is_another = False
    if _account_is_to_come(client, plan, str(spec.get("serviceAccountName"))):
        # Another one may be allowed less.
        spec = {key: value for key, value in spec.items() if not key.startswith("serviceAccount")}
        is_another = True
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    try:
        client.create(f"/api/v1/namespaces/{segment(namespace)}/pods", pod, {"dryRun": "All"})
    except APIError as error:
        text = error.message
        if error.status not in (400, 403, 422) or _SAYS_NOTHING.search(text):
            return
        if is_another and _OF_THE_ACCOUNT.search(text):
            return
        raise PlatformError(
            ErrorClass.WORKLOAD,
            f"{name}: the API server refuses the pod: {text}",
            "Change the values, or the policy of the namespace. Where a policy refuses only this question, "
            "turn off check_capacity (vllm_check_capacity). Nothing was changed.",
            {"cause": "Refused", "events": [], "log_tail": ""},
        ) from error


def _account_is_to_come(client: ClusterClient, plan: Plan, name: str) -> bool:
    """Tell whether the release brings the pods' account and it is not there yet, or not to be seen."""
    namespace = plan.wanted.spec.namespace
    for item in plan.wanted.objects:
        if item["kind"] == "ServiceAccount" and item["metadata"]["name"] == name:
            path = object_path(item, namespace)
            try:
                return path is None or client.find(path) is None
            except APIError as error:
                if error.status != 403:
                    raise
                return True
    return False
