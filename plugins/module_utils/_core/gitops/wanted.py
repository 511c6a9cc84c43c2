# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be in Git for a target: its names, the values that Helm is given, and the chart they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.errors import invalid
from ..common.names import tier_of
from ..helm.chart import chart_files, digest_of_files
from ..release.recorded import Recorded
from ..release.rendering import asked_strategy
from ..release.request import ReleaseRequest, ReleaseTarget
from .plain_secrets import refuse_secrets


@dataclass(frozen=True)
class Chart:
    """A chart by what it is. ``files`` is None where the repository has to have it already."""

    name: str
    version: str
    digest: str
    files: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class Wanted:
    """A target as it is to be, without a secret."""

    target: ReleaseTarget
    tier: str
    values: Mapping[str, Any]
    chart: Chart

    @property
    def autoscaled(self) -> bool:
        """Tell whether the number of pods is left to an autoscaler."""
        return self.values.get("replicas", 1) is None


def wanted_by(request: ReleaseRequest) -> Wanted:
    """Return what a request asks for: the values that ``vllm_release`` gives to Helm.

    How pods are replaced cannot be chosen from the room that there is, since nobody looks when Argo CD
    applies it. Where the request says ``auto``, the chart decides.
    """
    spec = request.spec(asked_strategy(request))
    refuse_secrets(spec.values)
    files = chart_files(request.chart)
    chart = Chart(request.chart_name, request.chart_version, digest_of_files(files), files)
    return Wanted(request, request.tier, spec.values, chart)


def wanted_again(recorded: Recorded, target: ReleaseTarget) -> Wanted:
    """Return what a recorded revision was, for the chart that the repository kept. Raises ``invalid``."""
    values, revision = recorded.values, f"revision {recorded.revision}"
    if recorded.values_redacted:
        raise invalid(
            "to",
            revision,
            "was made with secrets in plain text, which are not on record",
            "Deploy it from its values, with secrets as references to Secrets.",
        )
    model = values.get("model")
    named = model.get("name") if isinstance(model, Mapping) else None
    if (named, values.get("environment")) != (target.model, target.environment):
        raise invalid(
            "to", revision, "was not recorded for this model and environment", "Name another revision."
        )
    refuse_secrets(values, "values")
    chart = Chart(recorded.chart_name, recorded.chart_version, recorded.chart_digest)
    return Wanted(target, tier_of(target.environment, values.get("tier")), values, chart)
