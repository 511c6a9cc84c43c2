# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file with a secret: at a place where it can be, for its owner alone, and there whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..common.errors import PlatformError, invalid

MODE = 0o600
_FOLDER_MODE = 0o700
_ADVICE = "Give the path of a file, absolute or beginning with ~."


def check_path(path: str, field: str = "path") -> Path:
    """Return the path; raises ``invalid`` for what cannot be the path of a kubeconfig."""
    if not path or not path.isprintable():
        raise invalid(field, path, "is no path", _ADVICE)
    if path.startswith("~"):
        raise invalid(field, path, "begins with the name of a user who is not known here", _ADVICE)
    if not path.startswith("/"):
        raise invalid(field, path, "depends on the folder that this happens to run in", _ADVICE)
    if os.pathsep in path:
        raise invalid(
            field, path, f"holds {os.pathsep!r}, by which KUBECONFIG separates files", "Give another path."
        )
    found = Path(path)
    try:
        kind = found.lstat().st_mode
    except FileNotFoundError:
        kind = stat.S_IFDIR if path.endswith("/") else stat.S_IFREG
    except OSError as error:
        raise _unusable(field, path, error) from error
    if stat.S_ISLNK(kind):
        raise invalid(
            field,
            path,
            "is a symbolic link, which a new file would replace",
            f"Give the path of the file itself ({os.path.realpath(path)}), or remove the link.",
        )
    if stat.S_ISDIR(kind):
        raise invalid(
            field, path, "is a folder", f"Give a file in it, such as {path.rstrip('/')}/kubeconfig."
        )
    if not stat.S_ISREG(kind):
        raise invalid(field, path, "is no regular file", _ADVICE)
    return found


def check_writable(path: Path, field: str = "path") -> None:
    """Raise ``invalid`` where no file can be written, as far as that can be told without writing."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise invalid(field, str(path), f"lies in {str(folder)!r}, which is no folder", _ADVICE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise invalid(
            field,
            str(path),
            f"cannot be written: there is no right to write in {str(folder)!r}",
            "Give a path in a folder of your own, or have that right given.",
        )


def read_private(path: Path, field: str = "path") -> tuple[str, int] | None:
    """Return text and mode of a file, None where there is none."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            return file.read().decode(errors="replace"), mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(field, str(path), error) from error


def write_private(path: Path, text: str, field: str = "path") -> None:
    """Write the file for its owner alone, in one step; folders that are missing are made likewise."""
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        # Made with mode 0600, under a name that nobody can have taken before.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unusable(field, str(path), error) from error


def remove_private(path: Path, field: str = "path") -> None:
    """Remove the file."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(field, str(path), error) from error


def _unusable(field: str, path: str, error: OSError) -> PlatformError:
    return invalid(field, path, f"cannot be used ({error.strerror or error})", _ADVICE)
