# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rights that operations need: those that role environment gives the account that deploys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cluster.client import JSONObject
from ..finding import Finding, Verdict, some
from ..site import Cluster

CHECK = "rights"

#: What does not work without a right, by API group and resource; the first that fits.
_BREAKS: tuple[tuple[str, str, str], ...] = (
    ("monitoring.coreos.com", "*", "models with serviceMonitor or alerts, and router_service_monitor"),
    ("gateway.networking.k8s.io", "*", "export.yml for a Gateway, and httpRoute of models"),
    ("rbac.authorization.k8s.io", "*", "models with rbac.create"),
    ("resource.k8s.io", "*", "models that claim GPUs by DRA"),
    ("", "pods/portforward", "verification from outside the cluster (vllm_access: port_forward)"),
    ("", "services/proxy", "verification from outside the cluster (vllm_access: proxy)"),
    ("", "pods/log", "the log of a server that does not start, in the error"),
    ("", "secrets", "Helm, which keeps its records in Secrets"),
    ("", "nodes", "the check of capacity before a deployment"),
    ("storage.k8s.io", "*", "the check of capacity for models with volumes"),
    ("scheduling.k8s.io", "*", "the check of capacity for models with a priority class"),
    ("node.k8s.io", "*", "the check of capacity for models with a runtime class"),
    ("networking.k8s.io", "*", "the network policies and Ingresses of models"),
    ("policy", "*", "the disruption budgets of models with replicas"),
    ("", "events", "the reason of a rollout that hangs"),
)
#: Groups without which everything else works.
_OPTIONAL = frozenset(
    {"monitoring.coreos.com", "gateway.networking.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io"}
)


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, in the environment's namespace or in all."""

    everywhere: bool
    group: str
    resource: str
    verb: str

    @property
    def name(self) -> str:
        """Return the resource as people write it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def breaks(self) -> str:
        """Return what does not work without it."""
        for group, resource, what in _BREAKS:
            if group == self.group and resource in ("*", self.resource):
                return what
        return "deployments"


def rights_of(objects: Iterable[JSONObject]) -> list[Right]:
    """Return the rights that the Roles and ClusterRoles among some objects give."""
    return sorted(
        {
            Right(item["kind"] == "ClusterRole", group, resource, verb)
            for item in objects
            if item.get("kind") in ("Role", "ClusterRole")
            for rule in item["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
    )


def look(cluster: Cluster) -> list[Finding]:
    """Ask for every right; by one question for all of a namespace's where the API server can tell."""
    wanted = rights_of(cluster.site.deployer)
    if not wanted:
        return [Finding(CHECK, Verdict.SKIPPED, "no roles are given to compare with.")]
    if is_allowed(cluster, Right(True, "*", "*", "*")):
        return judge(wanted, [], "an administrator's account")
    rules = _rules(cluster)
    # What a list of rules does not show, another authorizer may still allow.
    missing = [
        right
        for right in wanted
        if not (not right.everywhere and covers(rules, right)) and not is_allowed(cluster, right)
    ]
    return judge(wanted, missing)


def _rules(cluster: Cluster) -> Sequence[Mapping[str, Any]]:
    told = cluster.review("selfsubjectrulesreviews", {"namespace": cluster.site.namespace})
    return list(told.get("resourceRules") or [])


def is_allowed(cluster: Cluster, right: Right) -> bool:
    """Ask the API server whether we have a right."""
    resource, _slash, subresource = right.resource.partition("/")
    asked = {"group": right.group, "resource": resource, "subresource": subresource, "verb": right.verb}
    if not right.everywhere:
        asked["namespace"] = cluster.site.namespace
    return bool(cluster.review("selfsubjectaccessreviews", {"resourceAttributes": asked})["allowed"])


def covers(rules: Iterable[Mapping[str, Any]], right: Right) -> bool:
    """Tell whether rules allow it, for objects of any name."""
    return any(
        not rule.get("resourceNames")
        and {right.verb, "*"} & set(rule.get("verbs") or ())
        and {right.group, "*"} & set(rule.get("apiGroups") or ())
        and {right.resource, "*"} & set(rule.get("resources") or ())
        for rule in rules
    )


def judge(wanted: Sequence[Right], missing: Sequence[Right], note: str = "") -> list[Finding]:
    """Say how many there are, and what each group of missing ones breaks."""
    there = len(wanted) - len(missing)
    seen = f"{there} of {len(wanted)}" + (f", by {note}" if note else "")
    if not missing:
        return [Finding(CHECK, Verdict.PASS, f"{seen}.")]
    advice = (
        "Let an administrator play llmops.platform.environment and use its deployer "
        "(vllm_kubeconfig), or give these rights to this account."
    )
    needed = any(right.group not in _OPTIONAL for right in missing)
    found = [Finding(CHECK, Verdict.FAIL if needed else Verdict.WARN, f"{seen}.", advice)]
    return found + list(_by_consequence(missing))


def _by_consequence(missing: Sequence[Right]) -> Iterator[Finding]:
    for what in dict.fromkeys(right.breaks for right in missing):
        rights = [right for right in missing if right.breaks == what]
        optional = all(right.group in _OPTIONAL for right in rights)
        where = "in all namespaces" if all(right.everywhere for right in rights) else "in the namespace"
        seen = f"may not {said(rights)} {where}: needed for {what}."
        yield Finding(CHECK, Verdict.WARN if optional else Verdict.FAIL, seen, subject=rights[0].resource)


def said(rights: Sequence[Right]) -> str:
    """Return rights in words; resources that have the same verbs are named together."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(right.name, []).append(right.verb)
    resources: dict[str, list[str]] = {}
    for name, told in verbs.items():
        resources.setdefault(", ".join(told), []).append(name)
    return "; ".join(f"{told}: {some(names)}" for told, names in resources.items())
