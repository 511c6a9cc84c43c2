# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of failures: a row a case, what becomes of the registry's row."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.after_failure import (
    Answer,
    Failure,
    RowIs,
    goes_back,
    rejects,
    row_after_failure,
    speaks_against_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import Step

AUTH, CAPACITY, FENCED, INFRASTRUCTURE, INVALID, LOCKED, TIMEOUT, VERIFICATION, WORKLOAD = (
    ErrorClass.AUTH,
    ErrorClass.CAPACITY,
    ErrorClass.FENCED,
    ErrorClass.INFRASTRUCTURE,
    ErrorClass.INVALID,
    ErrorClass.LOCKED,
    ErrorClass.TIMEOUT,
    ErrorClass.VERIFICATION,
    ErrorClass.WORKLOAD,
)
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
KEPT, ASKED, READY, GONE = RowIs.KEPT, RowIs.ASKED, RowIs.READY, RowIs.FAILED

CASES = [
    # step, class, whether anything was touched, the row, what the endpoint said, what becomes of the row
    (Step.OBSERVE, INVALID, False, "ready", None, KEPT),
    (Step.OBSERVE, INVALID, False, "absent", None, KEPT),
    (Step.OBSERVE, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.OBSERVE, AUTH, False, "ready", None, KEPT),
    (Step.OBSERVE, TIMEOUT, False, "ready", None, KEPT),
    (Step.OBSERVE, None, False, "ready", None, KEPT),
    (Step.LOCK, LOCKED, False, "ready", None, KEPT),
    (Step.LOCK, LOCKED, False, "deploying", None, KEPT),
    (Step.LOCK, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.RECOVER, FENCED, True, "ready", None, KEPT),
    (Step.RECOVER, INFRASTRUCTURE, True, "ready", None, ASKED),
    (Step.RECOVER, INFRASTRUCTURE, True, "ready", YES, READY),
    (Step.RECOVER, INFRASTRUCTURE, True, "ready", NO, GONE),
    (Step.PLAN, CAPACITY, False, "absent", None, KEPT),
    (Step.PLAN, CAPACITY, False, "ready", None, KEPT),
    (Step.PLAN, INVALID, False, "ready", None, KEPT),
    # Whoever announced it is gone, and nobody is at it any more: the row is not true.
    (Step.PLAN, CAPACITY, False, "deploying", None, ASKED),
    (Step.PLAN, CAPACITY, False, "deploying", YES, READY),
    (Step.PLAN, CAPACITY, False, "deploying", NO, GONE),
    (Step.ANNOUNCE, LOCKED, True, "ready", None, ASKED),
    (Step.ANNOUNCE, TIMEOUT, True, "ready", None, ASKED),
    (Step.ANNOUNCE, INFRASTRUCTURE, True, "ready", YES, READY),
    (Step.CAPACITY, CAPACITY, False, "ready", None, KEPT),
    (Step.CAPACITY, CAPACITY, True, "deploying", None, ASKED),
    (Step.CAPACITY, CAPACITY, True, "deploying", NO, GONE),
    (Step.CAPACITY, CAPACITY, True, "deploying", YES, READY),
    (Step.RELEASE, INVALID, True, "ready", None, ASKED),
    (Step.RELEASE, INVALID, True, "ready", YES, READY),
    (Step.RELEASE, INVALID, True, "deploying", NO, GONE),
    (Step.RELEASE, INFRASTRUCTURE, True, "ready", YES, READY),
    # A helm by hand is at it, or a table is locked: with our own lock, nobody else tells the registry.
    (Step.RELEASE, LOCKED, True, "deploying", None, ASKED),
    (Step.RELEASE, FENCED, True, "deploying", None, KEPT),
    (Step.RELEASE, None, True, "deploying", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, True, "deploying", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, True, "deploying", NO, GONE),
    (Step.ROLLOUT, WORKLOAD, True, "ready", YES, READY),
    (Step.ROLLOUT, TIMEOUT, True, "ready", NO, GONE),
    (Step.ROLLOUT, WORKLOAD, False, "ready", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, False, "ready", NO, GONE),
    # It was followed because not all was well.
    (Step.ROLLOUT, INFRASTRUCTURE, False, "ready", None, ASKED),
    (Step.ROLLOUT, AUTH, False, "ready", None, ASKED),
    (Step.ROLLOUT, AUTH, False, "ready", UNKNOWN, KEPT),
    (Step.ROLLOUT, FENCED, True, "ready", None, KEPT),
    # The model was as wanted: only what it did itself counts.
    (Step.VERIFY, VERIFICATION, False, "ready", None, ASKED),
    (Step.VERIFY, VERIFICATION, False, "ready", NO, GONE),
    (Step.VERIFY, VERIFICATION, False, "ready", YES, READY),
    (Step.VERIFY, TIMEOUT, False, "ready", None, ASKED),
    (Step.VERIFY, AUTH, False, "ready", None, KEPT),
    (Step.VERIFY, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.VERIFY, INVALID, False, "ready", None, KEPT),
    (Step.VERIFY, None, False, "ready", None, KEPT),
    (Step.VERIFY, VERIFICATION, False, "absent", None, ASKED),
    (Step.VERIFY, VERIFICATION, False, "absent", NO, GONE),
    (Step.VERIFY, VERIFICATION, False, "absent", YES, KEPT),
    # New pods that nobody could ask are not given to clients.
    (Step.VERIFY, AUTH, True, "deploying", NO, GONE),
    (Step.VERIFY, INFRASTRUCTURE, True, "ready", NO, GONE),
    (Step.VERIFY, VERIFICATION, True, "deploying", NO, GONE),
    (Step.VERIFY, AUTH, True, "deploying", UNKNOWN, GONE),
    # Helm could not be told anything, and nobody can be asked: what serves goes on.
    (Step.RELEASE, INFRASTRUCTURE, True, "ready", UNKNOWN, KEPT),
    (Step.RELEASE, INFRASTRUCTURE, True, "deploying", UNKNOWN, GONE),
    (Step.REGISTER, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.REGISTER, INFRASTRUCTURE, True, "deploying", None, ASKED),
    (Step.REGISTER, INFRASTRUCTURE, True, "deploying", YES, READY),
    (Step.REGISTER, LOCKED, False, "failed", None, KEPT),
    (Step.REGISTER, FENCED, True, "deploying", None, KEPT),
    (Step.REGISTER, None, False, "ready", None, KEPT),
]


@pytest.mark.parametrize(("step", "kind", "touched", "row", "answers", "expected"), CASES)
def test_row_after_a_failure(
    step: Step, kind: ErrorClass | None, touched: bool, row: str, answers: Answer | None, expected: RowIs
) -> None:
    holds_lock = step not in (Step.OBSERVE, Step.LOCK)
    assert row_after_failure(Failure(step, kind, touched, row, answers, holds_lock)) is expected


MORE: list[tuple[Failure, RowIs]] = [
    # Who has no lock leaves the row to who has it.
    (Failure(Step.REGISTER, LOCKED, True, "ready", holds_lock=False), KEPT),
    (Failure(Step.VERIFY, VERIFICATION, False, "ready", NO, holds_lock=False), GONE),
    # New pods that nobody could ask are not given to clients.
    (Failure(Step.ROLLOUT, INFRASTRUCTURE, True, "ready", UNKNOWN, released=True), GONE),
    (Failure(Step.VERIFY, AUTH, True, "ready", UNKNOWN, released=True), GONE),
    (Failure(Step.ROLLOUT, WORKLOAD, True, "ready", YES, released=True), READY),
    # The run has seen that nothing serves, whatever it failed at then.
    (Failure(Step.PLAN, CAPACITY, False, "ready", serves=False), ASKED),
    (Failure(Step.PLAN, CAPACITY, False, "ready", NO, serves=False), GONE),
    (Failure(Step.PLAN, INVALID, False, "ready", UNKNOWN, serves=False), GONE),
    (Failure(Step.PLAN, CAPACITY, False, "ready", YES, serves=False), READY),
    (Failure(Step.LOCK, LOCKED, False, "ready", holds_lock=False, serves=False), KEPT),
    (Failure(Step.OBSERVE, INFRASTRUCTURE, False, "ready", holds_lock=False, serves=False), KEPT),
    (Failure(Step.RECOVER, FENCED, True, "ready", serves=False), KEPT),
]


@pytest.mark.parametrize(("failure", "expected"), MORE, ids=str)
def test_row_by_what_else_is_known(failure: Failure, expected: RowIs) -> None:
    assert row_after_failure(failure) is expected


def test_the_table_has_sixty_rows() -> None:
    assert len({case[:5] for case in CASES}) >= 60


def test_nothing_is_asked_twice_and_nobody_elses_row_is_written() -> None:
    rows = ("absent", "ready", "deploying", "failed")
    flags = (False, True)
    for step, kind, row in product(Step, [None, *ErrorClass], rows):
        for touched, holds_lock, released, serves in product(flags, repeat=4):
            more: dict[str, Any] = {"holds_lock": holds_lock, "released": released, "serves": serves}
            first = row_after_failure(Failure(step, kind, touched, row, **more))
            assert first in (KEPT, ASKED)
            for answers in Answer:
                after = row_after_failure(Failure(step, kind, touched, row, answers, **more))
                assert after is not ASKED
                assert (after is KEPT) or first is ASKED
                if after is READY:
                    assert answers is YES
            if kind is FENCED or (kind is LOCKED and not holds_lock):
                assert first is KEPT


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("kind", [None, *ErrorClass])
def test_only_the_model_servers_own_failure_speaks_against_its_manifest(
    step: Step, kind: ErrorClass | None
) -> None:
    expected = (step, kind) in {
        (Step.ROLLOUT, ErrorClass.WORKLOAD),
        (Step.ROLLOUT, ErrorClass.VERIFICATION),
        (Step.VERIFY, ErrorClass.WORKLOAD),
        (Step.VERIFY, ErrorClass.VERIFICATION),
    }
    assert speaks_against_manifest(Failure(step, kind, touched=True)) is expected


#: The verdict from before, whether this run made the revision, whether somebody insists; the answer.
UNDONE: list[tuple[str | None, bool, bool, bool]] = [
    (None, True, False, True),
    (None, True, True, True),
    # A run that was killed made it.
    (None, False, False, True),
    (None, False, True, True),
    ("passed", True, False, True),
    ("passed", True, True, True),
    # It served, and does so no more: no change of this run's broke it.
    ("passed", False, False, False),
    ("passed", False, True, False),
    # Twice the same would go on for ever. But a run that was killed may have begun to go back.
    ("failed", True, False, False),
    ("failed", True, True, False),
    ("failed", False, False, True),
    ("failed", False, True, False),
    ("revoked", True, False, False),
    ("revoked", True, True, False),
    ("revoked", False, False, True),
    ("revoked", False, True, False),
]


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("kind", [None, *ErrorClass])
def test_a_change_is_undone_for_what_the_model_server_did_and_once_for_each_manifest(
    step: Step, kind: ErrorClass | None
) -> None:
    of_the_model = kind in (WORKLOAD, VERIFICATION) and step in (Step.ROLLOUT, Step.VERIFY)
    for before, released, insists, undone in UNDONE:
        failure = Failure(step, kind, touched=True, released=released)
        expected = undone and of_the_model
        assert goes_back(failure, upgrade=True, before=before, insists=insists) is expected, before
        # A first revision has nothing to go back to.
        assert goes_back(failure, upgrade=False, before=before, insists=insists) is False


BRANDED = [
    # the verdict before, the cause, and whether the manifest is found not to serve
    (None, "ErrImagePull", True),
    ("passed", "ErrImagePull", False),
    ("passed", "CreateContainerConfigError", False),
    ("passed", "FailedMount", False),
    ("passed", "CrashLoopBackOff", True),
    ("passed", "OOMKilled", True),
    ("failed", "ErrImagePull", True),
    ("revoked", "ErrImagePull", True),
]


@pytest.mark.parametrize(("before", "cause", "expected"), BRANDED)
def test_what_has_served_is_not_branded_for_want_of_something_else(
    before: str | None, cause: str, expected: bool
) -> None:
    failure = Failure(Step.ROLLOUT, WORKLOAD, touched=True)
    assert rejects(failure, before=before, cause=cause) is expected


@pytest.mark.parametrize("answered", [True, False])
def test_a_server_that_is_not_ready_to_the_end_says_something_and_no_answer_does_not(answered: bool) -> None:
    failure = Failure(Step.VERIFY, TIMEOUT, touched=True, released=True, of_the_server=answered)
    assert speaks_against_manifest(failure) is answered
    assert goes_back(failure, upgrade=True, before=None) is answered


def test_a_rollout_that_ran_out_of_time_says_nothing() -> None:
    assert not speaks_against_manifest(Failure(Step.ROLLOUT, TIMEOUT, touched=True, of_the_server=True))
