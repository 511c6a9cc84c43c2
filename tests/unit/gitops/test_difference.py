# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diff shows of files that somebody else may have written."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.difference import differences
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes

CANARY = "c4n4ry-7f3a9c"


@pytest.mark.parametrize(
    "before", [f"hfToken: {CANARY}\n", f"a: [\npassword: {CANARY}\n", f"url: https://u:{CANARY}@h/\n"]
)
def test_a_secret_of_somebody_else_is_hidden(before: str) -> None:
    (shown,) = differences(Changes({"a": b"b: 1\n"}, before={"a": before.encode()}))
    assert shown["after"] == "b: 1\n"
    assert "[hidden]" in shown["before"]
    assert CANARY not in str(shown)


def test_files_that_come_and_go_have_one_side() -> None:
    changes = Changes(
        {"new": b"a: 1\n"}, ("old",), {"charts/x": {"b": b"", "a": b"secret"}}, {"old": b"c: 2\n"}
    )
    assert [(item["before_header"], item["before"], item["after"]) for item in differences(changes)] == [
        ("new", "", "a: 1\n"),
        ("old", "c: 2\n", ""),
        ("charts/x", "", "a\nb\n"),
    ]
