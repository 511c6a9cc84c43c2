# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a commit, read from Git's objects."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.errors import ErrorClass, PlatformError
from .git import Git
from .tree import no_plain_file

_FILE_MODES = (b"100644", b"100755")


@dataclass(frozen=True)
class GitTree:
    """The tree of a commit; without a commit it is empty."""

    git: Git
    commit: str | None

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        self._check_parents(path)
        return self._contents(path, self._listed(path)).get(path)

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by their paths in it."""
        self._check_parents(f"{folder}/-")
        found = self._contents(folder, self._listed("-r", folder))
        return {path.removeprefix(f"{folder}/"): content for path, content in found.items()}

    def _listed(self, *what: str) -> list[tuple[bytes, bytes, str]]:
        """Return mode, object and path of each entry."""
        if self.commit is None:
            return []
        *options, path = what
        output = self.git.run("ls-tree", "-z", "--full-tree", *options, self.commit, "--", path)
        entries = []
        for line in output.split(b"\0")[:-1]:
            facts, _, name = line.partition(b"\t")
            mode, _, identity = facts.split(b" ")
            entries.append((mode, identity, name.decode(errors="surrogateescape")))
        return entries

    def _check_parents(self, path: str) -> None:
        """Raise ``invalid`` where a file or a link is in the place of a folder."""
        parts = path.split("/")[:-1]
        for number in range(1, len(parts) + 1):
            parent = "/".join(parts[:number])
            for mode, _, _ in self._listed(parent):
                if mode != b"040000":
                    raise no_plain_file(parent)

    def _contents(self, what: str, entries: list[tuple[bytes, bytes, str]]) -> dict[str, bytes]:
        for mode, _, path in entries:
            if mode not in _FILE_MODES:
                raise no_plain_file(path)
        if not entries:
            return {}
        stream = self.git.run("cat-file", "--batch", stdin=b"".join(b"%s\n" % item[1] for item in entries))
        found = {}
        for _, _, path in entries:
            head, _, stream = stream.partition(b"\n")
            if not head.rsplit(b" ", 1)[-1].isdigit():
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE, f"The repository does not give {what}.", "Run again."
                )
            size = int(head.rsplit(b" ", 1)[-1])
            found[path], stream = stream[:size], stream[size + 1 :]
        return found
