# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide how the release is brought to what is wanted, and whether there can be room for it."""

from __future__ import annotations

from ....release.capacity import require_possible
from ....release.plan import plan_change
from ....release.rendering import asked_strategy
from ....release.result import describe, warnings
from ....release.tryout import refuse_conflicts, refuse_pod
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
    if not request.force_conflicts:
        refuse_conflicts(run.tools.client, run.plan, run.tools.helm.check_version())
    if run.check_capacity:
        refuse_pod(run.tools.client, run.plan)
