# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in a plain directory, for whoever commits by other means. Each is there whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..common.errors import PlatformError, invalid
from .tree import Plan, Stored, no_plain_file

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755


class Directory:
    """A store in a directory, which has to be there. Links in it are not followed."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise invalid("directory", str(root), "is no directory", "Make it, or give another one.")
        self._root = root

    def change(self, plan: Plan, message: str, *, check_mode: bool) -> Stored:
        """Look, plan, and write."""
        del message
        changes = plan(self)
        if not check_mode:
            try:
                # The Application comes after what it refers to.
                for folder, files in changes.folders.items():
                    self._add_folder(folder, files)
                for path in sorted(changes.writes, reverse=True):
                    self._write(path, changes.writes[path])
                for path in changes.removals:
                    self._place(path).unlink(missing_ok=True)
            except OSError as error:
                raise self._unusable(error) from error
        return Stored(changes)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        place = self._place(path)
        try:
            return place.read_bytes()
        except FileNotFoundError:
            return None
        except IsADirectoryError as error:
            raise no_plain_file(path) from error
        except OSError as error:
            raise self._unusable(error) from error

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by their paths in it."""
        root = self._place(folder)
        found = sorted(path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
        return {
            name: self.read(f"{folder}/{name}") or b""
            for name in (path.relative_to(root).as_posix() for path in found)
        }

    def _place(self, path: str) -> Path:
        """Return where a path is; raises ``invalid`` where a link or a special file is on the way."""
        place = self._root
        parts = path.split("/")
        for number, part in enumerate(parts, 1):
            place /= part
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                return self._root.joinpath(*parts)
            except OSError as error:
                raise self._unusable(error) from error
            if not (stat.S_ISDIR(mode) or (number == len(parts) and stat.S_ISREG(mode))):
                raise no_plain_file("/".join(parts[:number]))
        return place

    def _write(self, path: str, content: bytes) -> None:
        place = self._place(path)
        place.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".llmops-", dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), _FILE_MODE)
            Path(temporary).replace(place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _add_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        place = self._place(folder)
        place.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".llmops-", dir=place.parent))
        try:
            for name, content in files.items():
                file = temporary / name
                file.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
                file.write_bytes(content)
                file.chmod(_FILE_MODE)
            temporary.chmod(_FOLDER_MODE)
            try:
                temporary.replace(place)
            except OSError:
                # Another target of the same play may have been faster, with the same files.
                if not place.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _unusable(self, error: OSError) -> PlatformError:
        return invalid(
            "directory",
            str(self._root),
            f"cannot be used ({error.strerror or error})",
            "Give a directory of your own.",
        )
