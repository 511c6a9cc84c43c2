# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chart makes of a request.

Rendering is the comparison: what Helm would store now is set beside what it stored last, so no list of
options has to be kept in step with the chart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ..cluster.client import JSONObject
from ..cluster.manifests import digest_objects, find_object, parse_manifest
from ..cluster.workload import SERVER_CONTAINER
from ..common.deadline import Deadline
from ..common.digests import digest as digest_of
from ..common.errors import PlatformError, invalid
from ..helm.binary import ReleaseSpec
from ..helm.chart import chart_digest
from ..helm.storage import ReleaseRecord, short_digest
from .request import ReleaseRequest


class Template(Protocol):
    """Renders the manifests of a release, as ``Helm.template`` does."""

    def __call__(self, spec: ReleaseSpec, deadline: Deadline, /) -> str:
        """Return the manifest."""


@dataclass(frozen=True)
class Rendered:
    """A specification and the objects that the chart makes of it."""

    spec: ReleaseSpec
    manifest: str
    source: str  #: digest of chart and values, see :meth:`Renderer.source`

    @cached_property
    def objects(self) -> list[JSONObject]:
        """The manifest's objects."""
        return parse_manifest(self.manifest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, see :func:`manifest_digest`."""
        return manifest_digest(self.objects)

    @cached_property
    def deployment(self) -> JSONObject:
        """The Deployment of the model server."""
        deployment = find_object(self.objects, "Deployment")
        if deployment is None:
            raise invalid(
                "chart_path", str(self.spec.chart), "renders no Deployment", "Use the chart vllm-deployment."
            )
        return deployment

    @property
    def replicas(self) -> int:
        """Number of pods."""
        return int(self.deployment["spec"].get("replicas", 1))

    @property
    def claims(self) -> tuple[str, ...]:
        """PersistentVolumeClaims that the release brings."""
        return tuple(
            item["metadata"]["name"] for item in self.objects if item["kind"] == "PersistentVolumeClaim"
        )

    @property
    def strategy(self) -> str:
        """How pods are replaced, in the chart's words."""
        return rendered_strategy(self.deployment)


def server_container(deployment: JSONObject) -> JSONObject:
    """Return the model server's container; a chart of one's own may call it otherwise, and has it first."""
    containers: list[JSONObject] = deployment["spec"]["template"]["spec"]["containers"]
    return next((item for item in containers if item["name"] == SERVER_CONTAINER), containers[0])


def manifest_digest(objects: list[JSONObject]) -> str:
    """Return the SHA-256 that a manifest is known by: of its objects, but for how pods are replaced.

    That is chosen for each update, by the room there is, and says nothing about what serves afterwards.
    """
    return digest_objects(with_strategy(objects, None))


def with_strategy(objects: list[JSONObject], strategy: str | None) -> list[JSONObject]:
    """Return the objects with another strategy of their Deployments, in the chart's words; None for none."""
    return [_with_strategy(item, strategy) if item.get("kind") == "Deployment" else item for item in objects]


def _with_strategy(deployment: JSONObject, strategy: str | None) -> JSONObject:
    spec = {name: value for name, value in deployment["spec"].items() if name != "strategy"}
    if strategy is not None:
        spec["strategy"] = STRATEGIES[strategy]
    return {**deployment, "spec": spec}


#: As the chart writes them.
STRATEGIES: dict[str, JSONObject] = {
    "recreate": {"type": "Recreate"},
    "surge": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    "unavailable-first": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
}


def source_of(chart_digest: str, spec: ReleaseSpec) -> str:
    """Return a digest of a chart and of what it is given, short enough for a label."""
    made_of = {"chart": chart_digest, "files": [path.name for path in spec.values_files]}
    return short_digest(digest_of({**made_of, "values": json.loads(spec.stdin())}))


class Renderer:
    """Renders one request, each specification once.

    A record that says to be made of the same chart and values is taken at its word: no helm is started.
    """

    def __init__(self, template: Template, request: ReleaseRequest, deadline: Callable[[], Deadline]) -> None:
        self._template = template
        self._request = request
        self._deadline = deadline
        self._rendered: dict[str, Rendered] = {}

    @cached_property
    def chart_digest(self) -> str:
        """SHA-256 of the chart's files."""
        return chart_digest(self._request.chart)

    def require_same_chart(self) -> None:
        """Raise ``invalid`` where the chart's files were changed since they were rendered."""
        if chart_digest(self._request.chart) != self.chart_digest:
            raise invalid(
                "chart_path", str(self._request.chart), "was changed while this run waited", "Run again."
            )

    def source(self, spec: ReleaseSpec) -> str:
        """Return a digest of all that the manifest is made of: the chart's files and the values.

        It is written as a label.
        """
        return source_of(self.chart_digest, spec)

    def render(self, strategy: str | None, record: ReleaseRecord | None = None) -> Rendered:
        """Render the request with a strategy; None leaves it to the chart."""
        spec = self._request.spec(strategy)
        source = self.source(spec)
        if source not in self._rendered:
            if record is not None and record.source == source:
                manifest = record.manifest
            else:
                manifest = self._template(spec, self._deadline())
            self._rendered[source] = Rendered(spec, manifest, source)
        return self._rendered[source]

    def render_like(self, record: ReleaseRecord | None) -> Rendered:
        """Render the request with the strategy that it asks for, or else that of the last update."""
        asked = asked_strategy(self._request)
        stored = record.config.get("strategy") if record is not None else None
        try:
            return self.render(asked or stored, record)
        except PlatformError:
            if asked or stored is None:
                raise
            # What was chosen for the last update may contradict what is wanted now.
            return self.render(None)


def asked_strategy(request: ReleaseRequest) -> str | None:
    """Return the strategy that the request names, None where it is to be chosen."""
    asked = request.strategy if request.strategy != "auto" else request.values.get("strategy")
    return asked or None


def rendered_strategy(deployment: JSONObject) -> str:
    """Return the strategy that a Deployment says, in the chart's words."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return "recreate"
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    return "unavailable-first" if surge in (0, "0", "0%") else "surge"
