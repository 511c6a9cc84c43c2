# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each folder of tests cost and which test runs now, in files for whoever started pytest.

Nothing is written unless the variables below name files.
"""

from __future__ import annotations

import json
import math
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

#: Names the file that gets the parts as JSON.
DURATIONS = "LLMOPS_TEST_DURATIONS"
#: Names the file that says which test runs.
CURRENT = "LLMOPS_TEST_CURRENT"
#: Phases of tests that took less are not kept one by one.
_WORTH_KEEPING_S = 0.5
#: The longest that a collection may take, or what comes between two tests.
_BETWEEN_S = 300.0
_CAUSE_LIMIT = 400


@dataclass
class Part:
    """What one folder, or one check, cost: seconds, those of a processor, outcomes, and its slowest phases.

    The processor's are our own and those of what we started and waited for, so daemons are not among them.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    #: What failed, and why in one line.
    failures: dict[str, str] = field(default_factory=dict)
    slowest: list[tuple[float, float, str]] = field(default_factory=list)

    def add(self, test: str, seconds: float, cpu_s: float) -> None:
        """Add a phase of a test."""
        self.seconds += seconds
        self.cpu_s += cpu_s
        if seconds >= _WORTH_KEEPING_S:
            self.slowest = sorted([*self.slowest, (round(seconds, 2), round(cpu_s, 2), test)], reverse=True)


@dataclass(frozen=True)
class Running:
    """What runs: when it began (on the monotonic clock), and how many seconds it may take."""

    test: str
    since: float
    limit_s: float

    @classmethod
    def read(cls, path: Path) -> Running | None:
        """Return what a file says, if there is one."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None


class Recorder:
    """Counts phases by folder. A set-up that several tests share counts where it is made first."""

    def __init__(self, folder_of: Callable[[Path], str], root: Path) -> None:
        self._folder_of = folder_of
        self._root = root
        self._parts: dict[str, Part] = {}
        self._cpu_s = cpu_seconds()
        self._say_current("the collection")

    @pytest.hookimpl
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Say which test begins, and how long it may take."""
        self._say_current(item.nodeid, limit_of(item))

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase: set-up, call or tear-down."""
        folder = self._folder_of(self._root / report.nodeid.partition("::")[0])
        part = self._parts.setdefault(folder, Part())
        before, self._cpu_s = self._cpu_s, cpu_seconds()
        part.add(f"{report.nodeid} ({report.when})", report.duration, self._cpu_s - before)
        if report.failed:
            part.failed += 1
            part.failures.setdefault(report.nodeid, cause_of(report))
        elif report.skipped:
            part.skipped += 1
        elif report.when == "call":
            part.passed += 1

    @pytest.hookimpl
    def pytest_runtest_logfinish(self) -> None:
        """Write the parts so far: the run may be killed."""
        self._say_current("what comes between two tests")
        if path := os.environ.get(DURATIONS):
            content = {name: asdict(part) for name, part in self._parts.items()}
            _write(Path(path), json.dumps(content, indent=1))

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Say that nothing is left to do but to end."""
        self._say_current("the end of the run")

    def _say_current(self, what: str, limit_s: float = _BETWEEN_S) -> None:
        if path := os.environ.get(CURRENT):
            _write(Path(path), json.dumps(asdict(Running(what, time.monotonic(), limit_s))))


def read_parts(path: Path) -> dict[str, Part]:
    """Return what a recorder wrote; nothing where it did not get so far."""
    if not path.exists():
        return {}
    parts = {name: Part(**content) for name, content in json.loads(path.read_text(encoding="utf-8")).items()}
    for part in parts.values():
        part.slowest = [(seconds, cpu_s, test) for seconds, cpu_s, test in part.slowest]
    return parts


def cause_of(report: pytest.TestReport) -> str:
    """Return why a test failed: the first line of the exception."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return next((line.strip()[:_CAUSE_LIMIT] for line in text.splitlines() if line.strip()), "")


def limit_of(item: pytest.Item) -> float:
    """Return how many seconds a test may take: by its marker, the command line or the settings."""
    marker = item.get_closest_marker("timeout")
    given = item.config.getoption("timeout", None)
    if marker:
        given = marker.args[0] if marker.args else marker.kwargs.get("timeout")
    limit_s = float(item.config.getini("timeout") if given is None else given)
    # To pytest-timeout, 0 is no limit.
    return limit_s or math.inf


def _write(path: Path, text: str) -> None:
    """Write a file that another process reads meanwhile."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def cpu_seconds() -> float:
    """Return the processor's seconds of this process and of those that it waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))
