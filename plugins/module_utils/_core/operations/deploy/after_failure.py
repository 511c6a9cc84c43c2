# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed run means for the registry's row: the second table of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ...common.errors import ErrorClass
from .next_step import Step
from .state import NO_ROW


class RowIs(StrEnum):
    """What is to become of the row."""

    KEPT = "kept"  #: it says the truth, or it is somebody else's to write
    ASKED = "asked"  #: that is for the endpoint to say: ask it
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """How a run failed. ``error_class`` is None for an error that has none, which is a bug."""

    step: Step
    error_class: ErrorClass | None
    touched: bool  #: the run has changed the row, the release or the pods
    row: str = NO_ROW  #: its status
    answers: bool | None = None  #: what the endpoint said after the failure; None before it was asked


#: Somebody else has the lock: they go on, and tell the registry how it ended.
_SOMEBODY_ELSES = (ErrorClass.LOCKED, ErrorClass.FENCED)
#: Steps that look at the model itself, and the failures of them that say something about it.
_LOOKS_AT_THE_MODEL = (Step.ROLLOUT, Step.VERIFY)
_SAYS_SOMETHING = (ErrorClass.WORKLOAD, ErrorClass.CAPACITY, ErrorClass.VERIFICATION, ErrorClass.TIMEOUT)


def row_after_failure(failure: Failure) -> RowIs:
    """Return what becomes of the row. A run's own mistake is never held against the model."""
    if failure.error_class in _SOMEBODY_ELSES:
        return RowIs.KEPT
    seen = failure.step in _LOOKS_AT_THE_MODEL and failure.error_class in _SAYS_SOMETHING
    # A run that died has announced it, and this one, which has its lock, ends as well.
    untrue = failure.row == "deploying" and failure.step not in (Step.OBSERVE, Step.LOCK)
    if not (failure.touched or seen or untrue):
        return RowIs.KEPT
    if failure.answers is None:
        return RowIs.ASKED
    if not failure.answers:
        return RowIs.FAILED
    # Who was never registered has no route that could be kept.
    return RowIs.READY if failure.row != NO_ROW else RowIs.KEPT
