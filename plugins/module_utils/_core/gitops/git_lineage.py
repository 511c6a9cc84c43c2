# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lineage of a commit by the repository itself: other targets commit to the same branch all the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .lineage import Lineage, Relation, is_commit

_SEEN = "refs/llmops/seen"


class Answered(Protocol):
    """What git printed, and its exit status."""

    @property
    def code(self) -> int:
        """Exit status."""

    @property
    def output(self) -> bytes:
        """Standard output."""


class AsksGit(Protocol):
    """Runs git in a repository."""

    def ask(self, *arguments: str) -> Answered:
        """Return git's answer, whatever it is."""


def git_lineage(git: AsksGit, url: str, branch: str, commit: str, paths: Sequence[str]) -> Lineage:
    """Return the lineage of a commit that is in a repository.

    A commit in which ``paths`` are the same files is as good as the wanted one, wherever it stands. History
    is fetched only where a commit is named that is not there yet; what cannot be fetched is unknown.
    """
    known: dict[str, Relation] = {commit: Relation.WANTED}
    history = _History(git, url, branch)

    def relation(named: str) -> Relation:
        if named not in known:
            found = history.relation(named, commit, paths) if is_commit(named) else Relation.UNKNOWN
            if found is Relation.UNKNOWN:
                # It may be there the next time.
                return found
            known[named] = found
        return known[named]

    return relation


class _History:
    def __init__(self, git: AsksGit, url: str, branch: str) -> None:
        self._git, self._url, self._branch = git, url, branch

    def relation(self, named: str, commit: str, paths: Sequence[str]) -> Relation:
        """Return how a commit stands to another."""
        if not self._has(named):
            self._fetch(f"+refs/heads/{self._branch}:{_SEEN}")
        if not self._has(named):
            # The branch has been rewritten; a server may give it all the same.
            self._fetch(named)
        if not self._has(named):
            return Relation.UNKNOWN
        if all(self._object(named, path) == self._object(commit, path) for path in paths):
            return Relation.WANTED
        if self._is_shallow():
            self._fetch(f"+refs/heads/{self._branch}:{_SEEN}", "--unshallow")
        # Status 1 is a no, any other a failure.
        code = self._git.ask("merge-base", "--is-ancestor", named, commit).code
        return {0: Relation.EARLIER, 1: Relation.AGAINST}.get(code, Relation.UNKNOWN)

    def _has(self, commit: str) -> bool:
        return self._git.ask("cat-file", "-e", f"{commit}^{{commit}}").code == 0

    def _object(self, commit: str, path: str) -> bytes:
        """Return the name of a file's or a folder's content, nothing where there is none."""
        answer = self._git.ask("rev-parse", "--verify", "--quiet", f"{commit}:{path}")
        return answer.output.strip() if answer.code == 0 else b""

    def _is_shallow(self) -> bool:
        return self._git.ask("rev-parse", "--is-shallow-repository").output.strip() == b"true"

    def _fetch(self, what: str, *options: str) -> None:
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        self._git.ask("fetch", *quiet, *options, "--", self._url, what)
