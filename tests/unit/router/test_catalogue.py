# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture moves forward only, and what is remembered of unknown names is bounded."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_router import catalogue as catalogue_module
from llmops_router.catalogue import NEGATIVE_TTL_S, Catalogue
from llmops_router.endpoints import AllowedEndpoints
from llmops_router.snapshot import BadSnapshotError, Entry, Snapshot, Version, dump, load, version_of

REGISTRY = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
ENTRY = Entry("org/chat", "ready", "enabled", "http://chat.models.svc.cluster.local:8000", 1)


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def snapshot(epoch: int, *entries: Entry, registry_id: str = REGISTRY) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(Version(registry_id, epoch), {entry.model: entry for entry in entries}, "then")


def empty(clock: Clock | None = None) -> Catalogue:
    """Return a catalogue that has seen nothing."""
    return Catalogue(AllowedEndpoints.parse(".svc.cluster.local"), clock or Clock())


@given(st.lists(st.tuples(st.sampled_from([REGISTRY, OTHER]), st.integers(0, 20)), min_size=1))
def test_an_older_picture_of_the_same_registry_is_never_taken(versions: list[tuple[str, int]]) -> None:
    catalogue = empty()
    for identity, epoch in versions:
        before = catalogue.version
        taken = catalogue.advance(snapshot(epoch, registry_id=identity))
        assert taken == (before is None or before.registry_id != identity or epoch > before.epoch)
        assert catalogue.version == (Version(identity, epoch) if taken else before)


def test_the_same_version_with_other_rows_is_taken_from_the_registry_only() -> None:
    catalogue = empty()
    catalogue.advance(snapshot(7, ENTRY))
    assert not catalogue.advance(snapshot(7, ENTRY))
    disabled = snapshot(7, ENTRY._replace(desired_state="disabled"))
    assert not catalogue.advance(disabled, by_registry=False)
    assert catalogue.advance(disabled)
    route = catalogue.find("org/chat")
    assert route is not None
    assert route.target is None


def test_only_ready_and_enabled_models_have_a_target() -> None:
    catalogue = empty()
    catalogue.advance(
        snapshot(
            1,
            ENTRY,
            ENTRY._replace(model="draining", status="draining"),
            ENTRY._replace(model="withdrawn", desired_state="disabled"),
            ENTRY._replace(model="nowhere", endpoint=None),
            ENTRY._replace(model="elsewhere", endpoint="http://evil.example"),
        )
    )
    assert [name for name, route in catalogue.routes.items() if route.target] == ["org/chat"]
    elsewhere = catalogue.find("elsewhere")
    assert elsewhere is not None
    assert "outside of" in elsewhere.refusal


def test_a_route_is_current_until_it_is_withdrawn_or_moves() -> None:
    catalogue = empty()
    catalogue.advance(snapshot(1, ENTRY))
    route = catalogue.find("org/chat")
    assert route is not None
    catalogue.advance(snapshot(2, ENTRY, ENTRY._replace(model="another")))
    assert catalogue.find("org/chat") is route
    catalogue.advance(snapshot(3, ENTRY._replace(row_version=2)))
    assert catalogue.is_current(route)
    catalogue.advance(snapshot(4, ENTRY._replace(endpoint="http://moved.models.svc.cluster.local")))
    assert not catalogue.is_current(route)
    catalogue.advance(snapshot(5, ENTRY._replace(status="draining")))
    assert not catalogue.is_current(route)
    catalogue.advance(snapshot(6))
    assert not catalogue.is_current(route)


def test_an_unknown_name_is_remembered_for_a_moment_or_until_a_change() -> None:
    clock = Clock()
    catalogue = empty(clock)
    catalogue.advance(snapshot(1))
    catalogue.remember_absent("org/none")
    assert catalogue.is_known_absent("org/none")
    clock.now += NEGATIVE_TTL_S
    assert not catalogue.is_known_absent("org/none")
    catalogue.remember_absent("org/none")
    catalogue.advance(snapshot(2))
    assert not catalogue.is_known_absent("org/none")


def test_the_oldest_name_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "NEGATIVE_LIMIT", 3)
    catalogue = empty()
    for name in ("a", "b", "c", "a", "d"):
        catalogue.remember_absent(name)
    assert [name for name in "abcd" if catalogue.is_known_absent(name)] == ["a", "c", "d"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ENTRIES = st.builds(Entry, TEXT, TEXT, TEXT, st.none() | TEXT, st.integers(0, 2**62))


@given(st.lists(ENTRIES, unique_by=lambda entry: entry.model))
def test_the_shared_form_loses_nothing(entries: list[Entry]) -> None:
    before = snapshot(7, *entries)
    assert load(before.version, dump(before), "then") == before


@given(st.binary())
def test_other_bytes_are_refused(body: bytes) -> None:
    # Of all short texts, only an empty list is a picture.
    with nullcontext() if body.strip() == b"[]" else pytest.raises(BadSnapshotError):
        load(Version(REGISTRY, 1), body, "then")


def test_what_is_no_version_is_refused() -> None:
    assert version_of(REGISTRY.upper(), b"7") == Version(REGISTRY, 7)
    for registry_id, epoch in ((None, 1), ("x", 1), (REGISTRY, None), (REGISTRY, "many")):
        with pytest.raises(BadSnapshotError):
            version_of(registry_id, epoch)
