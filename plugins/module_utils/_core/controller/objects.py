# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything in AWX that follows from the environments, as arguments of ``awx.awx``'s modules. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..common.errors import invalid
from .job_templates import Settings, Specs, job_templates
from .place import Place
from .schedules import schedule
from .verbs import VERBS
from .workflow import has_workflow, nodes, workflow, workflow_name


def objects(
    environments: Iterable[Mapping[str, Any]],
    schedules: Iterable[Mapping[str, Any]],
    settings: Settings,
    specs: Specs,
) -> dict[str, list[dict[str, Any]]]:
    """Return the objects by what they are, each in the order in which they can be made."""
    places = [Place.build(given) for given in environments]
    if not places:
        # Everything that is there would be taken away.
        raise invalid("controller_environments", "", "names no environment", "Name at least one.")
    twice = [name for name, count in Counter(place.name for place in places).items() if count > 1]
    if twice:
        raise invalid("controller_environments", twice[0], "is there twice", "Give each its own name.")
    unknown = [verb for verb in (*settings.timeouts, *settings.started_by_alerts) if verb not in VERBS]
    if unknown:
        raise invalid("controller", unknown[0], "is no verb", f"Choose of {', '.join(VERBS)}.")
    promoted = [place for place in places if has_workflow(place)]
    return {
        "inventories": [_inventory(place, settings) for place in places],
        "inventory_sources": [_source(place, settings) for place in places],
        "job_templates": [item for place in places for item in job_templates(place, settings, specs)],
        "workflows": [workflow(place, settings, specs) for place in promoted],
        "nodes": [node for place in promoted for node in nodes(place, settings)],
        "teams": _teams(places, settings),
        "roles": [role for place in places for role in _roles(place, settings)],
        "schedules": [schedule(given, places, settings) for given in schedules],
    }


def _inventory(place: Place, settings: Settings) -> dict[str, Any]:
    return {
        "name": place.inventory,
        "description": f"Models of the environment {place.name}. Comes from the project.",
        "organization": settings.organization,
    }


def _source(place: Place, settings: Settings) -> dict[str, Any]:
    # By an empty name the module would look for one of all that there are.
    named = {
        "credential": place.inventory_credential,
        "execution_environment": settings.execution_environment,
    }
    return {
        "name": place.titled("Site"),
        "inventory": place.inventory,
        "organization": settings.organization,
        "source": "scm",
        "source_project": settings.project,
        "source_path": place.source_path,
        **{option: name for option, name in named.items() if name},
        # A model that left the project leaves the inventory.
        "overwrite": True,
        "overwrite_vars": True,
        "update_on_launch": True,
        "update_cache_timeout": 60,
    }


def _teams(places: Sequence[Place], settings: Settings) -> list[dict[str, Any]]:
    named = [name for place in places for name in (*place.operators, *place.approvers, *place.administrators)]
    return [{"name": name, "organization": settings.organization} for name in dict.fromkeys(named)]


def _roles(place: Place, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield who may start what. Nobody who works with models may approve by that alone."""
    common = {"lookup_organization": settings.organization}
    for audience in ("operators", "approvers", "administrators"):
        teams = list(getattr(place, audience))
        titles = [
            place.titled(verb.title)
            for name, verb in VERBS.items()
            if verb.audience == audience and name in place.verbs
        ]
        if teams and titles:
            yield {**common, "role": "execute", "teams": teams, "job_templates": titles}
    if has_workflow(place):
        flow = [workflow_name(place)]
        if place.operators:
            yield {**common, "role": "execute", "teams": list(place.operators), "workflows": flow}
        if place.approvers:
            yield {**common, "role": "approval", "teams": list(place.approvers), "workflows": flow}
