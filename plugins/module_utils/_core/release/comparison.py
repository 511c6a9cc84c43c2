# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release as it is wanted, beside what is there: Helm's record, the Deployment, changes by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from ..cluster.client import ClusterClient, JSONObject
from ..cluster.drift import Drift, differences, find_drift
from ..cluster.manifests import digest_objects, find_object, object_path
from ..common.errors import ErrorClass, PlatformError
from ..helm.storage import ReleaseRecord
from ..placement.scheduling import PodShape
from ..placement.volumes import mounted_by_many, read_claim
from .kept_pods import ready_pods
from .rendering import Rendered, Renderer
from .request import ReleaseRequest

#: Seconds after which a Deployment without an available pod counts as one that does not serve.
_AWAY_S = 60.0


@dataclass(frozen=True)
class Comparison:
    """What was read, as plain data. ``record`` and ``live`` are None where there is none."""

    rendered: Rendered
    record: ReleaseRecord | None = None
    live: JSONObject | None = None  #: the Deployment on the cluster
    drift: list[Drift] = field(default_factory=list)  #: looked for only where the record is as wanted
    additions: tuple[str, ...] = ()  #: what others have put into the pods' template, where that is to go
    pods_there: int = 0  #: ready pods of the wanted template, left by an update that is not through
    holds_volume_alone: bool = False  #: the pods have a volume that a second pod elsewhere could not mount

    @cached_property
    def on_record(self) -> bool:
        """Tell whether Helm's newest record is deployed, and is what would be rendered now."""
        record = self.record
        return (
            record is not None
            and record.status == "deployed"
            and (
                record.manifest.strip() == self.rendered.manifest.strip()
                or digest_objects(record.objects) == digest_objects(self.rendered.objects)
            )
        )

    @property
    def in_sync(self) -> bool:
        """Tell whether no new revision is needed."""
        return self.on_record and not (self.drift or self.additions)

    @property
    def replicas(self) -> int:
        """Number of pods that there are to be: the chart's, or the autoscaler's where the chart leaves it."""
        if "replicas" in self.rendered.deployment["spec"]:
            return self.rendered.replicas
        return max(1, self.replicas_before)

    @property
    def replicas_before(self) -> int:
        """Number of pods that the Deployment on the cluster asks for."""
        return int(self.live["spec"].get("replicas", 1)) if self.live is not None else 0

    @cached_property
    def replaces_pods(self) -> bool:
        """Tell whether the change makes new pods."""
        if self.additions:
            return True
        if self.pods_there and self.pods_there >= self.replicas:
            return False
        template = self.rendered.deployment["spec"]["template"]
        return self.live is None or changes_pods(template, self.record, self.live)

    @property
    def serves(self) -> bool:
        """Tell whether pods of the release are there that can answer."""
        return self.live is not None and not _has_been_away(self.live)


def compare(
    client: ClusterClient, renderer: Renderer, request: ReleaseRequest, record: ReleaseRecord | None
) -> Comparison:
    """Read what is there and set it beside what is wanted; the release is known to be ours."""
    rendered = renderer.render_like(record)
    live = client.find(_deployment_path(rendered.deployment, request.namespace))
    found = Comparison(rendered, record, live)
    if found.on_record:
        found = replace(found, drift=find_drift(client, rendered.objects, request.namespace))
    if found.in_sync or live is None:
        return found
    return replace(
        found,
        pods_there=_pods_there(client, rendered, request, record),
        holds_volume_alone=_holds_volume_alone(client, rendered, request.namespace),
    )


def with_additions(client: ClusterClient, found: Comparison, additions: tuple[str, ...]) -> Comparison:
    """Return a comparison in which what others have put into the pods is to go, so that pods are replaced."""
    alone = _holds_volume_alone(client, found.rendered, found.rendered.spec.namespace)
    return replace(found, additions=additions, holds_volume_alone=alone)


def _pods_there(
    client: ClusterClient, rendered: Rendered, request: ReleaseRequest, record: ReleaseRecord | None
) -> int:
    # Where Helm merges by itself, the API server cannot be asked what would come of it.
    if record is None or not record.server_side:
        return 0
    path = _deployment_path(rendered.deployment, request.namespace)
    return ready_pods(client, path, rendered.deployment, request.namespace, request.selector)


def changes_pods(template: JSONObject, record: ReleaseRecord | None, live: JSONObject) -> bool:
    """Tell whether an update to this pod template makes new pods.

    The cluster alone does not tell: there, a variable that the chart no longer sets looks like one that
    somebody else has added.
    """
    if record is None or record.status != "deployed":
        return True
    before = find_object(record.objects, "Deployment")
    if before is None or before["spec"]["template"] != template:
        return True
    return any(differences(template, live["spec"]["template"]))


def _has_been_away(deployment: JSONObject) -> bool:
    """Tell whether no pod of a Deployment has been available for a while: one failed probe says little."""
    status = deployment.get("status") or {}
    if status.get("availableReplicas"):
        return False
    for condition in status.get("conditions") or ():
        if condition["type"] == "Available" and condition["status"] != "True":
            since = datetime.fromisoformat(condition["lastTransitionTime"])
            return (datetime.now(UTC) - since).total_seconds() >= _AWAY_S
    return not deployment["spec"].get("replicas", 1)


def _holds_volume_alone(client: ClusterClient, rendered: Rendered, namespace: str) -> bool:
    shape = PodShape.from_pod_template(rendered.deployment["spec"]["template"], namespace)
    brought = {
        item["metadata"]["name"]: item for item in rendered.objects if item["kind"] == "PersistentVolumeClaim"
    }
    found = (brought.get(name) or read_claim(client, name, namespace) for name in shape.claims)
    return any(claim is not None and not mounted_by_many(claim) for claim in found)


def _deployment_path(deployment: JSONObject, namespace: str) -> str:
    path = object_path(deployment, namespace)
    if path is None:
        raise PlatformError(ErrorClass.INVALID, "The Deployment of the chart has no known API path.", "")
    return path
