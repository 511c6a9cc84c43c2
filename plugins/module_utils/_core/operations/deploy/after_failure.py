# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed run means for the registry's row: the second table of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ...common.errors import ErrorClass
from ...registry.verifications import REJECTED
from .next_step import Step
from .state import NO_ROW


class RowIs(StrEnum):
    """What is to become of the row."""

    KEPT = "kept"  #: it says the truth, or it is somebody else's to write
    ASKED = "asked"  #: that is for the endpoint to say: ask it
    READY = "ready"
    FAILED = "failed"


class Answer(StrEnum):
    """What the endpoint said when it was asked after a failure."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"  #: nobody could ask it


@dataclass(frozen=True)
class Failure:
    """How a run failed. ``error_class`` is None for an error that has none, which is a bug."""

    step: Step
    error_class: ErrorClass | None
    touched: bool  #: the run has changed the row, the release or the pods
    row: str = NO_ROW  #: its status
    answers: Answer | None = None  #: None before it was asked
    holds_lock: bool = True
    released: bool = False  #: a new revision was made, so there may be new pods
    serves: bool = True  #: pods were seen that can answer
    of_the_server: bool = False  #: a verification ended because the server was not ready to its end


#: Failures of a verification that say something about the model.
_SAYS_SOMETHING = (ErrorClass.WORKLOAD, ErrorClass.CAPACITY, ErrorClass.VERIFICATION, ErrorClass.TIMEOUT)


def row_after_failure(failure: Failure) -> RowIs:
    """Return what becomes of the row. A run's own mistake is never held against the model."""
    others = failure.error_class is ErrorClass.LOCKED and not failure.holds_lock
    if others or failure.error_class is ErrorClass.FENCED:
        # They go on, and tell the registry how it ended.
        return RowIs.KEPT
    # A rollout is followed only where not all is well.
    seen = failure.step is Step.ROLLOUT or (
        failure.step is Step.VERIFY and failure.error_class in _SAYS_SOMETHING
    )
    if not (failure.touched or seen or _is_untrue(failure)):
        return RowIs.KEPT
    if failure.answers is None:
        return RowIs.ASKED
    if failure.answers is Answer.YES:
        # Who was never registered has no route that could be kept.
        return RowIs.READY if failure.row != NO_ROW else RowIs.KEPT
    if failure.answers is Answer.UNKNOWN and failure.row == "ready" and failure.serves:
        # New pods that nobody could ask are not given to clients. Old ones stay with theirs.
        return RowIs.FAILED if failure.released else RowIs.KEPT
    return RowIs.FAILED


def speaks_against_manifest(failure: Failure) -> bool:
    """Tell whether a failure says that the manifest does not serve: such a one is not gone back to.

    Only what the model server itself did counts, and only after its pods were made. Whatever time or the
    cluster lacked says nothing about the manifest.
    """
    if failure.step is Step.VERIFY and failure.error_class is ErrorClass.TIMEOUT:
        # Its pods were ready before, and are not any more.
        return failure.of_the_server
    of_the_model = failure.error_class in (ErrorClass.WORKLOAD, ErrorClass.VERIFICATION)
    return of_the_model and failure.step in (Step.ROLLOUT, Step.VERIFY)


#: Causes that lie outside of what a manifest says: a manifest that has served may meet them any day.
_OF_THE_CLUSTER = frozenset({
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "FailedMount",
    "CreateContainerConfigError", "FailedCreate", "ReplicaFailure", "Unschedulable",
})  # fmt: skip


def rejects(failure: Failure, *, before: str | None, cause: str = "") -> bool:
    """Tell whether the verdict ``failed`` is given: not on what has passed, for want of something else."""
    if not speaks_against_manifest(failure):
        return False
    return before != "passed" or cause not in _OF_THE_CLUSTER


def goes_back(failure: Failure, *, upgrade: bool, before: str | None, insists: bool = False) -> bool:
    """Tell whether a failed change is undone: that of a manifest that does not serve, once for each.

    ``before`` is the verdict on the manifest from before this run, and ``insists`` lets it be deployed all
    the same. What failed for want of time, of room, of an API server or of rights is no reason: going back
    would meet the same.
    """
    if not (upgrade and speaks_against_manifest(failure)):
        return False
    if before in REJECTED:
        # Who deploys it once more insists, and twice the same would go on for ever. Who only finds it there
        # goes on with what a run that was killed had begun.
        return not (failure.released or insists)
    # A model that served and does so no more was not broken by a change of this run's.
    return failure.released or before is None


def _is_untrue(failure: Failure) -> bool:
    """Tell whether the row says what this run, which has looked closely, knows better."""
    if failure.step in (Step.OBSERVE, Step.LOCK):
        return False
    # A run that died has announced it, and this one, which has its lock, ends as well.
    return failure.row == "deploying" or (failure.row == "ready" and not failure.serves)
