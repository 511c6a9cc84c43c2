# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of Argo CD's controller."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.application_sync import sync_patch

OURS = "a" * 40


def patch(policy: dict[str, Any] | None = None, **compared: Any) -> dict[str, Any]:
    """Return the patch of an Application."""
    item = {
        "metadata": {"resourceVersion": "7"},
        "spec": {"syncPolicy": policy} if policy is not None else {},
        "status": {"sync": {"status": "OutOfSync", **compared}},
    }
    return sync_patch(item, prune=True, actor="anna@host")


def test_only_where_nobody_wrote_meanwhile_and_without_the_old_state() -> None:
    assert patch(revision=OURS) == {
        "metadata": {"resourceVersion": "7"},
        "operation": {"sync": {"revision": OURS, "prune": True}, "initiatedBy": {"username": "anna@host"}},
        "status": {"operationState": None},
    }


def test_by_the_application_s_own_policy() -> None:
    policy = {"syncOptions": ["ServerSideApply=true"], "retry": {"limit": 2}}
    operation = patch(policy, revision=OURS)["operation"]
    assert operation["sync"]["syncOptions"] == ["ServerSideApply=true"]
    assert operation["retry"] == {"limit": 2}


def test_several_sources_at_what_was_compared() -> None:
    sync = patch(revisions=["0.1.0", OURS])["operation"]["sync"]
    assert (sync["revisions"], "revision" in sync) == (["0.1.0", OURS], False)
