# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release needs next, decided from what is observed: nothing, an install, or an upgrade and how.

Rendering is the comparison: what Helm would store now against what it stored last. So no list of options
has to be kept in step with the chart, and the same input never makes a new revision.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..cluster.client import ClusterClient, JSONObject
from ..cluster.manifests import differences, digest, find_drift, find_object, object_path, parse_manifest
from ..cluster.namespaces import require_namespace
from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.names import (
    ENVIRONMENTS,
    check_model,
    check_namespace,
    check_release_name,
    endpoint_url,
    release_name,
    slug,
)
from ..helm.binary import Helm, ReleaseSpec
from ..helm.chart import chart_metadata
from ..helm.storage import ReleaseRecord
from ..placement.capacity import Verdict, assess
from ..placement.scheduling import PodShape
from ..placement.volumes import mounted_by_many, read_claim

CHART = "vllm-deployment"
#: Seconds after which a Deployment without an available pod counts as one that does not serve.
_AWAY_S = 60.0


def server_labels(name: str) -> dict[str, str]:
    """Return the labels of a release's model servers, which the pod of ``helm test`` has not."""
    return {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": name}


def selector(name: str) -> str:
    """Return the label selector of a release's model servers."""
    return ",".join(f"{key}={value}" for key, value in server_labels(name).items())


@dataclass(frozen=True)
class ReleaseRequest:
    """What is wanted, checked: names are valid and the chart is there."""

    model: str
    environment: str
    namespace: str
    chart: Path
    chart_name: str
    chart_version: str
    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "auto"
    create_namespace: bool = False

    @classmethod
    def build(
        cls,
        *,
        model: str,
        environment: str,
        namespace: str,
        chart: str,
        name: str | None = None,
        values: Mapping[str, Any] | None = None,
        strategy: str = "auto",
        create_namespace: bool = False,
    ) -> ReleaseRequest:
        """Check the input; raises ``invalid`` errors that name field and value."""
        check_model(model)
        if environment not in ENVIRONMENTS:
            raise invalid(
                "environment", environment, "is not known", f"Use one of {', '.join(ENVIRONMENTS)}."
            )
        _check_values(values or {}, model, environment)
        chart_path = Path(chart).expanduser()
        chart_name, chart_version = chart_metadata(chart_path)
        return cls(
            model=model,
            environment=environment,
            namespace=check_namespace(namespace),
            chart=chart_path,
            chart_name=chart_name,
            chart_version=chart_version,
            name=check_release_name(name or release_name(model, environment)),
            values=values or {},
            strategy=strategy,
            create_namespace=create_namespace,
        )

    @property
    def selector(self) -> str:
        """Label selector of the release's model servers."""
        return selector(self.name)

    @property
    def services(self) -> tuple[str, ...]:
        """The chart's Service has the release's name."""
        return (self.name,)

    @property
    def endpoint(self) -> str:
        """URL of the model server inside the cluster."""
        return endpoint_url(self.name, self.namespace)

    def spec(self, strategy: str | None) -> ReleaseSpec:
        """Return the Helm specification: chart defaults < environment's file < ``values`` < identity."""
        environment_values = self.chart / f"values-{self.environment}.yaml"
        values = dict(self.values)
        values["model"] = {**(values.get("model") or {}), "name": self.model}
        values["environment"] = self.environment
        values["slug"] = slug(self.model)
        if strategy is not None:
            values["strategy"] = strategy
        return ReleaseSpec(
            name=self.name,
            namespace=self.namespace,
            chart=self.chart,
            values_files=(environment_values,) if environment_values.is_file() else (),
            values=values,
            create_namespace=self.create_namespace,
        )


@dataclass(frozen=True)
class Plan:
    """The next step for a release, and everything it was decided from."""

    action: str  #: none, install or upgrade
    spec: ReleaseSpec
    manifest: str
    deployment: JSONObject
    record: ReleaseRecord | None
    live: JSONObject | None
    replaces_pods: bool = False
    drift: list[str] = field(default_factory=list)
    verdict: Verdict | None = None  #: what the capacity check said, where pods are to be made
    releasing: Mapping[str, str] | None = None
    replicas_needed: int = 0
    claims: tuple[str, ...] = ()  #: PersistentVolumeClaims that the release brings

    def assess(self, client: ClusterClient) -> Verdict:
        """Look again whether the pods that this step makes would fit."""
        return assess(
            client,
            self.shape,
            self.replicas_needed,
            self.spec.namespace,
            releasing=self.releasing,
            planned_claims=self.claims,
        )

    @property
    def strategy(self) -> str:
        """How pods are replaced, in the chart's words."""
        return rendered_strategy(self.deployment)

    @property
    def changed(self) -> bool:
        """Tell whether a new Helm revision is needed."""
        return self.action != "none"

    @property
    def digest(self) -> str:
        """SHA-256 of the rendered manifest."""
        return digest(self.manifest)

    @property
    def shape(self) -> PodShape:
        """What one pod of the release asks of a node."""
        return PodShape.from_pod_template(self.deployment["spec"]["template"], self.spec.namespace)

    @property
    def turns(self) -> int:
        """How many pods start one after the other, each when the one before is ready.

        Where nothing is to be changed, that is about a rollout that an earlier run began.
        """
        at_once = self.live is None or self.strategy == "recreate"
        if at_once or (self.changed and not self.replaces_pods):
            return 1
        return max(1, int(self.deployment["spec"].get("replicas", 1)))

    @property
    def serves(self) -> bool:
        """Tell whether pods of the release are there that can answer."""
        return self.live is not None and not _has_been_away(self.live)

    @property
    def interrupts(self) -> bool:
        """Tell whether the model is away while this step runs."""
        if self.changed and not self.serves:
            return True
        if not self.replaces_pods or self.live is None:
            return False
        several = int(self.live["spec"].get("replicas", 1)) > 1
        return self.strategy == "recreate" or (self.strategy == "unavailable-first" and not several)


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


def _check_values(values: Mapping[str, Any], request_model: str, environment: str) -> None:
    advice = "Write it as the chart's README shows."
    model = values.get("model")
    if model is not None and not isinstance(model, Mapping):
        raise invalid("chart_values.model", model, "is not a mapping", advice)
    for name, value, wanted in (
        ("model.name", (model or {}).get("name"), request_model),
        ("environment", values.get("environment"), environment),
        ("slug", values.get("slug"), slug(request_model)),
    ):
        if value not in (None, "", wanted):
            raise invalid(
                f"chart_values.{name}", value, f"is not {wanted!r}", "Leave it out: it is set here."
            )
    for path, value in _leaves(values, "chart_values"):
        # A date, a set or NaN is written in YAML with ease, and is no JSON.
        if not isinstance(value, str | bool | int | None) and not _is_number(value):
            raise invalid(path, value, "cannot be handed to Helm, which takes JSON", advice)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what values are made of, each with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{path}.{key}", key
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def check_owner(record: ReleaseRecord | None, name: str, model: str, chart_name: str = CHART) -> None:
    """Refuse to touch a release of that name which belongs to another chart or another model."""
    if record is None:
        return
    advice = "Choose another name or namespace, or uninstall that release first."
    if record.chart_name != chart_name:
        raise invalid("name", name, f"is a release of another chart, {record.chart_name}", advice)
    values = record.config.get("model")
    other = values.get("name") if isinstance(values, Mapping) else None
    if other not in (None, model):
        raise invalid("name", name, f"is the release of another model, {other!r}", advice)


def make_plan(
    client: ClusterClient,
    helm: Helm,
    request: ReleaseRequest,
    record: ReleaseRecord | None,
    deadline: Deadline,
    *,
    check_capacity: bool = True,
) -> Plan:
    """Compare what is wanted with what is there. Reads only."""
    check_owner(record, request.name, request.model, request.chart_name)
    stored_strategy = record.config.get("strategy") if record is not None else None
    asked = request.strategy if request.strategy != "auto" else request.values.get("strategy")
    spec = request.spec(asked or stored_strategy)
    if record is None:
        helm.check_version()
    try:
        manifest = helm.template(spec, deadline)
    except PlatformError:
        if asked or stored_strategy is None:
            raise
        # What was chosen for the last update may contradict what is wanted now.
        spec = request.spec(None)
        manifest = helm.template(spec, deadline)
    objects = parse_manifest(manifest)
    deployment = _deployment(objects, request)
    live = client.find(_deployment_path(deployment, request.namespace))
    drift: list[str] = []
    if record is not None and record.status == "deployed" and _same(record.manifest, manifest):
        drift = find_drift(client, objects, request.namespace)
        if not drift:
            return Plan("none", spec, manifest, deployment, record, live)
    helm.check_version()
    require_namespace(client, request.namespace, create=request.create_namespace)
    new_template = deployment["spec"]["template"]
    replaces = live is None or _changes_pods(new_template, record, live)
    wanted = int(deployment["spec"].get("replicas", 1))
    running = int(live["spec"].get("replicas", 1)) if live is not None else 0
    shape = PodShape.from_pod_template(new_template, request.namespace)
    needs_pods = replaces or wanted > running
    claims = tuple(item["metadata"]["name"] for item in objects if item["kind"] == "PersistentVolumeClaim")
    strategy, needed, releasing, verdict = rendered_strategy(deployment), wanted, None, None
    if needs_pods and wanted and live is None:
        if check_capacity:
            verdict = assess(client, shape, wanted, request.namespace, planned_claims=claims)
    elif needs_pods and wanted and live is not None:
        if asked is None and _holds_volume_alone(client, shape, objects):
            asked = "recreate"
        # Where nobody looks for a free slot, none is counted on.
        strategy = asked or "unavailable-first"
        if check_capacity:
            strategy, needed, releasing, verdict = _choose_strategy(
                client,
                request,
                shape,
                wanted=wanted,
                surge_needs=_surge_needs(shape, live, wanted, replaces=replaces),
                asked=asked,
                claims=claims,
            )
    if strategy != rendered_strategy(deployment):
        spec = request.spec(strategy)
        manifest = helm.template(spec, deadline)
        deployment = _deployment(parse_manifest(manifest), request)
    return Plan(
        action="install" if record is None else "upgrade",
        spec=spec,
        manifest=manifest,
        deployment=deployment,
        record=record,
        live=live,
        replaces_pods=replaces,
        drift=drift,
        verdict=verdict,
        releasing=releasing,
        replicas_needed=needed,
        claims=claims,
    )


def _changes_pods(template: JSONObject, record: ReleaseRecord | None, live: JSONObject) -> bool:
    """Tell whether the update makes new pods.

    The cluster alone does not tell: there, a variable that the chart no longer sets looks like one that
    somebody else has added.
    """
    if record is None or record.status != "deployed":
        return True
    before = find_object(parse_manifest(record.manifest), "Deployment")
    if before is None or before["spec"]["template"] != template:
        return True
    return any(differences(template, live["spec"]["template"]))


def _choose_strategy(
    client: ClusterClient,
    request: ReleaseRequest,
    shape: PodShape,
    *,
    wanted: int,
    surge_needs: int,
    asked: str | None,
    claims: Collection[str],
) -> tuple[str, int, Mapping[str, str] | None, Verdict]:
    """Pick how pods are replaced, so that an update never waits for a GPU that the update itself holds.

    With free slots a new pod starts first (surge). Without them, an old pod must go first.
    """
    if asked in (None, "surge"):
        verdict = assess(client, shape, surge_needs, request.namespace, planned_claims=claims)
        if verdict.fits or asked == "surge":
            return "surge", surge_needs, None, verdict
    own = server_labels(request.name)
    verdict = assess(client, shape, wanted, request.namespace, releasing=own, planned_claims=claims)
    return asked or "unavailable-first", wanted, own, verdict


def _surge_needs(shape: PodShape, live: JSONObject, wanted: int, *, replaces: bool) -> int:
    """Return how many slots must be free besides those of the old pods, so that a surge comes to its end."""
    added = max(0, wanted - int(live["spec"].get("replicas", 1)))
    if not replaces:
        return added
    # One slot goes round only where each new pod fits where an old one was.
    return min(wanted, added + 1) if _old_places_fit(shape, live) else wanted


def _old_places_fit(shape: PodShape, live: JSONObject) -> bool:
    """Tell whether a new pod can take the place of any old one."""
    wanted, status = int(live["spec"].get("replicas", 1)), live.get("status") or {}
    if not status.get("replicas", 0) == status.get("updatedReplicas", 0) == wanted:
        # An earlier update is not through, so the Deployment does not tell what its pods are like.
        return False
    template = live["spec"]["template"]
    old = PodShape.from_pod_template(template, shape.namespace)
    return (
        all(amount <= old.requests.get(name, 0) for name, amount in shape.requests.items())
        and all(getattr(shape, rule) == getattr(old, rule) for rule in _PLACEMENT)
        and shape.template["spec"].get("runtimeClassName") == template["spec"].get("runtimeClassName")
    )


_PLACEMENT = (
    "node_selector",
    "node_affinity",
    "node_name",
    "tolerations",
    "host_ports",
    "affinity_terms",
    "anti_affinity_terms",
    "spread",
    "claims",
    "priority_class",
)


def rendered_strategy(deployment: JSONObject) -> str:
    """Return the strategy that a Deployment says, in the chart's words."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return "recreate"
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    return "unavailable-first" if surge in (0, "0", "0%") else "surge"


def _holds_volume_alone(client: ClusterClient, shape: PodShape, objects: list[JSONObject]) -> bool:
    """Tell whether the pods have a volume that a second pod on another node could not mount."""
    brought = {item["metadata"]["name"]: item for item in objects if item["kind"] == "PersistentVolumeClaim"}
    found = (brought.get(name) or read_claim(client, name, shape.namespace) for name in shape.claims)
    return any(claim is not None and not mounted_by_many(claim) for claim in found)


def _same(stored: str, rendered: str) -> bool:
    return stored.strip() == rendered.strip() or digest(stored) == digest(rendered)


def _deployment(objects: list[JSONObject], request: ReleaseRequest) -> JSONObject:
    deployment = find_object(objects, "Deployment")
    if deployment is None:
        raise invalid(
            "chart_path", str(request.chart), "renders no Deployment", "Use the chart vllm-deployment."
        )
    return deployment


def _deployment_path(deployment: JSONObject, namespace: str) -> str:
    path = object_path(deployment, namespace)
    if path is None:
        raise PlatformError(ErrorClass.INVALID, "The Deployment of the chart has no known API path.", "")
    return path
