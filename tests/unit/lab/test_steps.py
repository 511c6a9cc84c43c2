# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk through the parts: what is right is left alone, check mode asks and does nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.steps import (
    Change,
    Progress,
    Step,
    carry_out,
    plan,
    took,
    wait_for,
)


@dataclass
class Part(Step):
    """A part that is put right by one call."""

    name: str
    reason: str = ""
    needs_api: bool = False
    applied: int = 0
    asked: int = 0
    error: PlatformError | None = field(default=None)

    def pending(self) -> str:
        """Say the reason."""
        self.asked += 1
        if self.error:
            raise self.error
        return self.reason

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Put it right."""
        self.applied += 1
        self.reason = ""


def test_only_what_is_missing_is_done() -> None:
    parts = [Part("a"), Part("b", "is missing"), Part("c")]
    lines: list[str] = []
    assert carry_out(parts, lines.append, Deadline(5)) == [Change("b", "is missing")]
    assert [part.applied for part in parts] == [0, 1, 0]
    assert lines[0] == "b: is missing"
    assert carry_out(parts, lines.append, Deadline(5)) == []


def test_a_plan_changes_nothing_and_equals_what_is_then_done() -> None:
    parts = [Part("a", "one"), Part("b"), Part("c", "two")]
    planned = plan(parts)
    assert [part.applied for part in parts] == [0, 0, 0]
    assert carry_out(parts, lambda line: None, Deadline(5)) == planned


def test_a_plan_does_not_ask_an_api_server_that_is_down() -> None:
    objects = Part("objects", needs_api=True)
    assert plan([Part("kube-apiserver", "is not running"), objects]) == [
        Change("kube-apiserver", "is not running"),
        Change("objects", "is checked once the API server answers"),
    ]
    assert objects.asked == 0


def test_a_plan_reports_a_part_that_cannot_be_asked() -> None:
    failing = Part("a", error=PlatformError(ErrorClass.INFRASTRUCTURE, "no answer", "look"))
    assert plan([failing]) == [Change("a", "no answer")]


def test_waiting_ends_with_the_last_reason() -> None:
    reasons = iter(["one", "two", ""])
    wait_for("it", lambda: next(reasons), Deadline(5), lambda line: None, interval=0)
    with pytest.raises(PlatformError, match="Last seen: never"):
        wait_for("it", lambda: "never", Deadline(0.05), lambda line: None, interval=0.01)


def test_a_start_says_where_the_time_went() -> None:
    changes = [Change("etcd", "is not running", 0.4), Change("kubelet", "died", 12.3), Change("b", "c", 512)]
    assert took(changes) == "b 512 s, kubelet 12 s"
    assert took(changes[:1]) == ""
