# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of a release returns and shows: facts, differences, warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..cluster.manifests import dump_manifest, parse_manifest
from ..common.digests import digest
from ..common.redaction import redact
from .plan import Plan
from .rendering import server_container
from .request import ReleaseRequest


def describe(plan: Plan) -> str:
    """Say in one line what the plan is."""
    if not plan.changed:
        return "is as it should be"
    why = ""
    if plan.comparison.drift:
        first, *more = plan.comparison.drift
        why = f" (on the cluster, {first.place}{f', and {len(more)} more' if more else ''})"
    room = f"; {plan.verdict.message}" if plan.verdict is not None else ""
    return f"needs {'an install' if plan.action == 'install' else 'an upgrade'}{why}{room}"


def warnings(request: ReleaseRequest, plan: Plan) -> list[str]:
    """Return what a person should know of a plan before it is carried out."""
    found = [f"{request.name}: {text}" for text in (plan.verdict.warnings if plan.verdict else ())]
    if plan.interrupts and plan.comparison.serves:
        first = "all old pods go" if plan.strategy == "recreate" else "the only pod goes"
        found.append(
            f"{request.name}: {first} before a new one starts (strategy {plan.strategy}), "
            "so the model is away meanwhile."
        )
    return found


def difference(request: ReleaseRequest, plan: Plan) -> dict[str, str]:
    """Return the difference for Ansible to show, in a stable order and without secrets."""
    if plan.comparison.drift:
        return {"prepared": "".join(f"{item}\n" for item in plan.comparison.drift)}
    record = plan.comparison.record
    return {
        "before_header": f"{request.name} (deployed)",
        "after_header": f"{request.name} (rendered)",
        "before": _shown(record.manifest if record is not None else ""),
        "after": _shown(plan.wanted.manifest),
    }


def release_facts(
    request: ReleaseRequest,
    plan: Plan,
    *,
    chart_digest: str,
    revision: int,
    image_digest: str | None,
    ready: bool,
) -> dict[str, Any]:
    """Return what module vllm_release documents as its result, but for the timings."""
    rendered = plan.wanted
    container = server_container(rendered.deployment)
    return {
        "name": request.name,
        "namespace": request.namespace,
        "environment": request.environment,
        "model": request.model,
        "endpoint": request.endpoint,
        "action": plan.action,
        "strategy": plan.strategy,
        "interrupts": plan.interrupts,
        "revision": revision,
        "chart": request.chart_name,
        "chart_version": request.chart_version,
        "chart_digest": chart_digest,
        "image": container["image"],
        "image_digest": image_digest,
        "replicas": plan.comparison.replicas,
        "manifest_digest": rendered.digest,
        **shown_values(rendered.spec.values),
        "ready": ready,
        "drift": [str(item) for item in plan.comparison.drift],
        "capacity": plan.verdict.summary() if plan.verdict is not None else None,
    }


def _shown(manifest: str) -> str:
    return dump_manifest([redact(item) for item in parse_manifest(manifest)])


def shown_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that Helm was given, as a result may show them, and the SHA-256 of them as they were.

    ``values_redacted`` tells whether secrets were hidden.
    """
    shown = redact(values)
    return {"chart_values": shown, "values_digest": digest(values), "values_redacted": shown != values}
