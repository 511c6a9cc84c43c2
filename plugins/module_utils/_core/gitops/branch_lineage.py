# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lineage of a commit, for whoever has the repository at hand: what decides is the target's files.

Targets share a branch, so Argo CD may compare a later commit than the one that was delivered, which leaves
the target's files as they are. No history is needed to see that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ..common.deadline import Deadline
from .lineage import Relation, is_commit
from .repository import GitRepository

#: A commit that is not the wanted one is looked at anew after so many seconds: the branch may have moved.
_AGAIN_S = 15.0


class BranchLineage:
    """Tells what a commit is to the delivered one, by the target's files in both and in the branch."""

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[GitRepository]],
        paths: Sequence[str],
        commit: str,
        deadline: Deadline,
    ) -> None:
        self._opened, self._paths, self._commit, self._deadline = opened, paths, commit, deadline
        self._known: dict[str, tuple[Relation, float]] = {commit: (Relation.WANTED, 0.0)}

    def __call__(self, named: str) -> Relation:
        """Return the relation of a commit that Argo CD names."""
        relation, since = self._known.get(named, (Relation.UNKNOWN, float("-inf")))
        now = self._deadline.elapsed()
        if relation is not Relation.WANTED and now - since >= _AGAIN_S:
            relation = self._look(named) if is_commit(named) else Relation.UNKNOWN
            self._known[named] = relation, now
        return relation

    def _look(self, named: str) -> Relation:
        with self._opened() as repository:
            trees = [repository.at(commit) for commit in (named, self._commit)]
            there, wanted = (tree.identities(self._paths) if tree is not None else None for tree in trees)
            if there is None or wanted is None:
                return Relation.UNKNOWN
            if there == wanted:
                return Relation.WANTED
            # Argo CD goes where the branch goes: what is not there any more is from before.
            now = repository.head().identities(self._paths)
            return Relation.AGAINST if there == now else Relation.EARLIER
