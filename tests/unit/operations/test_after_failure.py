# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of failures: a row a case, what becomes of the registry's row."""

from __future__ import annotations

from itertools import product

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.after_failure import (
    Failure,
    RowIs,
    row_after_failure,
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
    (Step.RECOVER, INFRASTRUCTURE, True, "ready", True, READY),
    (Step.RECOVER, INFRASTRUCTURE, True, "ready", False, GONE),
    (Step.PLAN, CAPACITY, False, "absent", None, KEPT),
    (Step.PLAN, CAPACITY, False, "ready", None, KEPT),
    (Step.PLAN, INVALID, False, "ready", None, KEPT),
    # Whoever announced it is gone, and nobody is at it any more: the row is not true.
    (Step.PLAN, CAPACITY, False, "deploying", None, ASKED),
    (Step.PLAN, CAPACITY, False, "deploying", True, READY),
    (Step.PLAN, CAPACITY, False, "deploying", False, GONE),
    (Step.ANNOUNCE, LOCKED, True, "ready", None, KEPT),
    (Step.ANNOUNCE, TIMEOUT, True, "ready", None, ASKED),
    (Step.ANNOUNCE, INFRASTRUCTURE, True, "ready", True, READY),
    (Step.CAPACITY, CAPACITY, False, "ready", None, KEPT),
    (Step.CAPACITY, CAPACITY, True, "deploying", None, ASKED),
    (Step.CAPACITY, CAPACITY, True, "deploying", False, GONE),
    (Step.CAPACITY, CAPACITY, True, "deploying", True, READY),
    (Step.RELEASE, INVALID, True, "ready", None, ASKED),
    (Step.RELEASE, INVALID, True, "ready", True, READY),
    (Step.RELEASE, INVALID, True, "deploying", False, GONE),
    (Step.RELEASE, INFRASTRUCTURE, True, "ready", True, READY),
    (Step.RELEASE, LOCKED, True, "ready", None, KEPT),
    (Step.RELEASE, FENCED, True, "deploying", None, KEPT),
    (Step.RELEASE, None, True, "deploying", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, True, "deploying", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, True, "deploying", False, GONE),
    (Step.ROLLOUT, WORKLOAD, True, "ready", True, READY),
    (Step.ROLLOUT, TIMEOUT, True, "ready", False, GONE),
    (Step.ROLLOUT, WORKLOAD, False, "ready", None, ASKED),
    (Step.ROLLOUT, WORKLOAD, False, "ready", False, GONE),
    (Step.ROLLOUT, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.ROLLOUT, FENCED, True, "ready", None, KEPT),
    # The model was as wanted: only what it did itself counts.
    (Step.VERIFY, VERIFICATION, False, "ready", None, ASKED),
    (Step.VERIFY, VERIFICATION, False, "ready", False, GONE),
    (Step.VERIFY, VERIFICATION, False, "ready", True, READY),
    (Step.VERIFY, TIMEOUT, False, "ready", None, ASKED),
    (Step.VERIFY, AUTH, False, "ready", None, KEPT),
    (Step.VERIFY, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.VERIFY, INVALID, False, "ready", None, KEPT),
    (Step.VERIFY, None, False, "ready", None, KEPT),
    (Step.VERIFY, VERIFICATION, False, "absent", None, ASKED),
    (Step.VERIFY, VERIFICATION, False, "absent", False, GONE),
    (Step.VERIFY, VERIFICATION, False, "absent", True, KEPT),
    # New pods that nobody could ask are not given to clients.
    (Step.VERIFY, AUTH, True, "deploying", False, GONE),
    (Step.VERIFY, INFRASTRUCTURE, True, "ready", False, GONE),
    (Step.VERIFY, VERIFICATION, True, "deploying", False, GONE),
    (Step.REGISTER, INFRASTRUCTURE, False, "ready", None, KEPT),
    (Step.REGISTER, INFRASTRUCTURE, True, "deploying", None, ASKED),
    (Step.REGISTER, INFRASTRUCTURE, True, "deploying", True, READY),
    (Step.REGISTER, LOCKED, False, "failed", None, KEPT),
    (Step.REGISTER, FENCED, True, "deploying", None, KEPT),
    (Step.REGISTER, None, False, "ready", None, KEPT),
]


@pytest.mark.parametrize(("step", "kind", "touched", "row", "answers", "expected"), CASES)
def test_row_after_a_failure(
    step: Step, kind: ErrorClass | None, touched: bool, row: str, answers: bool | None, expected: RowIs
) -> None:
    assert row_after_failure(Failure(step, kind, touched, row, answers)) is expected


def test_the_table_has_sixty_rows() -> None:
    assert len({case[:5] for case in CASES}) >= 60


def test_nothing_is_asked_twice_and_nobody_elses_row_is_written() -> None:
    rows = ("absent", "ready", "deploying", "failed")
    for step, kind, touched, row in product(Step, [None, *ErrorClass], (False, True), rows):
        first = row_after_failure(Failure(step, kind, touched, row))
        assert first in (KEPT, ASKED)
        for answers in (False, True):
            after = row_after_failure(Failure(step, kind, touched, row, answers))
            assert after is not ASKED
            assert (after is KEPT) or first is ASKED
            if after is READY:
                assert answers
        if kind in (LOCKED, FENCED):
            assert first is KEPT
