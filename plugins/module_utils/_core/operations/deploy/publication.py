# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the registry is told of a model: the row that is deployed, and of what its revision was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...cluster.workload import running_image
from ...common.deadline import Deadline
from ...registry.entry_fields import check_changes
from ...registry.publication import Publication, Published, overruled_warning, publish
from ...registry.verifications import Verdict
from ...registry.withdrawal import lost_warning
from ...release.result import release_facts, shown_values
from .run import Run


def facts(run: Run) -> dict[str, object]:
    """Return what there is to say of the release, as module vllm_release documents it."""
    plan = run.planned()
    revision = run.record.revision if run.record is not None else 0
    if run.check_mode and plan.changed:
        revision += 1
    return release_facts(
        run.request,
        plan,
        chart_digest=run.renderer.chart_digest,
        revision=revision,
        image_digest=running_image(run.observed.pods) if run.observed is not None else None,
        ready=run.rolled_out,
    )


def _values(run: Run, release: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to record: all that Helm was given, the tier's file included."""
    found = shown_values(run.record.config) if run.record is not None else release
    incomplete = run.recorded is not None and run.recorded.values_redacted
    return {
        "values": found["chart_values"],
        "values_digest": found["values_digest"],
        "values_redacted": incomplete or found["values_redacted"],
    }


def row_of(run: Run, changes: Mapping[str, Any], **more: Any) -> Publication:
    """Return a row as this run may write it.

    Who has no lock names the version that was seen: what somebody else has written since is not undone.
    """
    version = None
    if run.operation is None:
        version = run.row.version if run.row is not None else 0
    return Publication(
        run.target.model,
        run.target.environment,
        check_changes(changes),
        expected_version=version,
        operation=run.operation,
        by=run.used_registry.holder.name,
        **more,
    )


def tell(run: Run, wanted: Publication, routers: Deadline) -> Published:
    """Write a row, and wait for the routers that have to know."""
    registry = run.used_registry
    done = publish(
        registry.database,
        wanted,
        timeout_s=registry.timeout_s,
        routers_timeout_s=routers.seconds,
        progress=run.tools.progress,
    )
    run.row = done.change.after
    told = (lost_warning(done.routers), overruled_warning(wanted.changes, done.change.after))
    run.warnings += [warning for warning in told if warning]
    return done


def publication(run: Run) -> Publication:
    """Return the row of a model that serves."""
    release = facts(run)
    model = run.request.values.get("model") or {}
    changes = {
        "namespace": release["namespace"],
        "endpoint": release["endpoint"],
        "status": "ready",
        "status_reason": "",
        "release_name": release["name"],
        "release_revision": release["revision"],
        "manifest_digest": release["manifest_digest"],
        "chart_version": release["chart_version"],
        "image": release["image"],
        "model_source": model.get("source") or "",
        "model_revision": model.get("revision") or "",
    }
    manifest = {
        "chart_digest": release["chart_digest"],
        "image_digest": release["image_digest"],
        **_values(run, release),
        "objects": run.planned().wanted.objects,
        "origin": run.origin,
    }
    digest = str(release["manifest_digest"])
    verdict = Verdict(digest, "passed", evidence=run.verified or {}, of_a_change=run.released)
    return row_of(run, changes, manifest=manifest, verdict=verdict, health_checked=True)
