# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollback returns and shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...registry.entry_fields import as_json
from ..deploy.report import release_result
from .plan import RollbackPlan, Side, Way
from .rollback import Rollback


def rollback_result(going: Rollback) -> dict[str, Any]:
    """Return what module vllm_rollback documents."""
    run = going.run
    release = release_result(run)
    return {
        "ok": True,
        "line": line(going),
        "plan": plan_as_json(going.plan) if going.plan is not None else None,
        "release": release,
        "verification": run.verified,
        "entry": as_json(run.row) if run.row is not None else None,
        "steps": run.steps,
    }


def plan_as_json(plan: RollbackPlan) -> dict[str, Any]:
    """Return a plan without the values, which may hold secrets."""
    return {
        **asdict(plan),
        "before": _side(plan.before),
        "after": _side(plan.after) if plan.after is not None else None,
        "way": plan.way.value,
        "differences": list(plan.differences),
        "fetches": list(plan.fetches),
    }


def _side(side: Side) -> dict[str, Any]:
    shown = asdict(side)
    del shown["values"]
    return shown


def line(going: Rollback) -> str:
    """Say in one line how it went."""
    run, plan = going.run, going.plan
    if going.choice.to is None or plan is None or plan.after is None:
        done = "to be taken away" if run.check_mode else "taken away"
        return f"{run.target.name}: its first revision is {done}"
    revision = run.record.revision if run.record is not None else 0
    there = f"{run.target.endpoint} is what {going.choice.to} was"
    if plan.way is Way.NONE:
        return f"{run.target.endpoint} is at what {going.choice.to} was already, as revision {revision}"
    if run.check_mode:
        return f"{run.target.endpoint} would become what {going.choice.to} was ({plan.way.value})"
    seconds = round(sum(value for name, value in run.phases.items() if name != "total_s"), 1)
    completion = f", completion {run.verified['completion']['latency_s']} s" if run.verified else ""
    return f"{there}, as revision {revision}, after {seconds:g} s ({plan.way.value}{completion})"
