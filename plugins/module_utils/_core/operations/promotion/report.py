# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a promotion and its gates return and show."""

from __future__ import annotations

from typing import Any

from ...registry.entry_fields import as_json
from ..deploy.report import release_result
from .gates.gate import closed
from .promotion import Promotion


def gates_result(going: Promotion) -> dict[str, Any]:
    """Return what module vllm_gate_info documents."""
    stopped = [gate.name for gate in closed(going.asked)]
    return {
        "open": not stopped,
        "there": not going.asked,
        "closed": stopped,
        **_considered(going),
    }


def promotion_result(going: Promotion) -> dict[str, Any]:
    """Return what module vllm_promotion documents."""
    run = going.run
    release = release_result(run)
    watched = going.watched
    return {
        "ok": True,
        "line": line(going),
        **_considered(going),
        "watch": [gate.as_json() for gate in watched] if watched is not None else None,
        "release": release,
        "verification": run.verified,
        "entry": as_json(run.row) if run.row is not None else None,
        "steps": run.steps,
    }


def _considered(going: Promotion) -> dict[str, Any]:
    manifest = going.source.manifest
    return {
        "gates": [gate.as_json() for gate in going.asked],
        "gate_set_digest": going.gates.digest,
        "source": {
            "environment": going.source.environment,
            "revision": manifest.revision,
            "manifest_digest": manifest.digest,
            "chart_version": manifest.chart_version,
            "chart_digest": manifest.chart_digest,
            "image": manifest.image,
            "image_digest": manifest.image_digest,
            "model_revision": manifest.model_revision,
        },
        "differences": list(going.carried.differences),
        "contradictions": list(going.carried.contradictions),
    }


def line(going: Promotion) -> str:
    """Say in one line how it went."""
    run, source = going.run, going.source
    proved = f"what {source.environment} proved ({source.manifest})"
    revision = run.record.revision if run.record is not None else 0
    if run.check_mode and going.asked:
        return f"{run.target.endpoint} would become {proved}; {_gates(going)}"
    if not going.asked and going.watched is None:
        return f"{run.target.endpoint} is {proved} already, as revision {revision}"
    seconds = round(sum(value for name, value in run.phases.items() if name != "total_s"), 1)
    details = [_gates(going)] if going.asked else []
    if run.verified is not None:
        details.append(f"completion {run.verified['completion']['latency_s']} s")
    if going.watched is not None:
        details.append(f"watched {going.watch.period_s:g} s")
    told = f"as revision {revision}, after {seconds:g} s ({', '.join(details)})"
    return f"{run.target.endpoint} is {proved}, {told}"


def _gates(going: Promotion) -> str:
    skipped = [gate.name for gate in going.asked if gate.overridden is not None]
    told = f"{len(going.asked) - len(skipped)} gates passed"
    return f"{told}, overridden: {', '.join(skipped)}" if skipped else told
