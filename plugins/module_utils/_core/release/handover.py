# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields that change hands: what Helm lets go of, and what others have put in.

Where the chart stops saying ``replicas``, and nobody else has said it yet, the API server would take the
field away with Helm's hold on it, and one pod is the default. And what others have added to a Deployment
stays there, whatever Helm applies.
"""

from __future__ import annotations

from ..cluster.apply import FIELD_MANAGER
from ..cluster.client import APIError, ClusterClient
from ..cluster.managed_fields import without_additions
from ..cluster.manifests import find_object, object_path
from ..helm.storage import HELM
from .plan import Plan

#: Who sets fields of a release: Helm, and this.
OWN_MANAGERS = (HELM, FIELD_MANAGER)
_ATTEMPTS = 5


def remove_additions(client: ClusterClient, plan: Plan) -> None:
    """Take out of the pods' template what others have put in, just before Helm applies the rest.

    Nothing else is written, so no field gets another owner by it.
    """
    path = object_path(plan.wanted.deployment, plan.wanted.spec.namespace)
    if path is None:
        return
    for attempt in range(1, _ATTEMPTS + 1):
        live = client.find(path)
        if live is None:
            return
        try:
            # Its resourceVersion goes along: whatever an autoscaler writes meanwhile stays.
            client.replace(
                path,
                without_additions(live, OWN_MANAGERS, plan.wanted.deployment),
                {"fieldManager": FIELD_MANAGER},
            )
        except APIError as error:
            if error.status != 409 or attempt == _ATTEMPTS:
                raise
        else:
            return


def gives_up_replicas(plan: Plan) -> bool:
    """Tell whether the change takes ``replicas`` out of what Helm manages."""
    record, live = plan.comparison.record, plan.comparison.live
    if record is None or live is None or "replicas" in plan.wanted.deployment["spec"]:
        return False
    before = find_object(record.objects, "Deployment")
    return before is not None and "replicas" in before["spec"]


def hold_replicas(client: ClusterClient, plan: Plan) -> None:
    """Take a hold of ``replicas`` as it is, so that it stays when Helm lets go of it."""
    wanted = plan.wanted.deployment
    path = object_path(wanted, plan.wanted.spec.namespace)
    live = client.find(path) if path is not None else None
    if path is None or live is None:
        return
    body = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": wanted["metadata"]["name"]},
        # As many as there are now: an autoscaler may have changed them since the plan was made.
        "spec": {"replicas": live["spec"].get("replicas", 1)},
    }
    client.apply(path, body, FIELD_MANAGER, force=True)
