# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide how the release is brought to what is wanted, and whether there can be room for it."""

from __future__ import annotations

from ....common.errors import ErrorClass, PlatformError
from ....release.capacity import require_possible
from ....release.plan import plan_change
from ....release.rendering import asked_strategy, manifest_digest
from ....release.result import describe, warnings
from ....release.tryout import refuse_pod
from ..expected import expected
from ..run import Run


def take(run: Run) -> None:
    """Make the plan. Raises ``capacity`` where waiting for room would not help."""
    request = run.request
    assess = run.assess if run.check_capacity else None
    run.plan = plan_change(run.compared(), asked_strategy(request), assess, run.renderer.render)
    run.say(describe(run.plan))
    for line in warnings(request, run.plan):
        run.warn(line)
    require_possible(run.plan)
    if not run.plan.changed:
        return
    if run.registry is not None:
        if run.refuses:
            _refuse_rejected(run)
        if run.expected_s is None:
            expected(run, run.planned().wanted.digest)
    run.delivery.refuse(run.tools, run.change())
    if run.check_capacity:
        refuse_pod(run.tools.client, run.plan)


_CHANGE_IT = (
    "Change what was wrong with it. Where the cause lay elsewhere and is gone, deploy it with "
    "retry_rejected (vllm_retry_rejected)."
)


def _refuse_rejected(run: Run) -> None:
    """Raise ``verification`` for a manifest that was given up, unless it is what is there."""
    row = run.row
    digest = run.planned().wanted.digest
    if row is None or row.manifest_digest is None:
        return
    if run.record is not None and manifest_digest(run.record.objects) == digest:
        # It is there already: what is to be mended is not the manifest.
        return
    refuse_rejected(run, digest, _CHANGE_IT)


def refuse_rejected(run: Run, digest: str, advice: str) -> None:
    """Raise ``verification`` for a manifest whose verdict is one that this run refuses."""
    found = run.verdict_on(digest)
    if found is None or found.verdict not in run.refuses:
        return
    # A run that was killed while it went back is gone on with.
    run.refused = True
    raise PlatformError(
        ErrorClass.VERIFICATION,
        f"{run.target.name}: this very manifest ({digest[:19]}) {found}",
        advice,
        {"manifest_digest": digest},
    )
