# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A folder that is brought to hold files and links: all of them, or with an error none."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..common.errors import PlatformError, invalid
from .entries import Entry, File, Link

_FILE_MODE = 0o644
_SHOWN = 5


@dataclass
class Change:
    """What is written, and what of it is there with another content."""

    writes: dict[str, Entry] = field(default_factory=dict)
    differing: dict[str, Entry] = field(default_factory=dict)  #: as they are there


def planned(root: Path, entries: Mapping[str, Entry], existing: str) -> Change:
    """Return what has to be written, by what becomes of what differs: refuse, keep or replace."""
    change = Change()
    try:
        for path, entry in entries.items():
            there = _read(root, path)
            if there == entry:
                continue
            if there is not None:
                change.differing[path] = there
            if there is None or existing == "replace":
                change.writes[path] = entry
    except OSError as error:
        raise _unusable(root, error) from error
    if change.differing and existing == "refuse":
        raise _refused(root, list(change.differing))
    return change


def text_of(root: Path, path: str) -> str:
    """Return the text of a file, or nothing where there is none."""
    try:
        there = _read(root, path)
    except OSError as error:
        raise _unusable(root, error) from error
    return there.shown if isinstance(there, File) else ""


def write(root: Path, change: Change) -> None:
    """Write what was planned. All of it is made aside first, so what cannot be made leaves nothing behind."""
    if not change.writes:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".llmops-", dir=root) as folder:
            made = {
                path: _made(Path(folder) / str(number), entry)
                for number, (path, entry) in enumerate(change.writes.items())
            }
            for path, place in made.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                place.replace(root / path)
    except OSError as error:
        raise _unusable(root, error) from error


def _read(root: Path, path: str) -> Entry | None:
    """Return what is there. Raises ``invalid`` where it, or a folder on the way, is something else."""
    place = root / path
    for folder in reversed(place.relative_to(root).parents):
        if (root / folder).is_symlink() and str(folder) != ".":
            raise _no_place(str(folder), "is a link")
        if (root / folder).exists() and not (root / folder).is_dir():
            raise _no_place(str(folder) if str(folder) != "." else str(root), "is no folder")
    if place.is_symlink():
        return Link(str(place.readlink()))
    if not place.exists():
        return None
    if not place.is_file():
        raise _no_place(path, "is no file")
    return File(place.read_bytes())


def _made(place: Path, entry: Entry) -> Path:
    if isinstance(entry, Link):
        place.symlink_to(entry.target)
    else:
        place.write_bytes(entry.content)
        place.chmod(_FILE_MODE)
    return place


def _refused(root: Path, paths: list[str]) -> PlatformError:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return invalid(
        "site",
        str(root),
        f"holds other content already: {', '.join(paths[:_SHOWN])}{more}",
        "Nothing was written. Keep what is there and add only what is missing (existing: keep), see what "
        "would change (existing: replace with --check --diff), or give another folder.",
    )


def _no_place(path: str, problem: str) -> PlatformError:
    return invalid("site", path, problem, "Nothing was written. Move it away, or give another folder.")


def _unusable(root: Path, error: OSError) -> PlatformError:
    return invalid(
        "site",
        str(root),
        f"cannot be used ({error.strerror or error})",
        "Give a folder of your own, where symbolic links can be.",
    )
