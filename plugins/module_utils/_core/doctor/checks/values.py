# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the chart makes a release of what the inventory says of each model."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ...common.deadline import Deadline
from ...common.errors import PlatformError
from ...common.quantity import format_amount
from ...helm.binary import Helm
from ...release.rendering import Renderer, server_container
from ...release.request import ReleaseRequest
from ..finding import Finding, Verdict, broken, several
from ..site import Model, Site, Wanted
from ..walk import Step, guarded

CHECK = "values"
#: The first helm of a machine has to be read from its disk.
_HELM_S = 30.0
#: A helm takes a processor for a second or so, and some memory.
_AT_ONCE = 4


def look(site: Site) -> Iterator[Finding]:
    """Render every model, some at once; the checks of models look at what came of it."""
    if not site.chart:
        yield Finding(CHECK, Verdict.SKIPPED, "no chart is given.")
        return
    if not site.wanted:
        advice = "Add a host to the group models: see docs/adding-a-model.md."
        yield Finding(CHECK, Verdict.SKIPPED, "the inventory has no models.", advice)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for model, found in pool.map(partial(_look_at, site), site.wanted):
            site.models += [model] if model is not None else []
            yield from found


def _look_at(site: Site, wanted: Wanted) -> tuple[Model | None, list[Finding]]:
    """Return what comes of a model, and what is said of it; what goes wrong is about it alone."""
    made: list[Model] = []
    step = Step(CHECK, lambda: _judge(site, wanted, made), subject=wanted.host)
    found = [*guarded(step)]
    return (made[0] if made else None), found


def _judge(site: Site, wanted: Wanted, made: list[Model]) -> Iterator[Finding]:
    if wanted.error:
        advice = "Define the variable, or correct the inventory."
        yield Finding(CHECK, Verdict.FAIL, wanted.error, advice, wanted.host)
        return
    if wanted.environment not in ("", site.environment):
        seen = f"is of environment {wanted.environment}, and {site.environment} is looked at."
        advice = "Choose the hosts of one environment with --limit or doctor_hosts."
        yield Finding(CHECK, Verdict.FAIL, seen, advice, wanted.host)
        return
    if wanted.elsewhere:
        seen = f"not looked at, for it is elsewhere: {wanted.elsewhere}."
        advice = f"Look at it by itself: --limit {wanted.host}."
        yield Finding(CHECK, Verdict.UNKNOWN, seen, advice, wanted.host)
        return
    try:
        model = render(site, wanted)
        seen = describe(model)
    except PlatformError as error:
        yield broken(CHECK, error, wanted.host)
    else:
        made.append(model)
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
