# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the chart makes a release of what the inventory says of each model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ...common.deadline import Deadline
from ...common.errors import PlatformError
from ...common.quantity import format_amount
from ...helm.binary import Helm
from ...release.rendering import Renderer, server_container
from ...release.request import ReleaseRequest
from ..finding import Finding, Verdict, broken, several
from ..site import Model, Site, Wanted

CHECK = "values"
#: The first helm of a machine has to be read from its disk.
_HELM_S = 30.0


def look(site: Site) -> Iterator[Finding]:
    """Render every model; the checks of models look at what came of it."""
    if not site.chart:
        yield Finding(CHECK, Verdict.SKIPPED, "no chart is given.")
        return
    if not site.wanted:
        advice = "Add a host to the group models: see docs/adding-a-model.md."
        yield Finding(CHECK, Verdict.SKIPPED, "the inventory has no models.", advice)
        return
    for wanted in site.wanted:
        if wanted.error:
            advice = "Define the variable, or correct the inventory."
            yield Finding(CHECK, Verdict.FAIL, wanted.error, advice, wanted.host)
            continue
        if wanted.environment not in ("", site.environment):
            seen = f"is of environment {wanted.environment}, and {site.environment} is looked at."
            advice = "Choose the hosts of one environment with --limit or doctor_hosts."
            yield Finding(CHECK, Verdict.FAIL, seen, advice, wanted.host)
            continue
        try:
            model = render(site, wanted)
            seen = describe(model)
        except PlatformError as error:
            yield broken(CHECK, error, wanted.host)
        else:
            site.models.append(model)
            yield Finding(CHECK, Verdict.PASS, seen, subject=wanted.host)


def render(site: Site, wanted: Wanted) -> Model:
    """Return what the chart makes of a model."""
    request = ReleaseRequest.build(
        model=wanted.model,
        environment=site.environment,
        namespace=site.namespace,
        chart=site.chart,
        values=wanted.values,
        tier=site.tier,
    )
    helm = Helm(site.helm_binary, site.identity)
    return Model(wanted.host, Renderer(helm.template, request, partial(Deadline, _HELM_S)).render(None))


def describe(model: Model) -> str:
    """Return what a model asks for."""
    shape = model.shape
    resource = shape.device_resource()
    devices = (
        f", each with {format_amount(resource, shape.requests[resource])} {resource}"
        if resource
        else ", without a GPU"
    )
    image = server_container(model.rendered.deployment)["image"]
    return f"{several(model.rendered.replicas, 'replica')} of {image}{devices}."
