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
        {"new": b"a: 1\n"}, ("old",), {"charts/x": {"b\udcff": b"", "a": b"secret"}}, {"old": b"c: 2\n"}
    )
    assert [(item["before_header"], item["before"], item["after"]) for item in differences(changes)] == [
        ("new", "", "a: 1\n"),
        ("old", "c: 2\n", ""),
        ("charts/x", "", "a\nb\ufffd\n"),
    ]


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ("a: 2024-01-01\n", "2024-01-01"),
        ("a: 2024-13-45\n", "2024-13-45"),
        ("a: !!timestamp no\n", "no"),
        ("a: !!binary aGVsbG8=\n", "a: "),
        ("a: !!set {x, y}\n", "x"),
        (f"a: {'9' * 5000}\n", "999"),
        (f"a: {'[' * 3000}{']' * 3000}\n", "a: "),
        ("a: &a [*a]\n", "*a"),
        (BOMB, "*a0"),
    ],
)
def test_whatever_somebody_wrote_can_be_shown_and_hides_its_secrets(before: str, shown: str) -> None:
    text = f"hfToken: {CANARY}\n{before}"
    (found,) = differences(Changes({"a": b"b: 1\n"}, before={"a": text.encode()}))
    assert shown in found["before"]
    assert "hfToken: " in found["before"]
    assert CANARY not in str(found)


@pytest.mark.parametrize("before", [b"# mine\na: 1\n", b"a: 1\r\n", b"{a: 1}\n"])
def test_another_layout_is_told_where_nothing_else_differs(before: bytes) -> None:
    (found,) = differences(Changes({"a": b"a: 1\n"}, before={"a": before}))
    assert found["before"] == "a: 1\n# Only layout or comments differ.\n"
    assert found["after"] == "a: 1\n"
