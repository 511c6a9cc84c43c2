# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages and streams: nothing given can be a line of its own."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.commit import (
    Note,
    commit_stream,
    message,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.signature import Signature
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes


def test_a_message_says_what_why_and_who() -> None:
    text = message(
        "chore(staging): write m", {"Model": "org/m"}, Note("ann@host", "answers are cut off", "7")
    )
    assert text == (
        "chore(staging): write m\n\nanswers are cut off\n\nModel: org/m\nActor: ann@host\nAWX-Job: 7\n"
    )
    assert message("a", {}, Note("ann")) == "a\n\nActor: ann\n"


def test_a_secret_in_a_reason_is_hidden() -> None:
    text = message(
        "a", {}, Note("ann token=c4n4ry", "rotate token=c4n4ry password=c4n4ry ghp_" + "c4n4ry" * 6)
    )
    assert "rotate token=[hidden]" in text
    assert "c4n4ry" not in text


@pytest.mark.parametrize(
    ("actor", "reason", "job"),
    [("a\nB: c", "", None), ("a", "b\n\nSigned-off-by: x", None), ("a", "", "1\n2")],
)
def test_a_line_break_is_refused(actor: str, reason: str, job: str | None) -> None:
    with pytest.raises(PlatformError, match="holds a line break"):
        Note(actor, reason, job)


@pytest.mark.parametrize(
    "text", ["Ann", "<a@b>", "Ann <a@b", "Ann <a b>", "A\n <a@b>", "Ann <a@b> x", "A<b <a@b>"]
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(PlatformError, match=r"^author: "):
        Signature.parsed(text, "author")


def test_a_signature_is_written_as_it_was_read() -> None:
    assert str(Signature.parsed("Ann Ünï <ann@example.com>", "author")) == "Ann Ünï <ann@example.com>"


def test_contents_are_counted() -> None:
    signature = Signature("Ann", "a@b")
    changes = Changes({"a": b"data\nD b\n"}, ("c",), {"d": {'e"f': b"\x00", "g\udcff": b""}})
    stream = commit_stream("refs/x", None, changes, "ä", signature, signature, 5)
    assert b"data 2\n\xc3\xa4\n" in stream
    assert b'M 100644 inline "a"\ndata 9\ndata\nD b\n\n' in stream
    assert b'M 100644 inline "d/e\\"f"\ndata 1\n\x00\n' in stream
    assert b'M 100644 inline "d/g\xff"\ndata 0\n' in stream
    assert b'D "c"\n' in stream
    assert b"from" not in stream
    assert b"from abc\n" in commit_stream("refs/x", "abc", changes, "m", signature, signature, 5)
