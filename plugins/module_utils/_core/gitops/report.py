# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module returns of an Application."""

from __future__ import annotations

from typing import Any

from ..cluster.client import JSONObject
from ..cluster.manifests import dump_manifest
from ..common.deadline import Deadline
from .application_status import Verdict
from .observed_application import ObservedApplication


def application_result(item: JSONObject | None, verdict: Verdict, deadline: Deadline) -> dict[str, Any]:
    """Return the result keys."""
    return {
        "next": verdict.next.value,
        "next_reason": verdict.reason,
        "application": _shown(item),
        "waited_s": round(deadline.elapsed(), 1),
    }


def difference(before: JSONObject | None, after: JSONObject | None, expected: str = "") -> dict[str, str]:
    """Return the difference between two looks, or to what is expected of a sync."""
    shown = _shown(after)
    if expected and shown is not None:
        shown = {**shown, "revisions": [expected], "sync": "Synced"}
    return {"before": _text(_shown(before)), "after": _text(shown)}


def _shown(item: JSONObject | None) -> dict[str, Any] | None:
    if item is None:
        return None
    found = ObservedApplication.of(item)
    return {
        "revisions": list(found.compared),
        "sync": found.sync,
        "health": found.health,
        "automated": found.automated,
    }


def _text(shown: dict[str, Any] | None) -> str:
    return dump_manifest([shown]) if shown is not None else ""
