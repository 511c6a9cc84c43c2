# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace's network policies: whether they fence its pods in, and leave them what they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...cluster.client import JSONObject
from ...placement.selectors import Labels, label_selector_matches
from ...release.rendering import server_container
from ..finding import Finding, Verdict, some
from ..name_servers import NameServers
from ..network_policies import EGRESS, INGRESS, Rule, about, about_all, is_for_all, rules
from ..site import Cluster, Model

CHECK = "policies"
_PLAY = "Let an administrator play llmops.platform.environment (environment_network_policies)."
_OWN = "Set networkPolicy.enabled: true in its values, or write a policy for its pods."
_DNS = 53


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look at what holds for all pods, and at what each model brings."""
    policies = cluster.listed("networkpolicies", "networking.k8s.io/v1")
    yield judge_fence(policies)
    servers = NameServers.of(cluster)
    if about_all(policies, EGRESS):
        yield judge_dns(policies, servers)
    router = {
        "app.kubernetes.io/name": "llmops-router",
        "app.kubernetes.io/instance": "router",
        "app.kubernetes.io/component": "router",
        "app.kubernetes.io/part-of": "llmops-platform",
        "llmops.platform/environment": cluster.site.environment,
    }
    for model in cluster.site.models:
        if model.pod.get("hostNetwork"):
            yield in_the_network_of_its_node(model.host)
            continue
        labels = model.rendered.deployment["spec"]["template"]["metadata"].get("labels") or {}
        those = with_own(policies, model.rendered.objects)
        found = (
            judge_ingress(model.host, those, labels, server_ports(model), router),
            judge_egress(model.host, those, labels, servers, downloads=downloads(model)),
        )
        yield from (finding for finding in found if finding is not None)


def in_the_network_of_its_node(host: str) -> Finding:
    """Tell that policies are not about such pods."""
    seen = "it is in the network of its node: no policy guards it, nor lets routers out to it."
    advice = (
        "Guard port 8000 of the nodes by a firewall, and name their addresses in router_egress and "
        "health_check_egress."
    )
    return Finding(CHECK, Verdict.WARN, seen, advice, host)


def with_own(policies: Sequence[JSONObject], brought: Sequence[JSONObject]) -> list[JSONObject]:
    """Return the policies that there are once a release has brought its own."""
    own = {item["metadata"]["name"]: item for item in brought if item["kind"] == "NetworkPolicy"}
    return [*(item for item in policies if item["metadata"]["name"] not in own), *own.values()]


def server_ports(model: Model) -> list[int | str]:
    """Return the port of a model server, by number and by name."""
    ports = server_container(model.rendered.deployment).get("ports") or ()
    return [name for port in ports for name in (port["containerPort"], port.get("name")) if name]


def downloads(model: Model) -> bool:
    """Tell whether a model's pods fetch it from somewhere when they start."""
    variables = [
        *(item.get("data") or {} for item in model.rendered.objects if item["kind"] == "ConfigMap"),
        *(
            {item["name"]: item.get("value")}
            for item in server_container(model.rendered.deployment).get("env") or ()
        ),
    ]
    return not any(each.get("HF_HUB_OFFLINE") == "1" for each in variables)


def judge_fence(policies: Sequence[JSONObject]) -> Finding:
    """Judge whether what nobody allows is denied, and whether somebody allows everything."""
    open_to = [name for name in (INGRESS, EGRESS) if not about_all(policies, name)]
    if open_to:
        denied = " and ".join(open_to).lower()
        seen = f"no policy denies {denied} to all pods: anybody may reach them, or they anybody."
        return Finding(CHECK, Verdict.WARN, seen, _PLAY, "fence")
    inward = [rule.policy for rule in rules(about_all(policies, INGRESS), INGRESS) if rule.lets_everybody]
    outward = [rule.policy for rule in rules(about_all(policies, EGRESS), EGRESS) if _lets_all_out(rule)]
    if inward or outward:
        said = [f"{some(_once(inward))} lets anybody in to all pods"] if inward else []
        said += [f"{some(_once(outward))} lets all pods out to anybody"] if outward else []
        advice = "Delete it, or let it name who may: policies add up, and this one undoes the others."
        return Finding(CHECK, Verdict.WARN, f"{', and '.join(said)}.", advice, "fence")
    return Finding(CHECK, Verdict.PASS, "what no policy allows is denied.", subject="fence")


def _lets_all_out(rule: Rule) -> bool:
    # Names are asked of anybody, and models come from anywhere: by a port of their own.
    return rule.lets_everybody and rule.lets_all_ports


def _once(names: Sequence[str]) -> list[str]:
    return sorted(set(names))


def judge_dns(policies: Sequence[JSONObject], servers: NameServers) -> Finding:
    """Judge whether pods that nothing else lets out may resolve names."""
    verdict, policy = servers.reached_by(rules(about_all(policies, EGRESS), EGRESS))
    if verdict is Verdict.PASS:
        return Finding(CHECK, verdict, f"{policy} allows it.", subject="dns")
    return Finding(CHECK, verdict, f"{_without_names(verdict, policy)}.", _PLAY, "dns")


def _without_names(verdict: Verdict, policy: str) -> str:
    if verdict is Verdict.UNKNOWN:
        return f"{policy} lets pods ask addresses or pods that are not known to resolve names"
    if policy:
        return f"{policy} lets pods ask somebody else than the servers of kube-dns: no name resolves"
    return "none lets them resolve names, for which they ask by UDP"


def judge_ingress(
    host: str, policies: Sequence[JSONObject], labels: Labels, ports: Sequence[int | str], router: Labels
) -> Finding | None:
    """Judge whether a model lets its clients in; None where no policy is about that."""
    fencing = about(policies, INGRESS, labels)
    if not fencing:
        return None
    letting = [rule for rule in rules(fencing, INGRESS) if rule.lets_port("TCP", ports)]
    if not letting:
        seen = "its pods are fenced in, and no policy opens their port: no router reaches it."
        return Finding(CHECK, Verdict.FAIL, seen, _OWN, host)
    # What is open for all pods the fence tells.
    of_all = {policy["metadata"]["name"] for policy in fencing if is_for_all(policy)}
    opened = [rule.policy for rule in letting if rule.lets_everybody and rule.policy not in of_all]
    if opened:
        seen = f"{some(_once(opened))} lets anybody in."
        return Finding(CHECK, Verdict.WARN, seen, "Let it name who may.", host)
    if any(_may_be(rule, router) for rule in letting):
        return Finding(CHECK, Verdict.PASS, "its policy lets routers in.", subject=host)
    seen = (
        "no policy lets pods of its namespace in that are labelled as the router, "
        "app.kubernetes.io/component=router."
    )
    advice = "Set networkPolicy.ingress.router in its values, unless its clients are others or elsewhere."
    return Finding(CHECK, Verdict.UNKNOWN, seen, advice, host)


def _may_be(rule: Rule, labels: Labels) -> bool:
    """Tell whether a rule lets in pods of the same namespace that have these labels."""
    return not rule.peers or any(
        not {"ipBlock", "namespaceSelector"} & peer.keys()
        and label_selector_matches(peer.get("podSelector") or {}, labels)
        for peer in rule.peers
    )


def judge_egress(
    host: str, policies: Sequence[JSONObject], labels: Labels, servers: NameServers, *, downloads: bool
) -> Finding | None:
    """Judge whether a model gets out to what it needs, and to no more; None where no policy is about that."""
    subject, fencing = f"{host} egress", about(policies, EGRESS, labels)
    if not fencing:
        return None
    found = rules(fencing, EGRESS)
    verdict, policy = servers.reached_by(found)
    if downloads and verdict is not Verdict.PASS:
        advice = "Set networkPolicy.egress.dns in its values, or see the line of dns above."
        return Finding(CHECK, verdict, f"{_without_names(verdict, policy)}.", advice, subject)
    if downloads and not any(_lets_more_than_names(rule) for rule in found):
        seen = "it fetches its model when it starts, and no policy lets it out to anything but DNS."
        advice = "Set networkPolicy.egress.modelSource or model.offline in its values, or write a policy."
        return Finding(CHECK, Verdict.WARN, seen, advice, subject)
    of_all = {policy["metadata"]["name"] for policy in fencing if is_for_all(policy)}
    opened = [rule.policy for rule in found if _lets_all_out(rule) and rule.policy not in of_all]
    if opened:
        seen = f"{some(_once(opened))} lets it out to anybody."
        return Finding(CHECK, Verdict.WARN, seen, "Let it name whom it needs.", subject)
    seen = "policies let it out to DNS and further." if downloads else "it asks nobody for anything."
    return Finding(CHECK, Verdict.PASS, seen, subject=subject)


def _lets_more_than_names(rule: Rule) -> bool:
    tcp = [item for item in rule.ports if (item.get("protocol") or "TCP") == "TCP"]
    return not rule.ports or any(item.get("port") not in (_DNS, "dns-tcp") for item in tcp)
