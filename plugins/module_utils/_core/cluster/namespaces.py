# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a namespace can take objects, found out before anything is written."""

from __future__ import annotations

from ..common.errors import ErrorClass, PlatformError, invalid
from .client import APIError, ClusterClient, JSONObject, segment


def require_namespace(client: ClusterClient, namespace: str, *, create: bool) -> None:
    """Raise ``invalid`` for a namespace that is not there, and ``locked`` for one that is going away.

    ``create`` tells that a missing one will be created. Who may not read namespaces is not stopped by that.
    """
    try:
        found = client.find(f"/api/v1/namespaces/{segment(namespace)}")
    except APIError as error:
        if error.status == 403:
            return
        raise
    if found is None:
        if not create:
            raise invalid(
                "namespace",
                namespace,
                "does not exist",
                "Create it first, or set create_namespace (vllm_create_namespace).",
            )
    elif (found.get("status") or {}).get("phase") == "Terminating":
        raise PlatformError(
            ErrorClass.LOCKED,
            f"namespace: {namespace!r} is being deleted{_blockers(found)}.",
            "Wait until it is gone, or choose another namespace; finalizers are for their owners to remove.",
            {"field": "namespace"},
        )


def _blockers(namespace: JSONObject) -> str:
    """Say what still keeps a namespace from going, as the namespace controller tells it."""
    conditions = namespace["status"].get("conditions") or []
    told = [
        str(item.get("message", "")).rstrip(".")
        for item in conditions
        if item.get("status") == "True" and item.get("message")
    ]
    return f": {'; '.join(told)}" if told else ""
