# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell clients, by the registry, that the model is on its way: nobody is sent to it meanwhile."""

from __future__ import annotations

from ..publication import row_of, tell
from ..run import Run


def take(run: Run) -> None:
    """Write the status deploying, and wait until routers know that the endpoint was withdrawn."""
    run.say("telling routers that it is being deployed")
    target = run.target
    action = run.plan.action if run.plan is not None else "rollout"
    changes = {
        "namespace": target.namespace,
        "endpoint": target.endpoint,
        "status": "deploying",
        "status_reason": action,
    }
    run.touched = True
    tell(run, row_of(run, changes), run.routers())
    run.announced = True
