# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo an upgrade that does not serve, within the operation that made it and under its lock."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ...common.deadline import Deadline
from ...common.errors import ErrorClass, PlatformError
from ...release.rendering import manifest_digest
from ..deploy import failure
from ..deploy.after_failure import goes_back
from ..deploy.next_step import Step
from ..deploy.run import Run
from ..deploy.steps import finish, lock
from ..deploy.walk import walk
from .choice import Wish
from .report import line
from .rollback import Rollback, describe, prepared


def undo(run: Run, error: PlatformError) -> bool:
    """Go back to the last manifest that served, if that is to be; tell whether the operation is over.

    The error tells what came of it, in its message and as ``rolled_back``. It stays an error: what was wanted
    is not there.
    """
    if run.registry is None or not run.rollback_on_failure or not _is_to_be(run, error):
        return False
    if run.operation is None and not _locked(run):
        return False
    # Clients are not sent there meanwhile, unless what served before still does.
    failure.correct_row(run, error)
    failure.reject_manifest(run, error)
    another = _another(run)
    try:
        with prepared(another, Wish(), strategy="auto", force_conflicts=True, rejects=False) as going:
            run.say(f"it goes back to {going.choice.to}")
            walk(another, {**going.steps, Step.FINISH: (partial(_end, error), "registry_s")})
            if going.plan is None:
                describe(going)
    except Exception as second:  # noqa: BLE001
        return _failed(run, another, error, second)
    _take_over(run, another)
    error.message = f"{error.message.rstrip('.')}. It was rolled back: {line(going)}"
    error.details["rolled_back"] = _facts(going)
    return True


def _facts(going: Rollback) -> dict[str, Any]:
    """Return where it went, as module vllm_deployment documents it."""
    run, to = going.run, going.choice.to
    return {
        "revision": run.record.revision if run.record is not None else None,
        "of_revision": to.revision if to is not None else None,
        "manifest_digest": to.digest if to is not None else None,
        "total_s": round(sum(run.phases.values()), 3),
    }


def _locked(run: Run) -> bool:
    """Take the lock for a run that has changed nothing so far; tell whether all is as it was."""
    before = _digest(run)
    lock.take(run)
    return before is not None and _digest(run) == before and (not run.refused or _is_half_way(run))


def _digest(run: Run) -> str | None:
    return manifest_digest(run.record.objects) if run.record is not None else None


def _is_to_be(run: Run, error: PlatformError) -> bool:
    if not run.wanted.present or not run.wanted.registers or run.comparison is None:
        return False
    if run.refused:
        # This run has begun nothing, but another one may have been killed in the middle of going back.
        return _is_half_way(run)
    known = run.verdict_on(run.comparison.rendered.digest)
    return goes_back(
        failure.seen(run, error),
        upgrade=run.had_release,
        before=known.verdict if known is not None else None,
        insists="failed" not in run.refuses,
    )


def _is_half_way(run: Run) -> bool:
    row, record = run.row, run.record
    if row is None or row.status in ("deploying", "failed"):
        return row is not None
    return record is None or record.status != "deployed" or record.revision != row.release_revision


def _another(run: Run) -> Run:
    """Return a run for going back, within the same operation, with as much time as the first had."""
    return Run(
        run.target,
        run.wanted,
        run.tools,
        replace(run.waits, total=Deadline(run.waits.total.seconds)),
        run.registry,
        run.delivery,
        check_capacity=run.check_capacity,
        verification=run.verification,
        model_config=run.model_config,
        kind=run.kind,
        operation=run.operation,
        lock=run.lock,
        stack=run.stack,
        touched=True,
    )


def _end(error: PlatformError, run: Run) -> None:
    """End the operation. The model has gone back, whether that can be noted or not."""
    kind, reason = error.error_class.value, error.message
    finish.end_well(run, outcome="rolled_back", error_class=kind, reason=reason)


def _take_over(run: Run, another: Run) -> None:
    """What the second run left behind is what the first has to tell of."""
    run.row, run.record, run.steps = another.row, another.record, another.steps
    run.operation = another.operation
    run.warnings += another.warnings


def _failed(run: Run, another: Run, error: PlatformError, second: Exception) -> bool:
    """Tell that going back failed too, and settle that; tell whether the operation is over by it."""
    error.details["rollback_error"] = str(second)
    if another.recorded is None:
        # There was nowhere to go: nothing was begun.
        run.say(f"it is not gone back: {second}")
        return False
    error.message = f"{error.message.rstrip('.')}. Going back failed as well: {second}"
    kind = second.error_class if isinstance(second, PlatformError) else ErrorClass.INFRASTRUCTURE
    details = second.details if isinstance(second, PlatformError) else {}
    failure.settle(another, PlatformError(kind, error.message, error.resolution, details))
    _take_over(run, another)
    return True
