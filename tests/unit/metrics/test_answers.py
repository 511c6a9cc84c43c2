# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which answers failed."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.answers import (
    LATE_CODES,
    Answers,
    strange_statuses,
)
from tests.support.playbooks import ROOT


@pytest.mark.parametrize(
    ("statuses", "codes", "failed", "judged"),
    [
        ({}, {}, 0, 0),
        ({"200": 10}, {}, 0, 10),
        # What has no status is no answer of a model server.
        ({"": 1000, "200": 10}, {}, 0, 10),
        ({"200": 8, "500": 1, "503": 1}, {"model_not_ready": 1}, 2, 10),
        # Mistakes of clients, and clients that left, count neither way.
        ({"200": 8, "400": 50, "404": 50, "499": 50}, {"model_disabled": 50}, 0, 8),
        # Told with their status.
        ({"200": 8, "502": 1, "504": 1}, {"upstream_broken": 1, "upstream_timeout": 1}, 2, 10),
        # Begun with 200, then broken off.
        ({"200": 10}, {"upstream_broken": 2, "upstream_timeout": 1}, 3, 10),
        ({"200": 9, "502": 1}, {"upstream_unreachable": 1, "upstream_broken": 2}, 3, 10),
        # The model server's own 502.
        ({"200": 9, "502": 1}, {}, 1, 10),
        # Extrapolated: a part of an answer did not break off.
        ({"200": 9, "502": 10}, {"upstream_broken": 10.4}, 10, 19),
    ],
)
def test_failed_and_judged(
    statuses: dict[str, float], codes: dict[str, float], failed: float, judged: float
) -> None:
    answers = Answers(statuses, codes)
    assert (answers.failed, answers.judged) == (failed, judged)


def test_what_is_no_status_is_told() -> None:
    names = ("200", "404", "503", "", "20", "2000", "2xx", "600", "099", "\u0662\u0660\u0660")
    told = strange_statuses({"b": Answers(dict.fromkeys(names, 0.0)), "a": Answers({"ok": 1.0})})
    assert told[0] == "a counts answers of the status 'ok'"
    assert [line.split(" status ")[1] for line in told[1:]] == [repr(name) for name in sorted(names[3:])]


def test_the_codes_are_those_of_the_router() -> None:
    """A code that it gives with 502 or 504, and that is not known here, would hide answers that broke off."""
    source = (ROOT / "roles/router/files/router/llmops_router/forward.py").read_text(encoding="utf-8")
    told = source.replace("\n", " ").replace(" ", "")
    found = {part.split('"')[1] for status in ("502,", "504,") for part in told.split(status)[1:]}
    assert found == set(LATE_CODES)
