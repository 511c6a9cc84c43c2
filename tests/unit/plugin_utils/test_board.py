# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What callback deployments shows of each model."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.plugin_utils._board import (
    FAILED,
    Board,
    cells,
    cut,
    first_sentence,
    one_line,
    outcome_of,
)

DEPLOY = "vllm_deployment"


def board(number: int, *, began: float = 0.0) -> Board:
    """Return a board of so many models that are being deployed."""
    made = Board()
    for index in range(number):
        made.begin(f"model-{index}", DEPLOY, began)
    return made


def test_a_line_has_phase_time_expectation_and_reason() -> None:
    one = board(1)
    assert one.hear("model-0", "rollout", "", 42.0)
    assert one.hear("model-0", "", "model-0-1a2b-staging: 0/1 ready, pulling the image", None)
    line, total = one.live(120, 24, 12.4)
    assert line == "model-0  starting pods     12 s of some 42 s  0/1 ready, pulling the image"
    assert total == "0 of 1 done"


def test_what_is_not_news_is_none() -> None:
    one = board(1)
    assert one.hear("model-0", "", "waiting", None)
    assert not one.hear("model-0", "", "waiting", None)
    assert not one.hear("somebody else", "", "waiting", None)
    one.end("model-0", "deployed", 1, "", 2.0)
    assert not one.hear("model-0", "", "late", None)


def test_the_expectation_stays_while_phases_change() -> None:
    one = board(1)
    one.hear("model-0", "rollout", "", 42.0)
    one.hear("model-0", "verify", "", None)
    assert "verifying" in one.live(120, 24, 1.0)[0]
    assert "of some 42 s" in one.live(120, 24, 1.0)[0]


@pytest.mark.parametrize("number", [1, 4, 22, 23, 24, 25, 100])
@pytest.mark.parametrize("height", [0, 1, 2, 3, 5, 24])
def test_never_more_lines_than_the_terminal_has(number: int, height: int) -> None:
    crowded = board(number)
    crowded.hear("model-0", "capacity", "", None)
    lines = crowded.live(80, height, 1.0)
    assert len(lines) <= height
    if height >= 2:
        assert lines[-1] == f"0 of {number} done"
        shown = sum(line.startswith("model-") for line in lines)
        left = number - shown
        assert left == 0 or lines[-2].startswith(f"and {left} more: ")


def test_the_end_of_all_is_nothing_to_watch() -> None:
    done = board(1)
    done.end("model-0", FAILED, None, "x", 1.0)
    assert done.live(80, 24, 2.0) == []


@pytest.mark.parametrize("width", [0, 1, 2, 10, 39, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    wide = Board()
    wide.begin("模型-" * 20, DEPLOY, 0.0)
    wide.begin("e\u0301" * 40, DEPLOY, 0.0)
    wide.hear("模型-" * 20, "rollout", "等待" * 50, 3.0)
    assert all(cells(line) <= width for line in wide.live(width, 24, 1.0))


@pytest.mark.parametrize(
    ("text", "width", "found"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("模型", 4, "模型"),
        ("模型x", 4, "模…"),
        ("abc", 0, ""),
        ("abc", 1, "…"),
    ],
)
def test_cutting(text: str, width: int, found: str) -> None:
    assert cut(text, width) == found


def test_characters_that_a_terminal_would_obey_are_left_out() -> None:
    hostile = Board()
    hostile.begin("m\x1b[2Jodel\r\n", DEPLOY, 0.0)
    hostile.hear("m\x1b[2Jodel\r\n", "", "a\x07b\x9bc\u202ed\n\te", None)
    hostile.end("m\x1b[2Jodel\r\n", FAILED, None, "x\x1b]0;title\x07", 1.0)
    text = "".join(line for _, line in hostile.table(200))
    assert text.isprintable()
    assert one_line("a\x1b[31mb\u202e") == "a [31mb"


def test_what_is_skipped_was_never_there() -> None:
    one = board(1)
    one.skip("model-0")
    assert one.rows == {}
    assert one.live(80, 24, 1.0) == []


def test_what_is_skipped_leaves_what_came_before() -> None:
    one = board(1)
    one.end("model-0", "deployed", 3, "http://somewhere", 1.0)
    one.begin("model-0", "vllm_rollback", 2.0)
    one.skip("model-0")
    assert one.rows["model-0"].outcome == "deployed"
    assert one.totals() == "1 deployed"


def test_a_host_that_fails_afterwards_is_not_counted_as_good() -> None:
    one = board(2)
    one.end("model-0", "deployed", 3, "http://somewhere", 1.0)
    one.end("model-1", FAILED, None, "workload at rollout: OOMKilled", 1.0)
    assert one.fail_afterwards("model-0", "Smoke test")
    assert not one.fail_afterwards("model-1", "Smoke test")
    assert not one.fail_afterwards("somebody else", "Smoke test")
    assert one.rows["model-0"].text == "deployed, but afterwards: Smoke test"
    assert one.rows["model-0"].revision == "3"
    assert one.rows["model-1"].text == "workload at rollout: OOMKilled"
    assert one.totals() == "2 failed"


def test_what_was_cut_off_says_at_what() -> None:
    one = board(1)
    one.hear("model-0", "rollout", "model-0: 0/1 ready, pulling the image", None)
    assert one.table(None)[-1][1].split(maxsplit=3)[3] == "starting pods: 0/1 ready, pulling the image"


def test_a_long_name_leaves_room_for_the_outcome() -> None:
    one = Board()
    one.begin("m" * 300, DEPLOY, 0.0)
    one.end("m" * 300, FAILED, None, "workload at rollout: OOMKilled", 9.0)
    (_, line) = one.table(80)[-1]
    assert cells(line) <= 80
    assert "failed             9.0 s  workload" in line
    # What is not a terminal has room for all of it.
    assert one.table(None)[-1][1].startswith("m" * 300 + "  failed")


def test_the_table_has_failures_last() -> None:
    some = board(3)
    some.end("model-0", FAILED, None, "workload at rollout: OOMKilled", 9.0)
    some.end("model-1", "unchanged", 4, "http://somewhere revision 4", 1.25)
    outcomes, lines = zip(*some.table(None), strict=True)
    assert outcomes == ("", "unchanged", "cut off", FAILED)
    assert lines == (
        "model    outcome    revision  took",
        "model-1  unchanged  4         1.2 s  http://somewhere revision 4",
        "model-2  cut off",
        "model-0  failed               9.0 s  workload at rollout: OOMKilled",
    )
    assert some.totals() == "1 cut off, 1 failed, 1 unchanged"


@pytest.mark.parametrize(
    ("operation", "result", "check_mode", "outcome"),
    [
        (DEPLOY, {"changed": False}, False, "unchanged"),
        (DEPLOY, {"changed": True, "release": {"revision": 3}}, False, "deployed"),
        (DEPLOY, {"changed": True, "release": {"revision": None}}, False, "removed"),
        (DEPLOY, {"changed": True}, True, "would change"),
        ("vllm_rollback", {"changed": True, "release": {"revision": 3}}, False, "rolled back"),
        ("vllm_promotion", {"changed": True}, False, "promoted"),
        # With async and poll: 0 nobody knows yet how it ends.
        (DEPLOY, {"changed": True, "ansible_job_id": "j1.2", "started": 1, "finished": 0}, False, "started"),
        (DEPLOY, {"changed": True, "ansible_job_id": "j1.2", "finished": 1}, False, "deployed"),
    ],
)
def test_outcomes(operation: str, result: dict[str, Any], check_mode: bool, outcome: str) -> None:
    assert outcome_of(operation, result, check_mode) == outcome


def test_first_sentences() -> None:
    assert first_sentence("No room on 10.0.0.1: 2 of 3. Wait.") == "No room on 10.0.0.1: 2 of 3."
    assert first_sentence("One") == "One"
