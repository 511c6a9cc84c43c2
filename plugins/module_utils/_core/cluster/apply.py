# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server-side apply of a set of objects, and the removal of those that left it.

Everything is tried by the API server's own dry run before anything is written. What the dry run leaves as it
is needs no write, so a second run sends none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.redaction import HIDDEN, excerpt, redact
from .client import APIError, ClusterClient, JSONObject, parse_answer, segment
from .manifests import dump_manifest
from .object_set import SET_LABEL, SET_NAMESPACE_LABEL, ObjectSet, describe, identity

FIELD_MANAGER = "llmops.platform"


@dataclass(frozen=True)
class Resource:
    """One kind of one API version; ``namespaced`` tells whether its objects live in namespaces."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def collection(self, namespace: str) -> str:
        """Return the API path of all objects of this kind in a namespace, or in the cluster."""
        if not self.namespaced:
            return f"{_root(self.api_version)}/{self.plural}"
        return f"{_root(self.api_version)}/namespaces/{segment(namespace)}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """Return the API path of one object."""
        return f"{self.collection(namespace)}/{segment(name)}"


class Resources:
    """Looks kinds up in the API server's own list, which is read once for each API version."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._known: dict[str, list[JSONObject]] = {}

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind, ``None`` where this cluster does not have it."""
        for entry in self._entries(api_version):
            # An entry such as deployments/scale is a part of an object, not an object.
            if entry["kind"] == kind and "/" not in entry["name"]:
                return Resource(api_version, kind, entry["name"], bool(entry["namespaced"]))
        return None

    def _entries(self, api_version: str) -> list[JSONObject]:
        if api_version not in self._known:
            found = self._client.find(_root(api_version)) or {}
            self._known[api_version] = found.get("resources") or []
        return self._known[api_version]


def _root(api_version: str) -> str:
    parts = "/".join(segment(part) for part in api_version.split("/", 1))
    return f"/apis/{parts}" if "/" in api_version else f"/api/{parts}"


# Kinds of which a set may still have objects though none is in its list any more.
_PRUNED = (
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("batch/v1", "CronJob", "cronjobs"),
    Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
    Resource("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"),
    Resource("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
    Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
    Resource("networking.k8s.io/v1", "Ingress", "ingresses"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Resource("v1", "ConfigMap", "configmaps"),
    Resource("v1", "LimitRange", "limitranges"),
    Resource("v1", "ResourceQuota", "resourcequotas"),
    Resource("v1", "Secret", "secrets"),
    Resource("v1", "Service", "services"),
    Resource("v1", "ServiceAccount", "serviceaccounts"),
)
# And for a set that reaches beyond its namespace.
_PRUNED_CLUSTER_WIDE = (
    Resource(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
    ),
    Resource(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        namespaced=False,
    ),
    Resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
    Resource("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
)
_WARNING = re.compile(r'\b299 \S+ "((?:[^"\\]|\\.)*)"')
# Bookkeeping of the API server: it differs from run to run and says nothing about the desired state.
_BOOKKEEPING = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


@dataclass(frozen=True)
class Step:
    """What is to be done about one object, and the object before and after it."""

    action: str  #: none, create, update or delete
    resource: Resource
    wanted: JSONObject
    before: JSONObject | None
    after: JSONObject | None


@dataclass
class SetPlan:
    """The steps of a whole set.

    ``unread`` are kinds that we may not list, so nothing is removed there; ``left_out`` are objects of
    optional kinds that this cluster does not have.
    """

    steps: list[Step] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Tell whether anything is to be written."""
        return any(step.action != "none" for step in self.steps)

    @property
    def writes(self) -> bool:
        """Tell whether any object is to be created or updated."""
        return any(step.action in ("create", "update") for step in self.steps)

    def actions(self) -> list[dict[str, str]]:
        """Return one entry an object: kind, name, action."""
        return [
            {
                "kind": step.wanted["kind"],
                "name": step.wanted["metadata"]["name"],
                "action": step.action,
            }
            for step in self.steps
        ]

    def diff(self) -> dict[str, str]:
        """Return the changed objects before and after, without secrets and bookkeeping."""
        before, after = [], []
        for step in self.steps:
            if step.action != "none":
                shown = _shown(step.before, step.after)
                before += shown[:1] if step.before is not None else []
                after += shown[1:] if step.after is not None else []
        return {"before": dump_manifest(before), "after": dump_manifest(after)}


def plan_set(
    client: ClusterClient, wanted: ObjectSet, *, force: bool = False, namespace_missing: bool = False
) -> SetPlan:
    """Try every object by a dry run and find what left the set. Nothing is written.

    ``force`` takes over fields that others manage. ``namespace_missing`` says that the namespace is still
    to be made: the API server cannot try anything there.
    Raises ``locked`` for a field that somebody else manages, ``invalid`` for what the API server refuses and
    for an object that exists without belonging to the set.
    """
    resources = Resources(client)
    plan = SetPlan()
    for given in wanted.items:
        item = given
        resource = resources.find(item["apiVersion"], item["kind"])
        if resource is None and item["kind"] in wanted.optional_kinds:
            plan.left_out.append(describe(item))
            continue
        if resource is None:
            raise invalid(
                "objects",
                f"{item['apiVersion']} {item['kind']}",
                "is no kind that this cluster knows",
                "Correct apiVersion and kind, or install the definition (CRD) that brings it.",
            )
        if not resource.namespaced:
            _check_may_be_cluster_wide(item, wanted)
            item = wanted.cluster_wide_item(item)
        if namespace_missing and resource.namespaced:
            plan.steps.append(Step("create", resource, item, None, item))
            continue
        before = client.find(resource.path(wanted.namespace, item["metadata"]["name"]))
        _check_owner(before, item)
        after, warnings = _apply(client, resource, wanted.namespace, item, force=force, dry_run=True)
        plan.warnings += [f"{describe(item)}: {warning}" for warning in warnings]
        action = "create" if before is None else "none" if _same(before, after) else "update"
        plan.steps.append(Step(action, resource, item, before, after))
    named = [found for kind in wanted.kinds if (found := resources.find(*kind)) is not None]
    looked_for = [*named, *_PRUNED, *(_PRUNED_CLUSTER_WIDE if wanted.cluster_wide else ())]
    if namespace_missing:
        looked_for = [resource for resource in looked_for if not resource.namespaced]
    _plan_removals(client, wanted, looked_for, plan)
    return plan


def plan_namespace(
    client: ClusterClient, namespace: str, labels: Mapping[str, str], *, force: bool = False
) -> Step:
    """Try what makes a namespace with these labels, or gives them to the one that is there."""
    item: JSONObject = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": dict(labels)},
    }
    resource = Resource("v1", "Namespace", "namespaces", namespaced=False)
    before = client.find(resource.path(namespace, namespace))
    after, _warnings = _apply(client, resource, namespace, item, force=force, dry_run=True)
    action = "create" if before is None else "none" if _same(before, after) else "update"
    return Step(action, resource, item, before, after)


def _check_may_be_cluster_wide(item: JSONObject, wanted: ObjectSet) -> None:
    if not wanted.cluster_wide:
        raise PlatformError(
            ErrorClass.INVALID,
            f"objects: {describe(item)} belongs to no namespace; a set lives in one.",
            "Leave it to who administers the cluster, or say with cluster_wide that the set may reach there.",
            {"field": "objects"},
        )
    if item["kind"] == "Namespace":
        # The removal of what left the set would take everything with it.
        raise PlatformError(
            ErrorClass.INVALID,
            f"objects: {describe(item)} is a namespace, which a set never removes.",
            "Say how it is to be by create_namespace and namespace_labels.",
            {"field": "objects"},
        )


def apply_steps(client: ClusterClient, namespace: str, steps: Sequence[Step], *, force: bool = False) -> None:
    """Create and update what the plan says, in the order of the list."""
    for step in steps:
        if step.action in ("create", "update"):
            _apply(client, step.resource, namespace, step.wanted, force=force, dry_run=False)


def delete_steps(client: ClusterClient, namespace: str, steps: Sequence[Step]) -> list[str]:
    """Delete what the plan says, dependents such as pods before their owner; return the objects' paths."""
    paths = [
        step.resource.path(namespace, step.wanted["metadata"]["name"])
        for step in steps
        if step.action == "delete"
    ]
    for path in paths:
        client.delete(path, {"propagationPolicy": "Foreground"})
    return paths


def _apply(
    client: ClusterClient,
    resource: Resource,
    namespace: str,
    item: JSONObject,
    *,
    force: bool,
    dry_run: bool,
) -> tuple[JSONObject, list[str]]:
    path = resource.path(namespace, item["metadata"]["name"])
    try:
        answer = client.apply(path, item, FIELD_MANAGER, force=force, dry_run=dry_run, strict=True)
    except APIError as error:
        raise _refusal(error, item) from error
    warnings = [excerpt(text, 500) for text in _WARNING.findall(answer.headers.get("Warning", ""))]
    return parse_answer(answer.data, client.server), warnings


def _refusal(error: APIError, item: JSONObject) -> PlatformError:
    """Say which object was refused; for fields of somebody else, which and whose."""
    name = describe(item)
    conflicts = [{"field": field, "manager": manager} for field, manager in error.conflicts]
    if conflicts:
        told = "; ".join(f"{conflict['field']} by {conflict['manager']}" for conflict in conflicts)
        return PlatformError(
            ErrorClass.LOCKED,
            f"{name}: fields are managed by somebody else: {told}.",
            "Leave these fields out of the object, have their manager let go of them, "
            "or take them over with force_conflicts. Nothing was changed.",
            {"object": name, "conflicts": conflicts},
        )
    if error.error_class is ErrorClass.INVALID:
        return PlatformError(
            ErrorClass.INVALID,
            f"{name}: {error.message}",
            "Correct the object; the message above is the API server's own.",
            {**error.details, "object": name},
        )
    return error


def _check_owner(live: JSONObject | None, item: JSONObject) -> None:
    """Refuse to take over what is there for another reason: removing the set would remove it too."""
    if live is None:
        return
    wanted = _owner(item)
    owner = _owner(live)
    if owner == wanted:
        return
    told = " of namespace ".join(repr(value) for value in owner.values())
    belongs = f"belongs to the set {told}" if SET_LABEL in owner else "exists already and belongs to no set"
    labels = ",".join(f"{label}={value}" for label, value in wanted.items())
    raise PlatformError(
        ErrorClass.INVALID,
        f"objects: {describe(item)} {belongs}.",
        f"Choose another name, delete it, or hand it over by the label {labels}.",
        {"field": "objects", "object": describe(item)},
    )


def _plan_removals(
    client: ClusterClient, wanted: ObjectSet, looked_for: Sequence[Resource], plan: SetPlan
) -> None:
    """Add a removal for each object with the set's label that is not in its list."""
    kept = {identity(item) for item in wanted.items}
    looked: set[tuple[str, str]] = set()
    for resource in looked_for:
        group = resource.api_version.rpartition("/")[0]
        if (group, resource.plural) in looked:
            continue
        looked.add((group, resource.plural))
        try:
            found = list(
                client.list_pages(
                    resource.collection(wanted.namespace),
                    {"labelSelector": wanted.selector(namespaced=resource.namespaced)},
                )
            )
        except APIError as error:
            if error.status == 404:
                # This cluster has no such kind.
                continue
            if error.status == 403:
                plan.unread.append(resource.kind)
                continue
            raise
        for listed in found:
            item = {"apiVersion": resource.api_version, "kind": resource.kind, **listed}
            # Controllers copy labels to what they make; that goes with its owner.
            if identity(item) not in kept and not item["metadata"].get("ownerReferences"):
                plan.steps.append(Step("delete", resource, item, item, None))


def _owner(item: JSONObject) -> dict[str, str]:
    labels = item["metadata"].get("labels") or {}
    return {label: labels[label] for label in (SET_LABEL, SET_NAMESPACE_LABEL) if label in labels}


def _same(before: JSONObject, after: JSONObject) -> bool:
    """Tell whether an apply would leave an object as it is, and our claim to its fields too."""
    return _plain(before) == _plain(after) and _our_fields(before) == _our_fields(after)


def _our_fields(item: JSONObject) -> Any:
    return [
        entry.get("fieldsV1")
        for entry in item["metadata"].get("managedFields") or []
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
    ]


def _plain(item: JSONObject) -> JSONObject:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _BOOKKEEPING}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _shown(before: JSONObject | None, after: JSONObject | None) -> list[JSONObject]:
    """Return both for people: a Secret's values are hidden, and those that change are marked."""
    shown = [redact(_plain(item)) if item is not None else {} for item in (before, after)]
    if before is not None and after is not None and before["kind"] == "Secret":
        old, new = before.get("data") or {}, after.get("data") or {}
        changed = {key for key in new if key in old and old[key] != new[key]}
        shown[1]["data"] = {key: f"{HIDDEN} (another value)" if key in changed else HIDDEN for key in new}
    return shown
