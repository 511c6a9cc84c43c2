# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether nodes can pull the images of models, by what pods and nodes say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...cluster.client import JSONObject
from ...release.rendering import server_container
from ..finding import Finding, Verdict, several
from ..site import Cluster

CHECK = "images"
_PULL_FAILED = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


def look(cluster: Cluster) -> Iterator[Finding]:
    """Look for pods that have it, or that cannot get it, and for nodes that keep it."""
    images = {server_container(model.rendered.deployment)["image"] for model in cluster.site.models}
    if not images:
        yield cluster.site.without_models(CHECK)
        return
    pods = cluster.listed("pods")
    for image in sorted(images):
        yield judge(image, pods, cluster.nodes)


def judge(image: str, pods: Sequence[JSONObject], nodes: Sequence[JSONObject]) -> Finding:
    """Judge an image; a node lists only some of those that it has."""
    short = image.rpartition("/")[2].partition("@")[0]
    states = [
        status
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if image in (status.get("image"), _asked(pod, status))
    ]
    waiting = [(status.get("state") or {}).get("waiting") or {} for status in states]
    failed = [item for item in waiting if item.get("reason") in _PULL_FAILED]
    if failed:
        why = failed[0].get("message") or failed[0]["reason"]
        seen = f"{several(len(failed), 'pod')} cannot pull {image}: {why}"
        advice = "Check the image's name, imagePullSecrets, and the nodes' way to the registry."
        return Finding(CHECK, Verdict.FAIL, seen, advice, short)
    keeping = [node for node in nodes if image in _kept(node)]
    running = sum("running" in (status.get("state") or {}) for status in states)
    if running or keeping:
        seen = f"{image}: running in {several(running, 'pod')}, listed by {several(len(keeping), 'node')}."
        return Finding(CHECK, Verdict.PASS, seen, subject=short)
    seen = f"no pod of the namespace runs {image}, and no node lists it."
    return Finding(
        CHECK, Verdict.UNKNOWN, seen, "The first deployment tells: it ends at once where it cannot.", short
    )


def _asked(pod: JSONObject, status: JSONObject) -> str | None:
    """Return the image as the pod names it: its status has what the runtime calls it."""
    containers = pod["spec"].get("containers") or ()
    return next((item.get("image") for item in containers if item.get("name") == status.get("name")), None)


def _kept(node: JSONObject) -> set[str]:
    images = (node.get("status") or {}).get("images") or ()
    names = {str(name) for item in images for name in item.get("names") or ()}
    return names | {name.removeprefix("docker.io/").removeprefix("library/") for name in names}
