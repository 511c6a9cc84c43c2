# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a repository or a folder, as far as somebody asks, and what is to be changed about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..common.errors import PlatformError, invalid


class Tree(Protocol):
    """Files by their paths from the root. Raises ``invalid`` for a link or a folder in a file's place."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by their paths in it, none where it is not there."""


@dataclass(frozen=True)
class Changes:
    """Files to write and to remove, and the folders that come in one step and are never changed."""

    writes: Mapping[str, bytes] = field(default_factory=dict)
    removals: tuple[str, ...] = ()
    folders: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    before: Mapping[str, bytes] = field(default_factory=dict)  #: what is there of the files

    def __bool__(self) -> bool:
        return bool(self.writes or self.removals or self.folders)

    @property
    def all_writes(self) -> dict[str, bytes]:
        """Every file to write, those of the folders too."""
        inside = {
            f"{folder}/{name}": data for folder, files in self.folders.items() for name, data in files.items()
        }
        return {**inside, **self.writes}

    @property
    def paths(self) -> list[str]:
        """Every file that is changed; a folder that comes is one, with a slash at its end."""
        return sorted([*self.writes, *self.removals, *(f"{folder}/" for folder in self.folders)])


@dataclass(frozen=True)
class Changed:
    """Files as they would be with some changes."""

    tree: Tree
    changes: Changes

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        if path in self.changes.removals:
            return None
        written = self.changes.all_writes.get(path)
        return written if written is not None else self.tree.read(path)

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by their paths in it."""
        return {**self.tree.files(folder), **self.changes.folders.get(folder, {})}


Plan = Callable[[Tree], Changes]


@dataclass(frozen=True)
class Stored:
    """What was done, or in check mode would be; ``commit`` is the branch's, None where there is no Git."""

    changes: Changes
    commit: str | None = None


class Store(Protocol):
    """Where the files are kept."""

    def change(self, plan: Plan, message: str, *, check_mode: bool) -> Stored:
        """Look, plan, and write; a plan is made anew where somebody else was faster."""


def no_plain_file(path: str) -> PlatformError:
    """Build the error for a link, or whatever else is where only a file or a folder of ours can be."""
    return invalid(
        "path",
        path,
        "is a link, a submodule, or no file where one has to be",
        "Remove it, or give another path (gitops_path).",
    )
