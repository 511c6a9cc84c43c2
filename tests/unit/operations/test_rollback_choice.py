# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which manifest a rollback goes to: a row a case. A manifest is a letter, its digest repeats that letter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import short_digest
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.choice import (
    Choice,
    Standing,
    Wish,
    choose,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import Manifest

PASSED, BAD, OUT = "passed", "failed", "revoked"
REMOVE = Wish(remove_first=True)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def manifests(recorded: str, **verdicts: str | None) -> list[Manifest]:
    """Return what is on record, newest first: ``"1a 2b"`` is revision 1 of a, then revision 2 of b.

    A manifest served well, unless a verdict says something else.
    """
    found = [
        Manifest(
            number,
            "model-staging",
            int(text[:-1]),
            digest(text[-1]),
            "0.1.0",
            None,
            None,
            None,
            None,
            None,
            datetime(2026, 11, 30, tzinfo=UTC),
            verdicts.get(text[-1], PASSED),
            "it hung" if verdicts.get(text[-1], PASSED) in (BAD, OUT) else None,
        )
        for number, text in enumerate(recorded.split())
    ]
    return found[::-1]


def at(recorded: str, there: str = "", left: str = "", **verdicts: str | None) -> Standing:
    """Return where a target stands; ``there`` is Helm's newest revision, such as ``2b``."""
    return Standing(
        manifests(recorded, **verdicts),
        int(there[:-1]) if there else None,
        digest(there[-1]) if there else None,
        short_digest(digest(left)) if left else "",
    )


@dataclass(frozen=True)
class Goes:
    """A case: where a target stands, what is asked for, where it goes, and what is given up by that."""

    what: str
    standing: Standing
    to: str  #: ``1a``; empty where the model is taken away
    leaves: str  #: ``b``; empty for nothing
    wish: Wish = field(default_factory=Wish)


GOES = [
    Goes("A, then B", at("1a 2b", "2b"), "1a", "b"),
    Goes("B did not serve and was not registered", at("1a", "2b"), "1a", "b"),
    Goes("B did not serve, which is known", at("1a 2b", "2b", b=BAD), "1a", "b"),
    Goes("A, B, and A again by a deployment", at("1a 2b 3a", "3a"), "2b", "a"),
    Goes("A, B, A, C: by its newest revision", at("1a 2b 3a 4c", "4c"), "3a", "c"),
    Goes("A, B, A by a rollback, C", at("1a 2b 3a 4c", "4c", b=OUT), "3a", "c"),
    Goes("A, B, C: one step only", at("1a 2b 3c", "3c"), "2b", "c"),
    Goes("A, B, C, where B never served", at("1a 2b 3c", "3c", b=BAD), "1a", "c"),
    Goes("A, B, C, where nobody has verified B", at("1a 2b 3c", "3c", b=None), "1a", "c"),
    # Asking twice is as good as once.
    Goes("has gone back already", at("1a 2b 3a", "3a", left="b", b=OUT), "3a", ""),
    Goes("has gone back, and what was left is not marked", at("1a 2b 3a", "3a", left="b"), "3a", ""),
    Goes("a run was killed after Helm, before the registry", at("1a 2b", "3a", left="b"), "1a", ""),
    Goes("gone back to what nobody has verified", at("1a 2b 3a", "3a", left="b", a=None), "3a", ""),
    Goes("gone back from C to A, a third time", at("1a 2b 3c 4a", "4a", left="c"), "4a", ""),
    # Gone back to what does not serve any more.
    Goes("gone back to what did not serve", at("1a 2b 3c", "4b", left="c", b=BAD), "1a", "b"),
    Goes("the same, C marked by label only", at("1a 2b 3c 4b", "4b", left="c", b=BAD), "1a", "b"),
    # An uninstall: revisions count from 1 again, or nothing is there.
    Goes("revisions began again", at("1a 2b 1c", "1c"), "2b", "c"),
    Goes("nothing is there, but served once", at("1a 2b"), "2b", ""),
    # The first revision.
    Goes("the first is taken away when asked", at("1a", "1a"), "", "a", REMOVE),
    Goes("and before anything was registered", at("", "1a"), "", "a", REMOVE),
    Goes("and where it is marked already", at("1a", "1a", a=OUT), "", "a", REMOVE),
    Goes("and where it was repaired", at("1a 2a", "2a"), "", "a", REMOVE),
    Goes("but there is another one", at("1a 2b", "2b"), "1a", "b", REMOVE),
    # It was taken away by then, or is on its way: again is as good as once.
    Goes("the first is gone", at("1a", a=OUT), "", "", REMOVE),
    Goes("and was not marked", at("1a"), "", "", REMOVE),
    Goes("and never registered", at(""), "", "", REMOVE),
    # By name.
    Goes("a revision", at("1a 2b 3c", "3c"), "1a", "c", Wish("1")),
    Goes("a revision that there was twice", at("1a 2b 1c 2d", "2d"), "1c", "d", Wish("1")),
    Goes("the same manifest", at("1a 2b 3a", "3a"), "1a", "", Wish("1")),
    Goes("forward again, to what was left", at("1a 2b 3a", "3a", left="b"), "2b", "a", Wish("2")),
    Goes("rejected, by consent", at("1a 2b", "2b", a=OUT), "1a", "b", Wish("1", allow_rejected=True)),
    Goes("what nobody has verified", at("1a 2b", "2b", a=None), "1a", "b", Wish("1")),
    Goes("a digest", at("1a 2b", "2b"), "1a", "b", Wish("a" * 64)),
    Goes("the beginning of a digest", at("1a 2b", "2b"), "1a", "b", Wish("a" * 8)),
    Goes("with its algorithm", at("1a 2b", "2b"), "1a", "b", Wish(f"sha256:{'a' * 8}")),
    Goes("in capitals, with spaces", at("1a 2b", "2b"), "1a", "b", Wish(f"  SHA256:{'A' * 12}\n")),
    Goes("of several revisions the newest", at("1a 2b 3a 4b", "4b"), "3a", "b", Wish("a" * 8)),
    Goes("a digest of figures only", at("1a 20", "1a"), "20", "a", Wish("0" * 8)),
    Goes("a first revision by name", at("1a", "1a"), "1a", "", Wish("1", remove_first=True)),
]  # fmt: skip


@pytest.mark.parametrize("case", GOES, ids=lambda case: case.what)
def test_where_it_goes(case: Goes) -> None:
    chosen = choose(case.standing, case.wish)
    to = f"{chosen.to.revision}{chosen.to.digest[-1]}" if chosen.to else ""
    assert (to, (chosen.leaves or "")[-1:]) == (case.to, case.leaves)


@dataclass(frozen=True)
class Refused:
    """A case: where a target stands, what is asked for, and words of the refusal."""

    what: str
    standing: Standing
    words: tuple[str, ...]
    wish: Wish = field(default_factory=Wish)


REFUSED = [
    Refused("nothing on record", at(""), ("no revision is on record", "Deploy the model")),
    Refused("the first", at("1a", "1a"), ("revision 1 is the first", "rollback_first_revision")),
    Refused("the first, not registered", at("", "1a"), ("revision 1 is the first",)),
    Refused("all rejected", at("1a 2b 3c", "3c", a=BAD, b=OUT), ("revision 2", "revoked", "failed")),
    Refused("never verified", at("1a 2b", "2b", a=None), ("never verified", "rollback_to")),
    Refused("gone back to what did not serve", at("1a 2b 3a", "3a", left="b", a=BAD), ("no other revision",)),
    Refused("only what was just left", at("1a 2b 3a", "3a", left="b", a=OUT), ("no other revision",)),
    Refused("not the first", at("1a 2b", "2b", a=BAD), ("no other revision",), REMOVE),
    Refused("a revision that is not on record", at("1a 2b", "2b"), ("not on record", "2, 1"), Wish("7")),
    Refused("revision 0", at("1a", "1a"), ("not on record",), Wish("0")),
    Refused("a digest that is not on record", at("1a", "1a"), ("not on record",), Wish("f" * 64)),
    Refused("nothing on record at all", at(""), ("last revisions: none",), Wish("1")),
    Refused("what did not serve", at("1a 2b", "2b", a=BAD), ("did not serve: it hung",), Wish("1")),
    Refused("what was given up", at("1a 2b", "2b", a=OUT), ("was given up: it hung",), Wish("a" * 8)),
    Refused("given up, and there", at("1a 2b", "2b", b=OUT), ("was given up",), Wish("2")),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.what)
def test_why_it_goes_nowhere(case: Refused) -> None:
    with pytest.raises(PlatformError) as caught:
        choose(case.standing, case.wish)
    assert caught.value.error_class is ErrorClass.INVALID
    for word in case.words:
        assert word in f"{caught.value.message} {caught.value.resolution}"


def _two(first: str, second: str) -> Standing:
    """Return a target with two manifests of these digests."""
    old, new = manifests("1a 2b")[::-1]
    return Standing([_of(new, second), _of(old, first)], 2, second)


def _of(manifest: Manifest, whole: str) -> Manifest:
    return Manifest(**{**vars(manifest), "digest": whole})


@pytest.mark.parametrize("start", ["abcdef01", "12345678", "00000000"])
def test_the_beginning_of_several_digests_is_refused(start: str) -> None:
    target = _two(f"sha256:{start}{'a' * 56}", f"sha256:{start}{'b' * 56}")
    with pytest.raises(PlatformError, match="several digests"):
        choose(target, Wish(start))
    assert choose(target, Wish(f"{start}a")) == Choice(target.manifests[1], target.digest)


def test_a_digest_without_its_algorithm_is_found_as_well() -> None:
    target = _two("a" * 64, "b" * 64)
    assert choose(target, Wish(f"sha256:{'a' * 64}")).to == target.manifests[1]


HOSTILE = [
    " ", "latest", "-1", "+1", "1.0", "1e3", "0x1", "1_0", "v1", "1;2", "²", "abcdefg",
    "abcdef0", "a" * 65, "sha256:", "sha512:" + "a" * 64,
    "sha256:sha256:" + "a" * 60, "%", "a%", ".*", "{{ 7 * 7 }}",
    "1' OR '1'='1", "../1", "aaaaaaaa\x00", "\ud800aaaaaaa", "None", "9" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("to", HOSTILE, ids=lambda to: repr(to[:12]))
def test_what_names_nothing_is_refused(to: str) -> None:
    with pytest.raises(PlatformError) as caught:
        choose(at("1a 2b", "2b"), Wish(to))
    assert caught.value.error_class is ErrorClass.INVALID
    assert len(caught.value.message) < 1000


@given(
    letters=st.lists(st.sampled_from("abcd"), max_size=6),
    verdicts=st.fixed_dictionaries(dict.fromkeys("abcd", st.sampled_from([PASSED, BAD, OUT, None]))),
    there=st.sampled_from(["", "a", "b", "c", "d"]),
    left=st.sampled_from(["", "a", "b", "c", "d"]),
    remove=st.booleans(),
)  # fmt: skip
def test_by_default_it_never_goes_to_what_is_there_was_left_or_was_rejected(
    letters: list[str], verdicts: dict[str, str | None], there: str, left: str, remove: bool
) -> None:
    recorded = " ".join(f"{number + 1}{letter}" for number, letter in enumerate(letters))
    target = at(recorded, f"9{there}" if there else "", left, **verdicts)
    try:
        chosen = choose(target, Wish(remove_first=remove))
    except PlatformError:
        return
    if chosen.to is None:
        assert remove
        assert len({*letters, there} - {""}) <= 1
        return
    assert not chosen.to.rejected
    if chosen.to.digest == target.digest:
        assert left
        assert chosen.leaves is None
        return
    assert chosen.to.passed
    assert short_digest(chosen.to.digest) != target.left
    # And having gone there, it stays: the second time changes nothing.
    after = at(recorded, f"10{chosen.to.digest[-1]}", there, **verdicts)
    if there:
        assert choose(after, Wish(remove_first=remove)).leaves is None
