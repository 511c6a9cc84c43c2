# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired state: what it does to a status, which changes say nothing else, and what is a withdrawal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entries import Change
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    DESIRED_STATES,
    STATUSES,
    Entry,
    changes_only_desired_state,
    check_changes,
    is_overruled,
    merged,
)

READY = Entry("m", "staging", status="ready", endpoint="http://h:1", version=4)
DISABLED = replace(READY, status="disabled", desired_state="disabled", status_reason="incident 4711")

entries = st.builds(
    Entry,
    model=st.just("m"),
    environment=st.just("staging"),
    status=st.sampled_from(STATUSES),
    desired_state=st.sampled_from(DESIRED_STATES),
    endpoint=st.just("http://h:1"),
    status_reason=st.sampled_from([None, "r"]),
).filter(lambda entry: entry.desired_state == "enabled" or entry.status not in ("ready", "degraded"))
asked = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATUSES),
        "desired_state": st.sampled_from(DESIRED_STATES),
        "status_reason": st.sampled_from([None, "new"]),
        "image": st.sampled_from([None, "i"]),
    },
)


@given(entries, asked)
def test_a_disabled_model_is_never_routed_and_nobody_else_enables_it(
    before: Entry, changes: dict[str, Any]
) -> None:
    after = merged(before, changes)
    if after.desired_state == "disabled":
        assert after.status not in ("ready", "degraded")
        assert after.route is None
    if before.desired_state == "disabled" and "desired_state" not in changes:
        assert after.desired_state == "disabled"
    if before.status != "ready" and changes.get("status") != "ready":
        assert after.route is None


@given(entries, asked)
def test_merging_again_changes_nothing(before: Entry, changes: dict[str, Any]) -> None:
    """The second run of a task finds nothing to do."""
    after = merged(before, changes)
    assert merged(after, changes) == after


@given(entries, asked)
def test_what_needs_no_lock_gives_nothing_to_clients(before: Entry, changes: dict[str, Any]) -> None:
    after = merged(before, changes)
    if changes_only_desired_state(before, after):
        assert after.route in (None, before.route)
        assert after.image == before.image


@pytest.mark.parametrize(
    ("before", "changes", "free"),
    [
        (READY, {"desired_state": "disabled"}, True),
        (READY, {"status": "disabled", "status_reason": "wrong"}, True),
        (replace(READY, status="deploying"), {"desired_state": "disabled"}, True),
        (DISABLED, {"desired_state": "enabled"}, True),
        (DISABLED, {"desired_state": "enabled", "status": "ready"}, False),
        (READY, {"desired_state": "disabled", "image": "i"}, False),
        (READY, {"status": "failed"}, False),
        (READY, {"status_reason": "note"}, False),
        (READY, {}, False),
    ],
)
def test_what_changes_only_the_desired_state(before: Entry, changes: dict[str, Any], free: bool) -> None:
    assert changes_only_desired_state(before, merged(before, changes)) is free


def test_the_reason_of_whoever_disabled_it_stays() -> None:
    deployed = merged(DISABLED, {"status": "ready", "status_reason": None, "image": "i"})
    assert (deployed.status, deployed.status_reason, deployed.image) == ("disabled", "incident 4711", "i")
    assert is_overruled({"status": "ready"}, deployed)
    assert not is_overruled({"image": "i"}, deployed)


@pytest.mark.parametrize(
    ("before", "after", "publishes"),
    [
        (None, READY, True),
        (DISABLED, READY, True),
        (READY, replace(READY, image="i"), True),
        (READY, replace(READY, endpoint="http://other:1"), False),
        (READY, DISABLED, False),
        (READY, None, False),
        (None, None, False),
    ],
)
def test_what_gives_a_model_to_clients(before: Entry | None, after: Entry | None, publishes: bool) -> None:
    assert Change(before, after, changed=True).publishes is publishes
    assert not Change(before, after, changed=False).publishes


@pytest.mark.parametrize("value", ["on", "", "Enabled"])
def test_a_bad_desired_state_is_named(value: str) -> None:
    with pytest.raises(PlatformError, match="desired_state"):
        check_changes({"desired_state": value})
