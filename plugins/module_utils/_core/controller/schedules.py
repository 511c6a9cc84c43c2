# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When AWX starts a job by itself: arguments of ``awx.awx.schedule``. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..common.errors import invalid
from .job_templates import Settings
from .place import Place
from .verbs import VERBS

_FIELD = "controller_schedules"
_REQUIRED = ("name", "verb", "environment", "rrule")
#: What AWX demands: a begin that is no local time without a zone, and rules that say their interval.
_BEGIN = re.compile(r"^DTSTART(;TZID=[^:\s]+:\d{8}T\d{6}|:\d{8}T\d{6}Z)\s")
_RULE = re.compile(r"\sRRULE:(?=\S*FREQ=)(?=\S*INTERVAL=)(?!\S*SECONDLY)\S+")


def schedule(given: Mapping[str, Any], places: Sequence[Place], settings: Settings) -> dict[str, Any]:
    """Return the schedule of one verb in one environment."""
    missing = [name for name in _REQUIRED if not given.get(name)]
    if missing:
        raise invalid(_FIELD, dict(given), f"says no {missing[0]}", f"It needs {', '.join(_REQUIRED)}.")
    place = next((place for place in places if place.name == given["environment"]), None)
    if place is None or given["verb"] not in place.verbs:
        raise invalid(
            _FIELD,
            f"{given['verb']} in {given['environment']}",
            "is no job template",
            "Name an environment of controller_environments and one of its verbs.",
        )
    limit = str(given.get("limit") or "").strip(" ,")
    if VERBS[given["verb"]].needs_limit and not limit:
        raise invalid(
            f"{_FIELD}.limit",
            limit,
            f"names no models, and the verb {given['verb']} takes none that nobody named",
            "Give the models as the limit of a run; all says that all of them are meant.",
        )
    rule = " ".join(str(given["rrule"]).split())
    if not (_BEGIN.match(rule) and _RULE.search(rule)):
        raise invalid(
            f"{_FIELD}.rrule",
            rule,
            "is no rule that AWX takes",
            "Write it as 'DTSTART;TZID=Europe/Berlin:20260101T060000 RRULE:FREQ=DAILY;INTERVAL=1'.",
        )
    return {
        "name": str(given["name"]),
        "unified_job_template": place.titled(VERBS[given["verb"]].title),
        "organization": settings.organization,
        "rrule": rule,
        "limit": limit,
        "extra_data": dict(given.get("extra_data", {})),
        "enabled": bool(given.get("enabled", True)),
    }
