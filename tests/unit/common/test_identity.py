# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom an actor stands for. ``CASES`` is what the schema is asked too, in the tests of the registry."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.identity import (
    check_identity,
    identity,
    same_person,
)

CASES: dict[str, str | None] = {
    "alice": "alice",
    "Alice@HOST": "alice",
    "alice@host ": "alice",
    "\talice @ host\n": "alice",
    "ALICE@host.": "alice",
    "alice.@host": "alice",
    "alice@example.com": "alice",
    "CORP\\Alice": "alice",
    "CORP\\alice@host": "alice",
    # Nobody gets another name by what stands behind the @.
    "alice@corp\\bob": "alice",
    # Full-width letters, a ligature, a long s, the sign of kelvins: NFKC.
    "\uff21\uff4c\uff49\uff43\uff45\uff20host": "alice",
    "o\ufb03ce": "office",
    "\u017fam": "sam",
    "\u212aim": "kim",
    "alice\u00a0\u2003": "alice",
    # Not to be told from others, or no letters that everybody can read.
    "\u0430lice": None,  # a Cyrillic a
    "al\u0131ce": None,  # a Turkish i without a dot
    "al\u200bice": None,  # a space without a width
    "al\x00ice".replace("\x00", "\x07"): None,
    "j\u00fcrgen": None,
    "": None,
    " ": None,
    "@host": None,
    "CORP\\": None,
    "...": None,
    "unknown@container": None,
    "Unknown": None,
    # Other people.
    "awx: alice": "awx:alice",
    "alice.b": "alice.b",
    "alice-admin": "alice-admin",
    "alice+1@example.com": "alice+1",
    "root@node-1": "root",
}


@pytest.mark.parametrize(("actor", "person"), CASES.items(), ids=[ascii(actor) for actor in CASES])
def test_whom_an_actor_stands_for(actor: str, person: str | None) -> None:
    assert identity(actor) == person


def test_two_are_one_where_that_cannot_be_told() -> None:
    assert same_person("Alice@laptop", "alice")
    assert not same_person("alice", "bob")
    assert same_person("\u0430lice", "bob")
    assert same_person("unknown@a", "unknown@b")
    assert not same_person("bob", "unknown@b")


def test_who_is_nobody_is_told_what_to_give() -> None:
    assert check_identity("Alice@HOST") == "alice"
    with pytest.raises(PlatformError, match="actor: 'unknown@pod' does not say which person acts"):
        check_identity("unknown@pod")
