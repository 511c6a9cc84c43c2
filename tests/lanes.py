# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.lanes``: all checks and tests in lanes side by side, and what each part cost.

What uses the shared lab is one lane, tests with servers of their own are another. Both wait a lot; what
mostly computes, and what asks an API server without nodes, fills the pauses, and the checks yield to
everything else. Each part has a budget in seconds in pyproject.toml, and a run in which one is over it fails.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from tests.support.lane import Lane
from tests.support.playbooks import ROOT
from tests.support.recorder import Part

RESULT = ROOT / "build/durations.json"
WORK = ROOT / "build/lanes"
#: What is played one after the other.
LANES = {
    "lab": ("lab", "lab/disruptive"),
    "services": ("services",),
    "static": ("unit", "chart", "api", "lint", "go"),
}
PARTS = tuple(part for parts in LANES.values() for part in parts)
_SHOWN = 15
_POLL_S = 0.2


def main() -> int:
    """Run what is asked for; return the exit status."""
    arguments, options = _arguments(sys.argv[1:])
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["llmops"]
    # What takes long on purpose has no budget.
    budgets: Mapping[str, float] = {} if arguments.full or options else settings["budgets"]
    began = time.monotonic()
    chosen = {name: [part for part in lane if part in arguments.parts] for name, lane in LANES.items()}
    width = max(map(len, chosen)) if sum(map(bool, chosen.values())) > 1 else 0
    with _only_run():
        lanes = [
            Lane(name, parts, options, WORK, partial(_say_for, name, width))
            for name, parts in chosen.items()
            if parts
        ]
        _play(lanes)
    found = {name: part for lane in lanes for name, part in lane.found.items()}
    wall_s = time.monotonic() - began
    problems = [problem for lane in lanes for problem in lane.problems] + over_budget(found, budgets)
    result = {"wall_s": round(wall_s, 1), "parts": {name: asdict(part) for name, part in found.items()}}
    RESULT.write_text(json.dumps(result, indent=1), encoding="utf-8")
    for line in report(found, budgets, problems, wall_s):
        say(line)
    return 1 if problems or not found else 0


def _play(lanes: Sequence[Lane]) -> None:
    """Run the lanes; asked to end, let each put its things away.

    A signal leaves a note and raises nothing: an exception in ``Thread.join`` makes Python 3.11 take a thread
    that runs for one that has ended.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signal_number, _frame: asked.append(signal_number))
    threads = [threading.Thread(target=lane.run) for lane in lanes]
    for thread in threads:
        thread.start()
    while not asked and any(thread.is_alive() for thread in threads):
        time.sleep(_POLL_S)
    if asked:
        for lane in lanes:
            lane.cancel()
            lane.problems.append(f"lane {lane.name} was interrupted")
    for thread in threads:
        thread.join()


@contextmanager
def _only_run() -> Iterator[None]:
    """Refuse a second run in this checkout: both would write the same notes."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run of the tests is going on in this checkout")
        for old in (*WORK.glob("*.json"), *WORK.glob("*.current")):
            old.unlink()
        yield


def over_budget(found: Mapping[str, Part], budgets: Mapping[str, float]) -> list[str]:
    """Name the parts that took longer than their budget."""
    return [
        f"{name} took {part.seconds:.0f} s, its budget is {budgets[name]} s (pyproject.toml)"
        for name, part in found.items()
        if name in budgets and part.seconds > budgets[name]
    ]


def report(
    found: Mapping[str, Part], budgets: Mapping[str, float], problems: Sequence[str], wall_s: float
) -> list[str]:
    """Return the last lines of a run: the slowest tests, what each part cost, what went wrong, the sum."""
    slowest = sorted((entry for part in found.values() for entry in part.slowest), reverse=True)
    lines = ["", "slowest, with the processor's seconds:"]
    lines += [f"  {seconds:6.1f} s {cpu_s:6.1f} s  {test}" for seconds, cpu_s, test in slowest[:_SHOWN]]
    columns = ("seconds", "budget", "cpu", "passed", "failed", "skipped")
    lines += ["", f"{'part':16}" + "".join(f"{column:>9}" for column in columns)]
    for name in PARTS:
        if part := found.get(name):
            budget = budgets.get(name, "-")
            lines.append(
                f"{name:16}{part.seconds:9.0f}{budget:>9}{part.cpu_s:9.0f}"
                f"{part.passed:9}{part.failed:9}{part.skipped:9}"
            )
    lines.append(f"{'side by side':16}{wall_s:9.0f}{'':9}{sum(part.cpu_s for part in found.values()):9.0f}")
    lines += [f"FAILED {problem}" for problem in problems]
    passed = sum(part.passed for part in found.values())
    failed = max(sum(part.failed for part in found.values()), len(problems))
    skipped = sum(part.skipped for part in found.values())
    lines.append(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return lines


_printing = threading.Lock()


def say(line: str) -> None:
    """Print one line, whole, whoever else prints."""
    with _printing:
        print(line, flush=True)


def _say_for(lane: str, width: int, line: str) -> None:
    say(f"{lane:{width}} | {line}" if width else line)


def _arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the parts to play, and the options for pytest: all that comes after ``--``."""
    own = list(argv[: argv.index("--")]) if "--" in argv else list(argv)
    options = list(argv[len(own) + 1 :])
    parser = argparse.ArgumentParser(
        prog="python -m tests.lanes",
        usage="%(prog)s [-h] [--full] [PART ...] [-- OPTION ...]",
        description="Run checks and tests, the lab's beside all others. Options after -- go to pytest.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--full", action="store_true", help="the long cases too; no budgets")
    arguments = parser.parse_args(own)
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    arguments.parts = arguments.parts or list(PARTS)
    # Before those given, of which the last counts.
    return arguments, (["-m", "not bench", *options] if arguments.full else options)


if __name__ == "__main__":
    sys.exit(main())
