# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run returns and shows."""

from __future__ import annotations

from typing import Any

from ...registry.entry_fields import as_json, shown
from ...release.result import difference
from .publication import facts
from .run import Run

_WORDS = {"none": "unchanged", "install": "installed", "upgrade": "upgraded"}


def release_result(run: Run) -> dict[str, Any]:
    """Return what module vllm_release documents."""
    run.phases["total_s"] = round(sum(run.phases.values()), 3)
    if run.wanted.present:
        return {**facts(run), "timings": run.phases}
    return {
        "name": run.target.name,
        "namespace": run.target.namespace,
        "environment": run.target.environment,
        "model": run.target.model,
        "action": "uninstall" if run.had_release else "none",
    }


def release_difference(run: Run) -> dict[str, Any]:
    """Return the difference of the release."""
    if run.wanted.present:
        return difference(run.request, run.planned())
    return {"before": f"{run.target.name}: deployed\n" if run.had_release else "", "after": ""}


def row_difference(run: Run) -> dict[str, Any]:
    """Return the difference of the registry's row."""
    header = f"registry entry {run.target.model} in {run.target.environment}"
    change = run.published.change if run.published is not None else None
    return {
        "before_header": header,
        "after_header": header,
        "before": shown(run.row_before),
        "after": shown(change.after if change is not None else None),
    }


def deployment_result(run: Run) -> dict[str, Any]:
    """Return what module vllm_deployment documents."""
    release = release_result(run)
    return {
        "ok": True,
        "line": _line(run, release),
        "release": release,
        "verification": run.verified,
        "entry": as_json(run.row) if run.row is not None else None,
        "steps": run.steps,
    }


def _line(run: Run, release: dict[str, Any]) -> str:
    """Say in one line how it went."""
    if not run.wanted.present:
        done = "to be removed" if run.check_mode else "removed"
        if run.had_release or not run.changed:
            return f"{release['name']} {done if run.had_release else 'was not there'}"
        return f"{release['name']} was not there, its row is {done}"
    word = _WORDS[release["action"]]
    if run.check_mode and release["action"] != "none":
        word = f"to be {word}"
    spent = ", ".join(
        f"{name} {run.phases.get(phase, 0)} s"
        for name, phase in (
            ("preflight", "plan_s"),
            ("capacity", "capacity_s"),
            (run.delivery.name, "helm_s"),
            ("rollout", "rollout_s"),
        )
    )
    completion = "not asked for"
    if run.verified is not None:
        completion = f"{run.verified['completion']['latency_s']} s"
    return f"{release['endpoint']} revision {release['revision']} {word}; {spent}, completion {completion}"
