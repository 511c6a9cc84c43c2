# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Application of a target on Argo CD's cluster: brought there, waited for, and taken away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..cluster.apply import FIELD_MANAGER
from ..cluster.client import APIError, ClusterClient, JSONObject
from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError, invalid
from ..release.request import ReleaseTarget
from .application import MODEL, WRITER
from .delivered import FINALIZER, as_written, takes_objects_along
from .observed_application import ObservedApplication
from .wait import ApplicationName, read_application


def check_application(item: JSONObject | None, target: ReleaseTarget, writer: str) -> None:
    """Raise ``invalid`` for an Application of that name that is somebody else's."""
    if item is None:
        return
    annotations = item["metadata"].get("annotations") or {}
    if (annotations.get(WRITER), annotations.get(MODEL)) != (writer, target.model):
        raise invalid(
            "name",
            target.name,
            f"is an Application of somebody else ({WRITER}: {annotations.get(WRITER)!r}, "
            f"model {annotations.get(MODEL)!r})",
            "Choose another name, or have its owner remove it.",
        )


def bring_application(
    client: ClusterClient,
    which: ApplicationName,
    wanted: JSONObject,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    applies: bool,
) -> None:
    """See that the Application says what Git says; raises ``timeout`` where nobody applies it."""
    backoff = Backoff(0.3, 5.0)
    shown, applied = "", False
    while True:
        item = patiently(partial(read_application, client, which), deadline, progress)
        if item is not None and ObservedApplication.of(item).going_away:
            reason = "the Application to be gone, before it comes again"
        elif item is not None and as_written(item, wanted):
            return
        elif applies and not applied:
            progress(f"{which.name}: applying its Application")
            client.apply(which.path, wanted, FIELD_MANAGER, force=True)
            applied = True
            continue
        else:
            reason = "the Application to be there" if item is None else "the Application to be as in Git"
        if deadline.expired():
            raise deadline.timeout_error(
                f"Application {which.name}",
                f"waiting for {reason}",
                "See whether Argo CD has an Application of the repository's folder, which brings it; or have "
                "it applied by this run (gitops_apply_application).",
            )
        if reason != shown:
            progress(f"{which.name}: waiting for {reason}")
            shown = reason
        deadline.pause(backoff.next())


def refuse_to_leave_objects(item: JSONObject, field: str = "gitops.cascade") -> None:
    """Raise ``invalid`` for an Application that would leave its objects on the cluster."""
    if not takes_objects_along(item):
        raise invalid(
            field,
            None,
            f"keeps the objects of {item['metadata']['name']} on the cluster when its Application goes",
            "Deploy it once with cascade=true (gitops_cascade), then remove it. Nothing was changed.",
        )


def remove_application(client: ClusterClient, which: ApplicationName) -> None:
    """Delete the Application with its objects; Argo CD does it, and the Application goes last."""
    item = client.find(which.path)
    if item is None or ObservedApplication.of(item).going_away:
        return
    try:
        if not takes_objects_along(item):
            finalizers = [*(item["metadata"].get("finalizers") or []), f"{FINALIZER}/foreground"]
            version = item["metadata"]["resourceVersion"]
            client.patch(which.path, {"metadata": {"finalizers": finalizers, "resourceVersion": version}})
        client.delete(which.path)
    except APIError as error:
        if error.status != 404:
            raise


def wait_until_gone(
    client: ClusterClient, which: ApplicationName, deadline: Deadline, progress: Callable[[str], None]
) -> None:
    """Wait until there is no such Application any more."""
    backoff = Backoff(0.3, 5.0)
    shown = ""
    while True:
        item = patiently(partial(client.find, which.path), deadline, progress)
        if item is None:
            return
        found = ObservedApplication.of(item)
        reason = (
            f"Argo CD to remove its objects{_told(found)}"
            if found.going_away
            else "Argo CD to remove the Application, which is not in Git any more"
        )
        if deadline.expired():
            raise deadline.timeout_error(
                f"Removing {which.name}",
                f"waiting for {reason}",
                "See whether the Application of the repository's folder prunes, and what keeps the objects: "
                f"kubectl -n {which.namespace} describe application {which.name}",
            )
        if reason != shown:
            progress(f"{which.name}: waiting for {reason}")
            shown = reason
        deadline.pause(backoff.next())


def _told(found: ObservedApplication) -> str:
    said = next((message for kind, message in found.conditions if kind == "DeletionError"), "")
    return f": {said[:200]}" if said else ""


def require_argo_cd(client: ClusterClient, which: ApplicationName) -> JSONObject | None:
    """Return the Application. Raises ``auth`` with the rights that are needed where they are missing."""
    try:
        return read_application(client, which)
    except APIError as error:
        if error.status != 403:
            raise
        raise PlatformError(
            ErrorClass.AUTH,
            f"The Applications in {which.namespace} cannot be read: {error.message}",
            "Give the account get, list, watch and patch of applications.argoproj.io in that namespace.",
        ) from error
