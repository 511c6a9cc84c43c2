# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long this model's own operations took: what the next one may be expected to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .connection import Session

_OPERATIONS = 20
_STEPS = """
    SELECT o.id::text,
           EXISTS (SELECT FROM deployment_manifests m
                    WHERE m.operation_id = o.id AND m.manifest_digest = %(digest)s),
           s.name, sum(extract(epoch FROM s.finished_at - s.started_at))::float8
      FROM (SELECT id FROM operations
             WHERE model_name = %(model)s AND deployment_environment = %(environment)s
               AND outcome = 'succeeded' AND kind IN ('deploy', 'rollback', 'promote')
               AND EXISTS (
                   SELECT FROM operation_steps
                    WHERE operation_id = operations.id AND name IN ('helm install', 'helm upgrade')
                      AND outcome = 'succeeded')
             ORDER BY started_at DESC LIMIT %(size)s) o
      JOIN operation_steps s ON s.operation_id = o.id AND s.outcome = 'succeeded'
     GROUP BY o.id, s.name
"""


@dataclass(frozen=True)
class Took:
    """The steps of one operation that changed the release, each with its seconds."""

    steps: Mapping[str, float]
    same: bool  #: it made the manifest in question


@dataclass(frozen=True)
class Estimate:
    """Seconds to expect, from how many operations. ``same`` tells that those made this very manifest."""

    seconds: float
    operations: int
    same: bool


def read_durations(session: Session, model: str, environment: str, digest: str) -> list[Took]:
    """Return what the last operations that changed the release took."""
    rows = session.rows(
        _STEPS, {"model": model, "environment": environment, "digest": digest, "size": _OPERATIONS}
    )
    steps: dict[str, dict[str, float]] = {}
    same: dict[str, bool] = {}
    for operation, is_same, name, seconds in rows:
        steps.setdefault(operation, {})[name] = seconds
        same[operation] = is_same
    return [Took(took, same[operation]) for operation, took in steps.items()]


def estimate(
    took: Sequence[Took], leave_out: Sequence[str] = ("wait for capacity", "watch the promotion")
) -> Estimate | None:
    """Return what is to be expected: of operations that made this manifest if there are any, else of all.

    None where none is on record. Waiting for room says more about the cluster of that day than of the model.
    """
    relevant = [one for one in took if one.same] or list(took)
    if not relevant:
        return None
    totals = [
        sum(seconds for name, seconds in one.steps.items() if name not in leave_out) for one in relevant
    ]
    return Estimate(round(median(totals), 1), len(relevant), relevant[0].same)
