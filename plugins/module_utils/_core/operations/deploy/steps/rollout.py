# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the rollout to its end."""

from __future__ import annotations

from ....cluster.rollout import follow_rollout
from ..observe import look_at_pods
from ..run import Run


def take(run: Run) -> None:
    """Wait until exactly the wanted pods are ready and listed by the Service."""
    plan = run.planned()
    with run.tools.permit.step("rollout"):
        replaced = follow_rollout(
            run.tools.client,
            run.target,
            run.waits.rollout(plan),
            run.tools.progress,
            replace_failed=not plan.changed,
            nodes_may_come=not run.check_capacity,
        )
    run.changed |= replaced
    run.touched |= replaced
    look_at_pods(run)
    run.rolled_out = True
