# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the journal says of a promotion that was begun: that gates let it pass, and that it was watched."""

from __future__ import annotations

from typing import Any

from ...registry.connection import Session
from ..deploy.run import Run

#: How the journal calls the two steps that are a promotion's own.
GATES_STEP, WATCH_STEP = "pass the gates", "watch the promotion"

# Of the newest time that the manifest was there: what was before another one says nothing of this.
_STEP = """
    SELECT s.detail
      FROM operations o JOIN operation_steps s ON s.operation_id = o.id
     WHERE o.model_name = %(model)s AND o.deployment_environment = %(environment)s
       AND s.name = %(step)s AND s.outcome = 'succeeded' AND o.outcome = ANY(%(outcomes)s)
       AND s.detail ->> 'manifest_digest' = %(digest)s
       AND s.started_at >= ({since} FROM deployment_manifests m
                             WHERE m.model_name = o.model_name
                               AND m.deployment_environment = o.deployment_environment
                               AND m.manifest_digest {which} %(digest)s)
     ORDER BY s.started_at DESC LIMIT 1
"""
_SINCE_IT_CAME = _STEP.format(since="SELECT max(created_at)", which="=")
_SINCE_ANOTHER = _STEP.format(since="SELECT coalesce(max(created_at), '-infinity')", which="<>")


#: How the operation ended, as far as it did.
_CUT_OFF = ("running", "interrupted", "failed")
_ALL = (*_CUT_OFF, "succeeded", "rolled_back")


def is_watched(run: Run) -> bool:
    """Tell whether what is there was watched to the end, by this run or by one before."""
    return _step(run, WATCH_STEP, _SINCE_IT_CAME, _ALL) is not None


def passed_gates(run: Run) -> dict[str, Any] | None:
    """Return what was noted when this very manifest passed the gates in a run that did not come to its end.

    After one that did, whoever took the model from clients has to be heard: the gates are asked anew.
    """
    return _step(run, GATES_STEP, _SINCE_ANOTHER, _CUT_OFF)


def _step(run: Run, step: str, query: str, outcomes: tuple[str, ...]) -> dict[str, Any] | None:
    values = {
        "model": run.target.model,
        "environment": run.target.environment,
        "step": step,
        "digest": run.compared().rendered.digest,
        "outcomes": list(outcomes),
    }

    def look(session: Session) -> dict[str, Any] | None:
        row = session.row(query, values)
        return row[0] if row is not None else None

    return run.used_registry.read(look)
