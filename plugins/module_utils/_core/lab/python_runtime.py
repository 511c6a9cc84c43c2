# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Python program needs of this machine to run elsewhere: interpreter, modules, shared libraries.

The interpreter is the one that runs this code, so what pip installs with it fits. It moves to ``/usr/local``,
where Python finds its modules by its own place; shared libraries keep their paths.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..common.errors import ErrorClass, PlatformError
from .commands import run

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
#: Path of the interpreter in the image.
INTERPRETER = f"/usr/local/bin/{VERSION}"

_LIBRARY = re.compile(r"^\s+(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_MISSING = re.compile(r"^\s+(\S+) => not found", re.MULTILINE)
# Parts of the standard library that no service imports: terminals, windows, files as databases, and tests.
_LEFT_OUT = {
    "__phello__",
    "curses",
    "dbm",
    "dist-packages",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "sqlite3",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
}
_MODULES_LEFT_OUT = re.compile(
    r"(_curses|_curses_panel|_dbm|_gdbm|_sqlite3|_test\w*|_tkinter|_xx\w*|nis|readline|xxlimited\w*)\."
)
# Loaded by name at run time, so nothing lists them: name resolution of older C libraries, ending of threads.
_BY_NAME = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2", "libgcc_s.so.1")
_AUTHORITIES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)


def identity() -> str:
    """Return what tells one machine's runtime from another's."""
    return f"{sys.version} {sys.base_prefix} {platform.machine()} {platform.libc_ver()}"


def runtime_files() -> dict[str, Path]:
    """Return the files of the runtime: path in the image, without the leading slash -> file here."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    files = {INTERPRETER.lstrip("/"): program}
    for path in _modules(library):
        files[f"usr/local/{sys.platlibdir}/{VERSION}/{path.relative_to(library)}"] = path
    files.update(shared_libraries([program, *(path for path in files.values() if path.suffix == ".so")]))
    if found := next((path for path in _AUTHORITIES if path.exists()), None):
        files["etc/ssl/certs/ca-certificates.crt"] = found
    return files


def shared_libraries(programs: Sequence[Path], within: Path | None = None) -> dict[str, Path]:
    """Return the shared libraries that programs and modules load, as ``ldd`` tells.

    Those ``within`` a folder are left out, as they travel with it.
    """
    if not programs:
        return {}
    told = run(["ldd", *programs], timeout=60, check=False).stdout
    if missing := sorted(set(_MISSING.findall(told))):
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"Shared libraries that Python modules need are not installed: {', '.join(missing)}.",
            "Install the packages that have them.",
        )
    found = {Path(path) for path in _LIBRARY.findall(told)}
    folders = {path.parent for path in found if path.name.startswith("libc.so")}
    found |= {folder / name for folder in folders for name in _BY_NAME if (folder / name).exists()}
    return {
        str(path).lstrip("/"): path.resolve()
        for path in sorted(found)
        if within is None or not path.resolve().is_relative_to(within.resolve())
    }


def _modules(library: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(library):
        folders[:] = sorted(_kept(folders))
        for name in sorted(names):
            # Compiled without assertions or texts: nothing asks for it.
            if not name.endswith((".opt-1.pyc", ".opt-2.pyc", ".a")) and not _MODULES_LEFT_OUT.match(name):
                yield Path(folder) / name


def _kept(folders: Iterable[str]) -> list[str]:
    # config-*: what C programs that embed Python are built with.
    return [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
