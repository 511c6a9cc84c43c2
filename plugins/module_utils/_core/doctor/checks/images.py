# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether nodes can pull the images of models, by what pods, nodes and registries say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...cluster.client import JSONObject
from ..finding import Finding, Verdict, several
from ..image_registry import Answer, Place, ask
from ..site import Cluster

CHECK = "images"
_PULL_FAILED = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look for pods that have it or cannot get it, for nodes that keep it, and else ask its registry."""
    images = wanted(model.pod for model in cluster.site.models)
    if not images:
        yield cluster.site.without_models(CHECK)
        return
    pods = cluster.listed("pods")
    away: dict[str, Answer] = {}
    for image, secrets in sorted(images.items()):
        found = judge(image, pods, cluster.nodes)
        if found.verdict is Verdict.UNKNOWN:
            place = Place.of(image)
            answer = away.get(place.host) or ask(place, cluster.site.limit_s / 2)
            if answer.away:
                away[place.host] = answer
            found = judge_answer(found, image, answer, secrets)
        yield found


def wanted(pods: Iterable[JSONObject]) -> dict[str, list[str]]:
    """Return the images of all containers, each with the pull secrets that every pod with it names."""
    found: dict[str, set[str]] = {}
    for spec in pods:
        secrets = {str(item["name"]) for item in spec.get("imagePullSecrets") or ()}
        for container in _containers(spec):
            if image := container.get("image"):
                found[image] = found.get(image, secrets) & secrets
    return {image: sorted(secrets) for image, secrets in found.items()}


def _containers(spec: JSONObject) -> list[JSONObject]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def judge(image: str, pods: Sequence[JSONObject], nodes: Sequence[JSONObject]) -> Finding:
    """Judge an image; a node lists only some of those that it has."""
    short = image.rpartition("/")[2].partition("@")[0]
    states = [
        status
        for pod in pods
        for status in _statuses(pod)
        if image in (status.get("image"), _asked(pod, status))
    ]
    waiting = [(status.get("state") or {}).get("waiting") or {} for status in states]
    failed = [item for item in waiting if item.get("reason") in _PULL_FAILED]
    if failed:
        why = failed[0].get("message") or failed[0]["reason"]
        seen = f"{several(len(failed), 'pod')} cannot pull {image}: {why}"
        advice = "Check the image's name, image.pullSecrets, and the nodes' way to the registry."
        return Finding(CHECK, Verdict.FAIL, seen, advice, short)
    keeping = [node for node in nodes if image in _kept(node)]
    # One that starts before the server has ended, once that runs.
    started = sum(not {"running", "terminated"}.isdisjoint(status.get("state") or ()) for status in states)
    if started or keeping:
        seen = f"{image}: started in {several(started, 'pod')}, listed by {several(len(keeping), 'node')}."
        return Finding(CHECK, Verdict.PASS, seen, subject=short)
    seen = f"no pod of the namespace runs {image}, and no node lists it."
    return Finding(
        CHECK, Verdict.UNKNOWN, seen, "The first deployment tells: it ends at once where it cannot.", short
    )


def judge_answer(unknown: Finding, image: str, answer: Answer, secrets: Sequence[str]) -> Finding:
    """Judge what the registry says, where neither pods nor nodes say anything.

    ``secrets`` are the pull secrets for it. They are not tried: the registry's login stays in the cluster.
    """
    host = Place.of(image).host
    if answer.status == 200:
        seen = f"{host} gives {image} to anybody, asked from this machine."
        return Finding(CHECK, Verdict.PASS, seen, subject=unknown.subject)
    if answer.status == 404:
        advice = "Correct image.repository and image.tag in the values, or the image of what is added there."
        return Finding(CHECK, Verdict.FAIL, f"{host} has no {image}.", advice, unknown.subject)
    if answer.status in (401, 403) and secrets:
        named = ", ".join(secrets)
        seen = f"{host} gives {image} to nobody without a login, and that of Secret {named} is not tried."
        return Finding(CHECK, Verdict.UNKNOWN, seen, unknown.advice, unknown.subject)
    if answer.status in (401, 403):
        seen = f"{host} gives {image} to nobody without a login, or has it not: nodes may have a login."
        advice = "Name a Secret with a login in image.pullSecrets, unless the nodes bring their own."
        return Finding(CHECK, Verdict.UNKNOWN, seen, advice, unknown.subject)
    if answer.away:
        told = f"was not reached from this machine: {answer.why}"
    else:
        told = answer.why or f"answered {answer.status}"
    seen = f"{unknown.seen.rstrip('.')}, and {host} {told}."
    return Finding(CHECK, Verdict.UNKNOWN, seen, unknown.advice, unknown.subject)


def _asked(pod: JSONObject, status: JSONObject) -> str | None:
    """Return the image as the pod names it: its status has what the runtime calls it."""
    named = (item for item in _containers(pod["spec"]) if item.get("name") == status.get("name"))
    return next((item.get("image") for item in named), None)


def _statuses(pod: JSONObject) -> list[JSONObject]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _kept(node: JSONObject) -> set[str]:
    images = (node.get("status") or {}).get("images") or ()
    names = {str(name) for item in images for name in item.get("names") or ()}
    return names | {name.removeprefix("docker.io/").removeprefix("library/") for name in names}
