# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which request is meant, and what the gate says of rows that the database would refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import (
    approval,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.approval_choice import (
    Wanted,
    answered,
    check_start,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.approvals import (
    Approval,
    subject_of,
)

FIRST, SECOND, GATES, OTHER_GATES = ("a" * 64, "ab" * 32, "c" * 64, "d" * 64)


def row(
    kind: str, manifest: str = FIRST, gates: str = GATES, source: str = "staging", left: float = 60
) -> Approval:
    """Return a row."""
    subject = subject_of("m", "prod-eu", source, manifest, gates)
    left_s = left if kind == "approved" else None
    return Approval(subject, kind, 1, "alice", "ci", "bob", "ci", "no", left_s=left_s, id=1)


ASKED, APPROVED, WITHDRAWN, EXPIRED = (
    row("requested"), row("approved"), row("withdrawn"), row("approved", left=-1),
)  # fmt: skip
OTHER, OTHER_APPROVED = row("requested", SECOND), row("approved", SECOND)
NOTHING, BY_DIGEST = Wanted(), Wanted(manifest_digest="sha256:aaaaaaaa")


@pytest.mark.parametrize(
    ("found", "wanted", "approving", "meant"),
    [
        ([], NOTHING, True, None),
        ([ASKED], NOTHING, True, ASKED),
        ([ASKED], NOTHING, False, ASKED),
        # The one that waits, not the one that was approved before.
        ([ASKED, OTHER_APPROVED], NOTHING, True, ASKED),
        ([APPROVED], NOTHING, True, APPROVED),
        ([APPROVED], NOTHING, False, APPROVED),
        # Nobody means what is over without its name.
        ([EXPIRED], NOTHING, True, None),
        ([EXPIRED], BY_DIGEST, True, EXPIRED),
        ([EXPIRED], BY_DIGEST, False, None),
        ([WITHDRAWN], NOTHING, False, None),
        ([WITHDRAWN], BY_DIGEST, False, WITHDRAWN),
        ([WITHDRAWN], BY_DIGEST, True, None),
        ([ASKED, OTHER], BY_DIGEST, True, ASKED),
        ([ASKED, OTHER], Wanted(manifest_digest=SECOND), True, OTHER),
        ([ASKED, row("requested", gates=OTHER_GATES)], Wanted(gate_set_digest=GATES[:8]), True, ASKED),
        ([ASKED, row("requested", source="qa")], Wanted(source="staging"), True, ASKED),
        ([ASKED], Wanted(source="qa"), True, None),
    ],
)
def test_which_one_is_meant(
    found: list[Approval], wanted: Wanted, approving: bool, meant: Approval | None
) -> None:
    assert answered(found, wanted, approving=approving) is meant


@pytest.mark.parametrize(
    ("found", "approving"),
    [
        ([ASKED, OTHER], True),
        ([ASKED, OTHER], False),
        ([APPROVED, OTHER_APPROVED], True),
        # What of the two is to go?
        ([ASKED, OTHER_APPROVED], False),
    ],
)
def test_nobody_guesses_which_one_is_meant(found: list[Approval], approving: bool) -> None:
    with pytest.raises(PlatformError, match="Several promotions may be meant") as failure:
        answered(found, NOTHING, approving=approving)
    assert all(one.subject.manifest_digest[7:19] in failure.value.message for one in found)


@pytest.mark.parametrize("start", ["", "aaaaaaa", "AAAAAAAA", "sha256:", "a" * 65, "%aaaaaaaa"])
def test_a_beginning_is_long_enough(start: str) -> None:
    with pytest.raises(PlatformError, match="is no beginning of a SHA-256"):
        check_start("manifest_digest", start)
    check_start("manifest_digest", "sha256:aaaaaaaa")


@pytest.mark.parametrize(
    ("rows", "verdict", "told"),
    [
        ([], "inconclusive", "nobody has asked"),
        ([ASKED], "inconclusive", "nobody has answered"),
        ([EXPIRED], "inconclusive", "(expired)"),
        ([APPROVED], "pass", "asked by alice"),
        ([WITHDRAWN], "fail", "withdrawn by bob: no"),
        ([OTHER_APPROVED], "fail", "bob approved something else (manifest"),
        ([row("approved", SECOND, left=-1)], "inconclusive", "nobody has asked"),
        ([ASKED, OTHER_APPROVED], "inconclusive", "nobody has answered"),
        # As the owner of the tables may have written it.
        ([replace(APPROVED, by="Alice@other")], "fail", "asked as alice and approved it"),
        ([replace(APPROVED, by="\u0430lice")], "fail", "asked as alice and approved it"),
    ],
)
def test_what_the_gate_says(rows: list[Approval], verdict: str, told: str) -> None:
    gate = approval.judged(ASKED.subject, rows)
    assert (gate.name, gate.verdict, told in gate.reason) == ("approval", verdict, True), gate.reason
