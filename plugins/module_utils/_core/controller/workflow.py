# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workflow that promotes: gates, somebody who agrees, the promotion. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .job_templates import LABEL, Settings, Specs, verb_survey
from .place import Place
from .verbs import VERBS

#: Seconds that the workflow waits for somebody who agrees: as long as an approval of the registry holds.
_AGREE_TIMEOUT = 86400


def has_workflow(place: Place) -> bool:
    """Tell whether models are promoted to the environment."""
    return bool(place.promote_from) and "promote" in place.verbs


def workflow(place: Place, settings: Settings, specs: Specs) -> dict[str, Any]:
    """Return the arguments of ``awx.awx.workflow_job_template``."""
    return {
        "name": workflow_name(place),
        "description": "Asks the gates, waits for somebody who agrees, and promotes. Needs a limit.",
        "organization": settings.organization,
        "inventory": place.inventory,
        "ask_limit_on_launch": True,
        "survey_enabled": True,
        "survey_spec": verb_survey(VERBS["promote"], place, specs),
        "allow_simultaneous": True,
        "labels": [LABEL],
        "notification_templates_started": list(place.notify_started),
        "notification_templates_success": list(place.notify_success),
        "notification_templates_error": list(place.notify_error),
        "notification_templates_approvals": list(place.notify_approvals),
    }


def nodes(place: Place, settings: Settings) -> list[dict[str, Any]]:
    """Return the arguments of ``awx.awx.workflow_job_template_node``, with all links of each node.

    In production the registry wants an approval by somebody else. The first promotion asks for it and fails,
    so the way goes on from its failure; where it succeeds, the approval was there and nothing is left to do.
    AWX does not tell one failure from another, so whoever agrees is told to look.

    Nothing follows on a failure of the last one, which AWX would take for handled.
    """
    asks_registry = place.tier == "production"
    promote = {"unified_job_template": place.titled(VERBS["promote"].title)}
    first = "run" if asks_registry else "check"
    agree = {
        "name": place.titled("Agree to the promotion"),
        "description": (
            "The first job failed because nobody has approved the promotion yet, or for another reason: its"
            f" output says which. Approve it with {place.titled(VERBS['approve'].title)!r}, then agree here;"
            " what counts is in the registry. Deny where something else has to be mended first."
            if asks_registry
            else "See what the gates said and what would change."
        ),
        "timeout": _AGREE_TIMEOUT,
    }
    return [
        _node(place, settings, "gates", **promote, job_type=first, **{_after(asks_registry): ["agree"]}),
        _node(place, settings, "agree", approval_node=agree, success_nodes=["promote"]),
        _node(place, settings, "promote", **promote, job_type="run"),
    ]


def _after(asks_registry: bool) -> str:
    return "failure_nodes" if asks_registry else "success_nodes"


def workflow_name(place: Place) -> str:
    """Return the name of the workflow that promotes to the environment."""
    return place.titled("Promote models through gates")


def _node(place: Place, settings: Settings, identifier: str, **arguments: Any) -> dict[str, Any]:
    """Return a node. A link that is not named is taken away, so all three kinds are given."""
    links: Mapping[str, list[str]] = {"success_nodes": [], "failure_nodes": [], "always_nodes": []}
    return {
        "workflow_job_template": workflow_name(place),
        "organization": settings.organization,
        "identifier": identifier,
        **links,
        **arguments,
    }
