# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A branch of a Git repository as a store: each change is one commit, pushed only onto what it was made from.

There is no working tree, so no link, hook, filter or attribute of the repository has anything to say. A push
names the commit that the branch has to be at. Where somebody else was faster, or has rewritten the branch,
the change is planned anew on what is there.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.run_folder import digest, locked
from .address import Address, check_address, check_branch
from .commit import commit_stream
from .credentials import Credentials, check_credentials
from .git import Git
from .git_lineage import git_lineage
from .git_tree import GitTree
from .lineage import Lineage
from .signature import Signature
from .tree import Changes, Plan, Stored

_BASE, _NEW = "refs/llmops/base", "refs/llmops/new"
# What a push is answered with where the branch is not at the commit that was named, by us or by the server.
_RACED = re.compile(
    r"^!\t.*(\[rejected\]|\[remote rejected\] \((cannot lock ref|failed to update ref|incorrect old value|"
    r"remote ref updated|reference already exists|shallow update not allowed|failed to lock))",
    re.MULTILINE,
)
# Nobody holds the turn for longer than a timeout; who has waited for so many goes without.
_PATIENCE = 10
_WORTH_TELLING_S = 1.0
_NO_BRANCH = "couldn't find remote ref"
#: One commit, and nothing but it.
_SHALLOW = ("--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")


@dataclass(frozen=True)
class RepositoryOptions:
    """Which branch of which repository, and how to log in and sign."""

    address: Address
    branch: str = "main"
    credentials: Credentials = field(default_factory=Credentials)
    author: Signature = field(default_factory=Signature)
    committer: Signature | None = None
    binary: str = "git"

    @classmethod
    def checked(
        cls,
        url: str,
        branch: str = "main",
        credentials: Credentials | None = None,
        author: Signature | None = None,
        committer: Signature | None = None,
        binary: str = "git",
    ) -> RepositoryOptions:
        """Check what is given; raises ``invalid``."""
        address, given = check_address(url), credentials or Credentials()
        check_credentials(given, address)
        return cls(address, check_branch(branch), given, author or Signature(), committer, binary)


class GitRepository:
    """A store in a branch. Use :func:`opened_repository`."""

    def __init__(
        self, options: RepositoryOptions, git: Git, deadline: Deadline, progress: Callable[[str], None]
    ) -> None:
        self._options, self._git, self._deadline, self._progress = options, git, deadline, progress
        self._backoff = Backoff(0.2, 5.0)
        #: A push that broke off before the server's answer: it may have arrived.
        self._doubtful: Changes | None = None

    def change(self, plan: Plan, message: str, *, check_mode: bool) -> Stored:
        """Look, plan, commit and push, until the commit is in the branch or there is nothing to commit."""
        seen = ""
        while True:
            try:
                stored = self._attempt(plan, message, check_mode=check_mode)
                if isinstance(stored, Stored):
                    return stored
                seen = f"somebody else has changed {self._options.branch} meanwhile{stored}"
            except PlatformError as error:
                if error.error_class is ErrorClass.TIMEOUT and seen:
                    # Cut off in the middle of one more attempt, which says less than those before.
                    raise self._too_late(seen) from error
                if error.error_class is not ErrorClass.INFRASTRUCTURE:
                    raise
                seen = error.message
            if self._deadline.expired():
                raise self._too_late(seen)
            self._progress(f"{seen}; trying again")
            self._deadline.pause(self._backoff.next())

    def head(self) -> GitTree:
        """Return the files of the branch as it is now."""
        return GitTree(self._git, patiently(self._fetch, self._deadline, self._progress))

    def lineage(self, commit: str, paths: Sequence[str]) -> Lineage:
        """Return how others stand to a commit, as long as the repository is open."""
        return git_lineage(self._git, self._options.address.url, self._options.branch, commit, paths)

    def _too_late(self, seen: str) -> PlatformError:
        return self._deadline.timeout_error(
            "The change of the repository",
            seen,
            "Check that the repository can be reached and who else writes to it, then run again.",
        )

    def _attempt(self, plan: Plan, message: str, *, check_mode: bool) -> Stored | str:
        """Return what is done; where the branch is not any more what it was, what the server says of it."""
        head = self._fetch()
        changes = plan(GitTree(self._git, head))
        if not changes:
            return Stored(self._doubtful or changes, head)
        if check_mode:
            return Stored(changes)
        author = self._options.author
        stream = commit_stream(
            _NEW, head, changes, message, author, self._options.committer or author, int(time.time())
        )
        self._git.run("fast-import", "--quiet", "--force", "--done", stdin=stream)
        commit = self._git.run("rev-parse", "--verify", _NEW).decode().strip()
        self._doubtful = changes
        raced = self._push(commit, head)
        if raced is not None:
            self._doubtful = None
            return raced
        return Stored(changes, commit)

    def _fetch(self) -> str | None:
        """Return the commit that the branch is at, None for a repository without a commit."""
        url, branch = self._options.address.url, self._options.branch
        wanted = f"+refs/heads/{branch}:{_BASE}"
        answer = self._git.ask("fetch", *_SHALLOW, "--", url, wanted)
        if answer.code == 0:
            return self._git.run("rev-parse", "--verify", _BASE).decode().strip()
        if _NO_BRANCH not in answer.errors:
            raise self._git.failure("fetch", answer)
        if self._git.run("ls-remote", "--heads", "--", url).strip():
            raise invalid(
                "branch",
                branch,
                "is not in the repository",
                "Correct it (gitops_branch), or make that branch.",
            )
        return None

    def _push(self, commit: str, head: str | None) -> str | None:
        """Bring the branch from one commit to the other; return what is said of a race, else None."""
        ref = f"refs/heads/{self._options.branch}"
        lease = f"--force-with-lease={ref}:{head or ''}"
        target = f"{commit}:{ref}"
        answer = self._git.ask(
            "push", "--porcelain", "--no-verify", lease, "--", self._options.address.url, target
        )
        if answer.code == 0:
            return None
        if _RACED.search(answer.output.decode(errors="replace")):
            # A lock that nobody holds any more looks like a race that does not end.
            return f". The server says: {self._git.words(answer)}" if b"[remote" in answer.output else ""
        answer = type(answer)(
            answer.code, b"", f"{answer.errors}\n{answer.output.decode(errors='replace')}".strip()
        )
        raise self._git.failure("push", answer)


@contextmanager
def opened_repository(
    options: RepositoryOptions,
    deadline: Deadline,
    progress: Callable[[str], None],
    run_folder: Path | None = None,
    *,
    takes_turns: bool = True,
) -> Iterator[GitRepository]:
    """Return the repository for the time of a change, in a private folder that goes away with it.

    Hosts of one play take turns, so that they need not race each other. The deadline begins with the turn.
    Who only reads need not wait.
    """
    with _private_folder(run_folder) as folder:
        turn = (run_folder or folder) / f"llmops-git-{digest(options.address.url, options.branch)}.lock"
        waits = locked(turn, lambda: deadline.elapsed() < _PATIENCE * deadline.seconds)
        with waits if takes_turns else nullcontext():
            if deadline.elapsed() >= _WORTH_TELLING_S:
                progress(f"waited {deadline.elapsed():.0f} s for other hosts of this play")
            own = deadline.anew()
            try:
                git = Git(options.binary, folder, options.address, options.credentials, own)
            except OSError as error:
                raise _no_folder(error) from error
            yield GitRepository(options, git, own, progress)


@contextmanager
def _private_folder(parent: Path | None) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="llmops-git-", dir=parent))
    except OSError as error:
        raise _no_folder(error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_folder(error: OSError) -> PlatformError:
    return PlatformError(
        ErrorClass.INFRASTRUCTURE,
        f"There is no folder for a copy of the repository: {error}.",
        "Give TMPDIR a folder that can be written to, then run again.",
    )
