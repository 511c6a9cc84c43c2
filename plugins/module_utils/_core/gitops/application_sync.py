# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two requests that Argo CD's controller takes from an Application: to look at Git, and to sync."""

from __future__ import annotations

from ..cluster.client import JSONObject
from .observed_application import REFRESH


def refresh_patch() -> JSONObject:
    """Return the patch that has the controller resolve the revision anew and render without its cache."""
    return {"metadata": {"annotations": {REFRESH: "hard"}}}


def sync_patch(item: JSONObject, *, prune: bool, actor: str) -> JSONObject:
    """Return the patch that starts a sync to what was compared, only if nobody wrote meanwhile.

    As Argo CD's own server does it: with the options of the Application's policy, and without the state of
    the last operation, which its controller would take for the state of this one.
    """
    spec, compared = item.get("spec") or {}, (item.get("status") or {}).get("sync") or {}
    policy = spec.get("syncPolicy") or {}
    sync: JSONObject = {"prune": prune}
    # Those of several sources go by their places in the list.
    for name in ("revision", "revisions"):
        if compared.get(name):
            sync[name] = compared[name]
    if policy.get("syncOptions"):
        sync["syncOptions"] = policy["syncOptions"]
    operation: JSONObject = {"sync": sync, "initiatedBy": {"username": actor}}
    if policy.get("retry"):
        operation["retry"] = policy["retry"]
    return {
        "metadata": {"resourceVersion": item["metadata"]["resourceVersion"]},
        "operation": operation,
        "status": {"operationState": None},
    }
