# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Uninstall a release and see its pods go."""

from __future__ import annotations

from ..cluster.client import ClusterClient, segment
from ..common.deadline import Backoff, Deadline
from .request import selector
from .tools import Tools, Waits


def uninstall(tools: Tools, name: str, namespace: str, waits: Waits) -> None:
    """Uninstall the release and wait until its pods are gone. Raises ``timeout`` with those that are left."""
    deadline = waits.total.share(waits.removal_s)
    with tools.permit.step("helm uninstall"):
        tools.progress(f"{name}: helm uninstall")
        tools.helm.uninstall(name, namespace, deadline.share(waits.helm_s))
        wait_for_pods_to_end(tools.client, name, namespace, deadline)


def wait_for_pods_to_end(client: ClusterClient, name: str, namespace: str, deadline: Deadline) -> None:
    """Wait until the pods of a release are gone. Raises ``timeout`` with those that are left."""
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
