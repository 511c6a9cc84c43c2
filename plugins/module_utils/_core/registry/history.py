# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what happened to a target, newest first: changes of its entry, and operations with their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .connection import Session
from .entry_fields import COLUMNS, rfc3339

_FIELDS = {column: field for field, column in COLUMNS.items()}
# They change with every row or say nothing about the entry.
_STAMPS = {"id", "row_version", "created_at", "updated_at", "updated_by", "last_health_check_at"}

_PAGE = """
    SELECT seq, epoch, changed_at, actor, db_user, action, row_version, operation_id::text, before, after
      FROM model_registry_history
     WHERE model_name = %(model)s AND deployment_environment = %(environment)s AND seq < %(before)s
     ORDER BY seq DESC LIMIT %(size)s
"""
_NEWEST = 2**63 - 1

_OPERATION = (
    "id", "kind", "outcome", "actor", "host", "job", "fence", "resumes", "started_at", "finished_at",
    "error_class", "reason",
)  # fmt: skip
_OPERATIONS = """
    SELECT id::text, kind, outcome, actor, host, job, fence, resumes::text, started_at, finished_at,
           error_class, reason
      FROM operations
     WHERE model_name = %(model)s AND deployment_environment = %(environment)s
     ORDER BY started_at DESC, id LIMIT %(size)s
"""
_STEP = ("number", "name", "outcome", "started_at", "finished_at", "error_class", "reason", "detail")
_STEPS = """
    SELECT operation_id::text, number, name, outcome, started_at, finished_at, error_class, reason, detail
      FROM operation_steps WHERE operation_id = ANY(%(ids)s::uuid[]) ORDER BY operation_id, number
"""


def read_history(
    session: Session, model: str, environment: str, *, limit: int, before: int | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """Return changes of an entry, newest first, and the ``seq`` to go on before if there are more."""
    rows = session.rows(
        _PAGE,
        {
            "model": model,
            "environment": environment,
            "before": _NEWEST if before is None else before,
            # One more than wanted tells whether there are more.
            "size": limit + 1,
        },
    )
    found = [_change(row) for row in rows[:limit]]
    return found, found[-1]["seq"] if len(rows) > limit else None


def read_operations(session: Session, model: str, environment: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the last operations over a target, newest first, each with its ``steps`` in order."""
    rows = session.rows(_OPERATIONS, {"model": model, "environment": environment, "size": limit})
    found = [{**_timed(_OPERATION, row), "steps": []} for row in rows]
    by_id = {operation["id"]: operation for operation in found}
    for operation_id, *step in session.rows(_STEPS, {"ids": list(by_id)}):
        by_id[operation_id]["steps"].append(_timed(_STEP, step))
    return found


def _timed(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a recorded row as JSON types, and how long it took; ``duration_s`` is None while it runs."""
    values = dict(zip(names, row, strict=True))
    begun, ended = values["started_at"], values["finished_at"]
    return {
        **values,
        "started_at": rfc3339(begun),
        "finished_at": rfc3339(ended) if ended else None,
        "duration_s": round((ended - begun).total_seconds(), 3) if ended else None,
    }


def _change(row: tuple[Any, ...]) -> dict[str, Any]:
    seq, epoch, changed_at, actor, db_user, action, version, operation, before, after = row
    return {
        "seq": seq,
        "epoch": epoch,
        "changed_at": rfc3339(changed_at),
        "actor": actor,
        "db_user": db_user,
        "action": action,
        "version": version,
        "operation": operation,
        "changes": _differences(before or {}, after or {}),
    }


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the fields that differ, each with its value before and after.

    Columns that an older table brought along keep their own names.
    """
    return {
        _FIELDS.get(column, column): {"before": before.get(column), "after": after.get(column)}
        for column in sorted({*before, *after} - _STAMPS)
        if before.get(column) != after.get(column)
    }
