# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left to do when a run has failed: the row tells the truth, the lock is given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...common.deadline import Deadline
from ...common.errors import ErrorClass, PlatformError
from ...endpoint.verification import verify_service
from ...registry.verifications import Verdict, record
from .after_failure import Answer, Failure, RowIs, rejects, row_after_failure, speaks_against_manifest
from .publication import row_of, tell
from .run import Run
from .state import NO_ROW
from .steps import finish

#: A model that is asked after a failure has so long to answer, in seconds, or what a completion may take.
_ASK_S = 5.0
_REASON_LENGTH = 500
#: Errors of a question that say nothing about who was asked.
_COULD_NOT_ASK = (ErrorClass.AUTH, ErrorClass.INFRASTRUCTURE, ErrorClass.INVALID, ErrorClass.FENCED)


def name_step(run: Run, error: Exception) -> None:
    """Say in the error's details which step failed."""
    if isinstance(error, PlatformError):
        error.details.setdefault("failed_step", run.step.value)


def settle(run: Run, error: Exception) -> None:
    """See that no row says ready for what does not serve, note the end, and give the lock back.

    Whatever goes wrong here: the failure itself matters more, so it is only told.
    """
    name_step(run, error)
    if run.registry is None:
        return
    if run.wanted.present and run.wanted.registers:
        correct_row(run, error)
        _try(run, "the failure of the manifest was not recorded", lambda: reject_manifest(run, error))
    give_back(run, error)


def give_back(run: Run, error: Exception) -> None:
    """Note that the operation failed, and give its lock back."""
    name = error.error_class.value if isinstance(error, PlatformError) else "unknown"
    told = str(error) or type(error).__name__
    _try(
        run,
        "the lock was not given back",
        lambda: finish.end(run, outcome="failed", error_class=name, reason=told),
    )


def say_what_serves(run: Run, error: Exception) -> None:
    """Tell in the error what clients have now."""
    if not isinstance(error, PlatformError) or run.row is None:
        return
    error.details["entry_status"] = run.row.status
    if run.row.status == "ready" and run.touched:
        error.message = f"{error.message.rstrip('.')}. The model still answers, so clients keep it"


def _try(run: Run, otherwise: str, work: Callable[[], None]) -> None:
    """Do one of the things that are left, and say so where that fails."""
    try:
        work()
    except Exception as another:  # noqa: BLE001
        run.say(f"{otherwise}: {another}")


def seen(run: Run, error: Exception) -> Failure:
    """Return a run's failure as the tables read it."""
    kind = error.error_class if isinstance(error, PlatformError) else None
    details = error.details if isinstance(error, PlatformError) else {}
    return Failure(
        run.step,
        kind,
        run.touched,
        run.row.status if run.row is not None else NO_ROW,
        holds_lock=run.operation is not None,
        released=run.released or run.on_trial,
        serves=run.comparison is None or run.comparison.serves,
        of_the_server=bool(details.get("of_the_server")),
    )


def reject_manifest(run: Run, error: Exception) -> None:
    """Note that the manifest did not serve, if that is what the failure says: nobody goes back to it then."""
    failed = seen(run, error)
    if run.rejected or not speaks_against_manifest(failed):
        return
    evidence = error.details if isinstance(error, PlatformError) else {}
    digest = run.compared().rendered.digest
    known = run.verdict_on(digest)
    before = known.verdict if known is not None else None
    if not rejects(failed, before=before, cause=str(evidence.get("cause", ""))):
        return
    found = Verdict(digest, "failed", f"{run.step.value}: {error}", evidence)
    registry, target = run.used_registry, run.target
    registry.write(
        lambda session: record(
            session, target.model, target.environment, found, operation=run.operation, by=registry.holder.name
        )
    )
    run.rejected = True


def correct_row(run: Run, error: Exception) -> None:
    """See that the row says what is true after a failure."""
    told = str(error) or type(error).__name__
    _try(run, "the registry's row was not corrected", lambda: _correct_row(run, seen(run, error), told))


def _correct_row(run: Run, failed: Failure, told: str) -> None:
    row = row_after_failure(failed)
    if row is RowIs.ASKED:
        row = row_after_failure(replace(failed, answers=_ask(run)))
    if row is RowIs.KEPT:
        return
    if row is RowIs.READY:
        name = failed.error_class.value if failed.error_class else "unknown"
        changes = {"status": "ready", "status_reason": f"a run failed, but the model answers: {name}"}
    else:
        reason = f"{run.step.value}: {told}"
        shown = reason if len(reason) <= _REASON_LENGTH else f"{reason[: _REASON_LENGTH - 3]}..."
        changes = {"namespace": run.target.namespace, "status": "failed", "status_reason": shown}
    tell(run, row_of(run, changes), Deadline(run.used_registry.routers_timeout_s))


def _ask(run: Run) -> Answer:
    """Ask the endpoint as the new server wants it, else as the old one did, which may be who answers."""
    said = _ask_as(run, run.verification)
    if said is Answer.YES or run.earlier_verification is None:
        return said
    earlier = _ask_as(run, run.earlier_verification)
    return said if earlier is Answer.NO else earlier


def _ask_as(run: Run, verification: Mapping[str, Any]) -> Answer:
    deadline = Deadline(max(_ASK_S, verification["max_latency_s"] + 1))
    try:
        verify_service(run.tools.client, verification, deadline, run.tools.progress)
    except PlatformError as error:
        return Answer.UNKNOWN if error.error_class in _COULD_NOT_ASK else Answer.NO
    return Answer.YES
