# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a commit that Argo CD names is to the one that was delivered, asked of a real repository."""

from __future__ import annotations

from functools import partial

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops import branch_lineage
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.branch_lineage import BranchLineage
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import Relation
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.repository import (
    RepositoryOptions,
    opened_repository,
)
from tests.support.git_server import Bare


def lineage(bare: Bare, commit: str) -> BranchLineage:
    """Return the lineage of a commit of one file."""
    deadline = Deadline(60)
    opened = partial(
        opened_repository, RepositoryOptions.checked(bare.url), deadline, print, takes_turns=False
    )
    return BranchLineage(opened, ("ours",), commit, deadline)


def test_commits_are_told_apart_by_the_target_s_files(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_lineage, "_AGAIN_S", 0.0)
    before = bare.commit("ours", "1")
    delivered = bare.commit("ours", "2")
    later = bare.commit("theirs", "x")
    tell = lineage(bare, delivered)
    assert [tell(commit) for commit in (before, delivered, later)] == [
        Relation.EARLIER,
        Relation.WANTED,
        Relation.WANTED,
    ]
    reverted = bare.commit("ours", "1")
    # What was earlier is where the branch is again.
    assert (tell(reverted), tell(before)) == (Relation.AGAINST, Relation.AGAINST)
    assert tell(later) is Relation.WANTED
    assert tell("f" * 40) is Relation.UNKNOWN
    assert tell("main") is Relation.UNKNOWN


def test_a_commit_that_was_thrown_away_is_still_known_by_its_files(bare: Bare) -> None:
    before = bare.commit("ours", "1")
    delivered = bare.commit("ours", "2")
    bare.git("update-ref", "refs/heads/main", before)
    assert lineage(bare, delivered)(before) is Relation.AGAINST
