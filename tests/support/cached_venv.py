# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Python environments of other projects: made once, outside the checkout, anew when their pins change."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def cached_venv(
    name: str,
    requirements: Path,
    say: Callable[[str], None],
    finish: Callable[[Path], None] | None = None,
    also: Sequence[Path] = (),
    python: str = sys.executable,
) -> Path:
    """Return the folder of the environment; made if it is not there, which takes minutes.

    ``finish`` adds to a new one what pip cannot. The files of ``also`` decide about making it anew too.
    ``python`` is the interpreter that it gets.
    """
    content = b"".join(path.read_bytes() for path in (requirements, *also))
    digest = hashlib.sha256(content + _version(python).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-platform"
    folder = cache / f"{name}-{digest}"
    stamp = folder / ".complete"
    if stamp.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _only_one(cache / f"{name}.lock"):
        if not stamp.exists():
            say(f"installing {requirements.name} of {name} into {folder} (some minutes, once)")
            subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [
                str(folder / "bin/python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]
            subprocess.run([*pip, "-r", str(requirements)], check=True)
            if finish is not None:
                finish(folder)
            stamp.touch()
    return folder


def _version(python: str) -> str:
    command = [python, "-c", "import sys; sys.stdout.write(sys.version)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Print the folder of the environment that is named."""
    parser = argparse.ArgumentParser(description="Print the folder of a cached Python environment.")
    parser.add_argument("name")
    parser.add_argument("requirements", type=Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter that it gets")
    arguments = parser.parse_args()
    folder = cached_venv(
        arguments.name,
        arguments.requirements,
        lambda text: print(text, file=sys.stderr),
        python=arguments.python,
    )
    print(folder)


if __name__ == "__main__":
    main()
