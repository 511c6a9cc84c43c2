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
from ..cluster.client import ClusterClient
from ..cluster.manifests import find_object, object_path
from ..helm.storage import HELM
from .plan import Plan

#: Who sets fields of a release: Helm, and this.
OWN_MANAGERS = (HELM, FIELD_MANAGER)
_OF_THE_VERSION = ("managedFields", "resourceVersion")


def remove_additions(client: ClusterClient, plan: Plan) -> None:
    """Make the Deployment what is wanted and nothing beside it, just before Helm applies the same.

    Its labels and annotations, and a number of pods that the chart does not say, stay as they are.
    """
    wanted, live = plan.wanted.deployment, plan.comparison.live
    path = object_path(wanted, plan.wanted.spec.namespace)
    if path is None or live is None:
        return
    spec = dict(wanted["spec"])
    spec.setdefault("replicas", plan.comparison.replicas_before)
    # Whatever controllers write meanwhile, there is no other reason to fail.
    kept = {name: value for name, value in live["metadata"].items() if name not in _OF_THE_VERSION}
    client.replace(path, {**wanted, "metadata": kept, "spec": spec}, {"fieldManager": FIELD_MANAGER})


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
    if path is None:
        return
    body = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": wanted["metadata"]["name"]},
        "spec": {"replicas": plan.comparison.replicas_before},
    }
    client.apply(path, body, FIELD_MANAGER, force=True)
