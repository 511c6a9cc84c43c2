# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job templates of one environment, as arguments of ``awx.awx.job_template``. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .place import Place
from .survey import survey
from .verbs import ADMINISTRATORS, APPROVERS, VERBS, Verb

#: Marks what this collection made, so that it finds what is not wanted any more.
LABEL = "llmops.platform"

#: The options of each role's entry points, by role and entry point.
Specs = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


@dataclass(frozen=True)
class Settings:
    """What all job templates have in common."""

    organization: str
    project: str
    execution_environment: str
    forks: int = 20
    lock_timeout: float = 90
    timeouts: Mapping[str, int] = field(default_factory=dict)
    started_by_alerts: tuple[str, ...] = ()


def job_templates(place: Place, settings: Settings, specs: Specs) -> Iterator[dict[str, Any]]:
    """Yield the environment's job templates, in the order of the table."""
    for name, verb in VERBS.items():
        if name in place.verbs:
            yield _job_template(name, verb, place, settings, specs)


def verb_survey(verb: Verb, place: Place, specs: Specs) -> dict[str, Any]:
    """Return what a job template asks, with the environment that is promoted from where it has one."""
    questions = [one for one in verb.questions if one.in_production or place.tier != "production"]
    asked = survey(questions, verb.options or specs[verb.role][verb.entry])
    for item in asked.get("spec", ()):
        if item["variable"] == "promotion_from" and place.promote_from:
            item["default"] = place.promote_from
    return asked


def _job_template(name: str, verb: Verb, place: Place, settings: Settings, specs: Specs) -> dict[str, Any]:
    asked = verb_survey(verb, place, specs)
    promoting = verb.reads_source
    return {
        "name": place.titled(verb.title),
        "description": verb.description,
        "organization": settings.organization,
        "project": settings.project,
        "playbook": verb.playbook,
        "inventory": place.inventory,
        "execution_environment": settings.execution_environment,
        "credentials": _credentials(verb, place),
        "instance_groups": list(place.instance_groups),
        "labels": [LABEL],
        "job_type": "run",
        "job_tags": verb.tags,
        "extra_vars": {
            **verb.variables,
            **({"vllm_lock_timeout": settings.lock_timeout} if verb.takes_lock else {}),
        },
        "survey_enabled": bool(asked),
        "survey_spec": asked,
        "timeout": settings.timeouts.get(name, verb.timeout),
        "forks": settings.forks,
        "verbosity": 0,
        # Slices of one run are runs of their own, which would each report on their models alone.
        "job_slice_count": 1,
        "allow_simultaneous": verb.for_models,
        "ask_limit_on_launch": verb.for_models,
        # So that everything can be started as a check, and a workflow can ask the gates first.
        "ask_job_type_on_launch": True,
        "ask_diff_mode_on_launch": True,
        # Whoever may give any variable may give the addresses to which the credentials go.
        "ask_variables_on_launch": name in settings.started_by_alerts,
        "diff_mode": promoting,
        "notification_templates_started": list(place.notify_started),
        "notification_templates_success": list(place.notify_success),
        "notification_templates_error": list(place.notify_error),
    }


def _credentials(verb: Verb, place: Place) -> list[str]:
    """Return the credentials of the administrator or the approver in place of the others, if any."""
    own: Sequence[str] = ()
    if verb.audience == APPROVERS:
        own = place.approver_credentials
    elif verb.audience == ADMINISTRATORS and not verb.for_models:
        own = place.administrator_credentials
    found = list(own or place.credentials)
    return found + [name for name in place.source_credentials if verb.reads_source and name not in found]
