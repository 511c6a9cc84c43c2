# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace's network policies: whether they fence its pods in, and leave them what they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...cluster.client import JSONObject
from ..finding import Finding, Verdict
from ..site import Cluster, Model

CHECK = "policies"
_DIRECTIONS = ("Ingress", "Egress")
_PLAY = "Let an administrator play llmops.platform.environment (environment_network_policies)."
_DNS = 53


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look at what holds for all pods, and at what each model brings."""
    policies = cluster.listed("networkpolicies", "networking.k8s.io/v1")
    yield judge_fence(policies)
    denied = denied_directions(policies)
    if "Egress" in denied:
        yield judge_dns(policies)
    if "Ingress" in denied:
        for model in cluster.site.models:
            yield judge_model(model)


def denied_directions(policies: Sequence[JSONObject]) -> set[str]:
    """Return in which directions some policy is about all pods, so that only what policies allow passes."""
    return {
        direction
        for policy in policies
        if _is_for_all(policy)
        for direction in policy["spec"].get("policyTypes") or ["Ingress"]
    }


def _is_for_all(policy: JSONObject) -> bool:
    return not any((policy["spec"].get("podSelector") or {}).values())


def judge_fence(policies: Sequence[JSONObject]) -> Finding:
    """Judge whether what nobody allows is denied."""
    open_to = [name for name in _DIRECTIONS if name not in denied_directions(policies)]
    if not open_to:
        return Finding(CHECK, Verdict.PASS, "what no policy allows is denied.", subject="fence")
    denied = " and ".join(open_to).lower()
    seen = f"no policy denies {denied} to all pods: anybody may reach them, or they anybody."
    return Finding(CHECK, Verdict.WARN, seen, _PLAY, "fence")


def judge_dns(policies: Sequence[JSONObject]) -> Finding:
    """Judge whether pods that nothing else lets out may resolve names."""
    for policy in policies:
        if _is_for_all(policy) and any(_lets_dns(rule) for rule in policy["spec"].get("egress") or ()):
            return Finding(CHECK, Verdict.PASS, f"{policy['metadata']['name']} allows it.", subject="dns")
    return Finding(CHECK, Verdict.FAIL, "none lets all pods resolve names.", _PLAY, "dns")


def _lets_dns(rule: JSONObject) -> bool:
    ports = rule.get("ports")
    return not ports or any(item.get("port") in (None, _DNS, "dns") for item in ports)


def judge_model(model: Model) -> Finding:
    """Judge whether a model lets its clients in, where nobody else does."""
    if model.pod.get("hostNetwork"):
        seen = "it is in the network of its node: no policy guards it, nor lets routers out to it."
        advice = (
            "Guard port 8000 of the nodes by a firewall, and name their addresses in router_egress and "
            "health_check_egress."
        )
        return Finding(CHECK, Verdict.WARN, seen, advice, model.host)
    for item in model.rendered.objects:
        if item["kind"] == "NetworkPolicy" and "Ingress" in (item["spec"].get("policyTypes") or ["Ingress"]):
            return Finding(
                CHECK, Verdict.PASS, "its policy lets routers and health checkers in.", subject=model.host
            )
    advice = "Set networkPolicy.enabled: true in its values, or write a policy for its pods."
    seen = "it brings no policy, and all else is denied: no router reaches it."
    return Finding(CHECK, Verdict.FAIL, seen, advice, model.host)
