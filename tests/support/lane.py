# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lane: parts of the tests, one after the other, in processes that can be ended with all they have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from ansible_collections.llmops.platform.plugins.module_utils._core.common.orphans import die_with_parent
from tests.support.playbooks import ROOT
from tests.support.recorder import CURRENT, DURATIONS, Part, Running, read_parts


@dataclass(frozen=True)
class Check:
    """A check that is no test of pytest: its command, its folder, and the seconds that it may take."""

    command: Sequence[str]
    folder: Path
    limit_s: float


CHECKS = {
    "lint": Check(["scripts/lint"], ROOT, 1800),
    "go": Check(["bash", "-c", "go vet ./... && go test ./..."], ROOT / "roles/lab/files/model_server", 900),
}
#: What does not heed its own limit is ended so much later; who is asked to end has so long for it.
_GRACE_S = 60.0
_POLL_S = 0.2
#: So many tests that fail with the same words are told as one.
_ONE_CAUSE = 5
_NOTHING_COLLECTED = 5

#: Returns what has been hanging for too long, or an empty string.
Overdue = Callable[[], str]


@dataclass
class Lane:
    """Parts to play, options for pytest, a folder for notes; then what was found and what went wrong."""

    name: str
    parts: Sequence[str]
    options: Sequence[str]
    work: Path
    say: Callable[[str], None]
    found: dict[str, Part] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _cancelled: bool = False
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Run all parts to the end, also after one that failed. A mistake of ours is a problem too."""
        try:
            if folders := [name for name in self.parts if name not in CHECKS]:
                self._pytest(folders)
            for name in self.parts:
                if name in CHECKS:
                    self._check(name, CHECKS[name])
        except Exception as error:  # noqa: BLE001 - nobody would see it, and the run would look green
            self.problems.append(f"lane {self.name}: {error!r}")

    def cancel(self) -> None:
        """Begin nothing more, and let what runs put its things away and end."""
        with self._starting:
            self._cancelled = True

    def _check(self, name: str, check: Check) -> None:
        began = time.monotonic()

        def overdue() -> str:
            late = time.monotonic() - began > check.limit_s
            return f"{name} hung for {check.limit_s:g} s and was ended" if late else ""

        ended, cpu_s = self.follow(check.command, check.folder, {}, overdue, yields=True)
        self.found[name] = Part(time.monotonic() - began, cpu_s, int(ended == 0), int(ended != 0))
        if ended != 0:
            self.problems.append(f"{name} ended with {ended}")

    def _pytest(self, folders: Sequence[str]) -> None:
        durations, current = self.work / f"{self.name}.json", self.work / f"{self.name}.current"
        command = [sys.executable, "-m", "pytest"]
        # Each lane remembers its own failures.
        command += ["-o", f"cache_dir={self.work / self.name}", *self.options]
        for folder in folders:
            command.append(str(ROOT / "tests" / folder))
            if folder == "lab" and "lab/disruptive" not in folders:
                command.append(f"--ignore={ROOT / 'tests/lab/disruptive'}")

        def overdue() -> str:
            running = Running.read(current)
            if running is None or time.monotonic() - running.since < running.limit_s + _GRACE_S:
                return ""
            return f"{running.test} hung, did not heed its limit of {running.limit_s:g} s, and was ended"

        ended, _ = self.follow(command, ROOT, {DURATIONS: str(durations), CURRENT: str(current)}, overdue)
        self.found |= read_parts(durations)
        failed = {test: cause for part in self.found.values() for test, cause in part.failures.items()}
        self.problems += _by_cause(failed)
        deselected = bool(self.options) and ended == _NOTHING_COLLECTED
        if ended != 0 and not deselected and not (ended == 1 and failed):
            running = Running.read(current)
            self.problems.append(f"pytest ended with {ended}" + (f" in {running.test}" if running else ""))
        if not self.options:
            self.problems += [f"{name}: no test was run" for name in folders if name not in self.found]

    def follow(
        self,
        command: Sequence[str],
        where: Path,
        environment: Mapping[str, str],
        overdue: Overdue,
        *,
        yields: bool = False,
    ) -> tuple[int, float]:
        """Run a command, pass on what it prints, end it when it hangs; return status and CPU seconds.

        One that ``yields`` gets what others leave, which may be next to nothing: it must not depend on time.
        """
        with self._starting:
            if self._cancelled:
                return -signal.SIGTERM, 0.0
            process = subprocess.Popen(
                command,
                cwd=where,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_prepare, os.getpid(), yields),  # noqa: PLW1509 - only system calls
            )
        if yields:
            # A session is scheduled as a group, in which nice counts inside only: the group yields by this.
            with suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text("19", encoding="ascii")
        assert process.stdout is not None
        reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            return self._wait(process, overdue)
        finally:
            # What left its session may hold the pipe for ever.
            reader.join(5)

    def _wait(self, process: subprocess.Popen[bytes], overdue: Overdue) -> tuple[int, float]:
        asked_to_end = 0.0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                return process.returncode, usage.ru_utime + usage.ru_stime
            if asked_to_end and time.monotonic() - asked_to_end > _GRACE_S:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            elif not asked_to_end and (self._cancelled or (told := overdue())):
                asked_to_end = time.monotonic()
                if not self._cancelled:
                    self.problems.append(told)
                    self.say(f"{self.name}: {told}")
                process.send_signal(signal.SIGTERM)
            time.sleep(_POLL_S)

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            self.say(line.decode(errors="replace").rstrip())


def _prepare(parent: int, yields: bool) -> None:
    """End with whoever started us. Only system calls: this runs between fork and exec."""
    die_with_parent(parent)
    if yields:
        os.nice(19)


def _by_cause(failed: Mapping[str, str]) -> list[str]:
    """Return a line for each failure, and one for many of the same: a fixture that failed is one cause."""
    tests: dict[str, list[str]] = {}
    for test, cause in failed.items():
        tests.setdefault(cause, []).append(test)
    lines = []
    for cause, names in tests.items():
        why = f" - {cause}" if cause else ""
        # Few with the same words are not one cause: "assert False" says nothing.
        if len(names) < _ONE_CAUSE:
            lines += [f"{name}{why}" for name in names]
        else:
            lines.append(f"{names[0]} and {len(names) - 1} more{why}")
    return lines
