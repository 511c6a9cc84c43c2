# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run of all tests: each folder has a lane and a budget, what hangs is ended and named, costs told."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.lab.daemons import start_time
from tests.conftest import FOLDERS, folder_of
from tests.lanes import PARTS, _arguments, _play, over_budget, report
from tests.support.lane import CHECKS, Lane
from tests.support.model_server import wait_until
from tests.support.recorder import Part, Recorder, Running, limit_of, read_parts

SETTINGS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_every_test_is_in_a_folder_that_a_lane_plays(root: Path) -> None:
    tests = sorted((root / "tests").rglob("test_*.py"))
    assert len(tests) > 100
    assert {folder_of(path) for path in tests} == set(FOLDERS)
    assert sorted([*FOLDERS, *CHECKS]) == sorted(PARTS)


def test_no_fixture_of_all_folders_stands_on_the_lab_of_one(root: Path) -> None:
    """In a run of both, tests of one folder would do to the other's cluster what is meant for their own."""
    shared = ast.parse((root / "tests/conftest.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(shared) if isinstance(node, ast.FunctionDef)]
    assert functions
    assert not [node.name for node in functions for item in node.args.args if item.arg in ("lab", "api")]


def test_every_part_has_a_budget_and_every_test_a_limit() -> None:
    assert set(SETTINGS["llmops"]["budgets"]) == set(PARTS)
    assert SETTINGS["pytest"]["ini_options"]["timeout"] == 300


@pytest.mark.parametrize("program", ["tests.lanes", "tests.bench"])
def test_programs_start_by_themselves(root: Path, program: str) -> None:
    """Not through pytest, which finds the collection by its settings."""
    command = [sys.executable, "-m", program, "--help"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert f"python -m {program}" in told.stdout


def test_a_test_that_hangs_is_ended_by_its_limit_and_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import time\n\ndef test_hangs():\n    time.sleep(600)\n")
    command = [sys.executable, "-m", "pytest", "-c", str(root / "pyproject.toml"), "-o", "timeout=1"]
    command += ["-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "Failed: Timeout (>1.0s) from pytest-timeout" in ended.stdout
    assert re.search(r"^FAILED .*test_it\.py::test_hangs", ended.stdout, re.MULTILINE)


def a_lane(folder: Path, *parts: str, said: list[str] | None = None) -> Lane:
    return Lane("lane", parts, [], folder, ([] if said is None else said).append)


def test_what_does_not_heed_its_limit_is_ended_with_its_children_and_named(tmp_path: Path) -> None:
    said: list[str] = []
    lane = a_lane(tmp_path, said=said)
    child = tmp_path / "child"
    script = f"sleep 600 & echo $! >{child}; echo began; wait"
    began = time.monotonic()
    status, _ = lane.follow(["bash", "-c", script], tmp_path, {}, lambda: "test_hangs hung" if said else "")
    assert time.monotonic() - began < 30
    assert status < 0
    assert lane.problems == ["test_hangs hung"]
    pid = int(child.read_text())
    wait_until(lambda: start_time(pid) == 0)


def test_who_is_asked_to_end_puts_its_things_away_first(tmp_path: Path) -> None:
    said: list[str] = []
    lane = a_lane(tmp_path, said=said)
    script = "trap 'echo put away; exit 7' TERM; echo began; while true; do sleep 0.1; done"
    ending = threading.Timer(1.0, lane.cancel)
    ending.start()
    status, _ = lane.follow(["bash", "-c", script], tmp_path, {}, lambda: "")
    assert (status, said) == (7, ["began", "put away"])
    assert lane.follow(["true"], tmp_path, {}, lambda: "")[0] < 0, "nothing more begins"


def test_an_interrupted_run_waits_until_every_lane_has_put_its_things_away(tmp_path: Path) -> None:
    said: list[str] = []
    lane = a_lane(tmp_path, said=said)
    trap = "trap 'echo asked; sleep 2; echo put away; exit 7' TERM"
    command = ["bash", "-c", f"{trap}; echo began; while true; do sleep 0.1; done"]

    def run() -> None:
        lane.follow(command, tmp_path, {}, lambda: "")

    lane.run = run  # type: ignore[method-assign]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    asking = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    asking.start()
    try:
        _play([lane])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    # Asked once: a second signal would break off what puts things away.
    assert said == ["began", "asked", "put away"]
    assert lane.problems == ["lane lane was interrupted"]


def test_what_left_its_session_keeps_no_lane_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    lane = a_lane(tmp_path)
    assert lane.follow(["bash", "-c", "setsid sleep 30 & exit 3"], tmp_path, {}, lambda: "")[0] == 3
    assert time.monotonic() - began < 15


def test_a_check_yields_with_its_whole_group(tmp_path: Path) -> None:
    said: list[str] = []
    lane = a_lane(tmp_path, said=said)
    command = ["bash", "-c", "sleep 1; nice; cat /proc/self/autogroup"]
    lane.follow(command, tmp_path, {}, lambda: "", yields=True)
    assert said[0] == "19"
    assert not said[1:] or said[1].endswith("nice 19")


def test_a_mistake_of_ours_is_no_success(tmp_path: Path) -> None:
    lane = a_lane(tmp_path, "unit")
    (tmp_path / "lane.json").write_text("half of a no")
    lane.follow = lambda *_, **__: (0, 0.0)  # type: ignore[method-assign]
    lane.run()
    assert [problem.startswith("lane lane: JSONDecodeError") for problem in lane.problems] == [True]


def test_a_pytest_that_dies_is_told_with_what_failed_and_the_test_it_died_in(tmp_path: Path) -> None:
    lane = a_lane(tmp_path, "unit")
    lane.follow = lambda *_, **__: (-11, 0.0)  # type: ignore[method-assign]
    failures = {f"tests/unit/test_a.py::test_{name}": "OSError: no" for name in "abcde"}
    failures |= {f"tests/unit/test_a.py::test_{name}": "assert False" for name in ("few", "others")}
    failures["tests/unit/test_a.py::test_last"] = ""
    part = Part(1.0, 1.0, 3, 8, failures=failures)
    (tmp_path / "lane.json").write_text(json.dumps({"unit": asdict(part)}))
    (tmp_path / "lane.current").write_text(
        json.dumps({"test": "tests/unit/test_a.py::test_dies", "since": 0.0, "limit_s": 300.0})
    )
    lane.run()
    assert lane.problems == [
        "tests/unit/test_a.py::test_a and 4 more - OSError: no",
        "tests/unit/test_a.py::test_few - assert False",
        "tests/unit/test_a.py::test_others - assert False",
        "tests/unit/test_a.py::test_last",
        "pytest ended with -11 in tests/unit/test_a.py::test_dies",
    ]


def test_options_of_pytest_come_after_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    arguments, options = _arguments(["unit", "--full", "--", "-k", "chart", "-m", "full"])
    assert arguments.parts == ["unit"]
    assert options == ["-m", "not bench", "-k", "chart", "-m", "full"]
    assert _arguments([])[0].parts == list(PARTS)
    with pytest.raises(SystemExit):
        _arguments(["chart", "nonsense"])
    assert "no such part: nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mark", "limit_s"),
    [
        (None, 300.0),
        (pytest.mark.timeout(7), 7.0),
        (pytest.mark.timeout(timeout=8), 8.0),
        (pytest.mark.timeout(0), math.inf),
    ],
)
def test_the_limit_is_the_one_that_pytest_heeds(
    request: pytest.FixtureRequest, mark: pytest.MarkDecorator | None, limit_s: float
) -> None:
    if mark is not None:
        request.node.add_marker(mark)
    assert limit_of(request.node) == limit_s


def test_the_cost_of_a_folder_is_kept(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_TEST_DURATIONS", str(tmp_path / "durations.json"))
    monkeypatch.setenv("LLMOPS_TEST_CURRENT", str(tmp_path / "current"))
    recorder = Recorder(lambda path: path.parent.name, tmp_path)
    recorder.pytest_runtest_protocol(request.node)
    running = Running.read(tmp_path / "current")
    assert running is not None
    assert running.test.endswith("::test_the_cost_of_a_folder_is_kept")
    assert time.monotonic() - running.since < 10
    assert running.limit_s == 300

    def phase(test: str, when: str, outcome: str, seconds: float, why: str | None = None) -> None:
        recorder.pytest_runtest_logreport(
            pytest.TestReport(
                test, (test, 0, test), {}, outcome, why, when, duration=seconds  # type: ignore[arg-type]
            )
        )  # fmt: skip

    for when, seconds in (("setup", 2.0), ("call", 1.0), ("teardown", 0.5)):
        phase("api/test_a.py::test_one", when, "passed", seconds)
    phase("api/test_a.py::test_two", "setup", "failed", 1.0, "\nOSError: no room\nfor it")
    phase("api/test_a.py::test_two", "teardown", "failed", 0.0, "OSError: a consequence")
    phase("lab/test_b.py::test_three", "setup", "skipped", 0.0)
    recorder.pytest_runtest_logfinish()
    between = Running.read(tmp_path / "current")
    assert between is not None
    assert between.test == "what comes between two tests"
    parts = read_parts(tmp_path / "durations.json")
    assert parts["api"].seconds == 4.5
    assert (parts["api"].passed, parts["api"].failed) == (1, 2)
    assert parts["api"].failures == {"api/test_a.py::test_two": "OSError: no room"}
    assert parts["api"].slowest[0][::2] == (2.0, "api/test_a.py::test_one (setup)")
    assert parts["lab"].skipped == 1
    assert read_parts(tmp_path / "none.json") == {}


def test_a_part_over_its_budget_is_named_and_the_last_line_sums_up() -> None:
    found = {"api": Part(50.4, 9, 3), "lab": Part(200, 80, 2, skipped=1), "lint": Part(9, 8, 1)}
    budgets = {"api": 50, "lab": 300, "lint": 10}
    over = over_budget(found, budgets)
    assert over == ["api took 50 s, its budget is 50 s (pyproject.toml)"]
    lines = report(found, budgets, over, 201.0)
    assert lines[-2] == f"FAILED {over[0]}"
    assert lines[-1] == "6 passed, 1 failed, 1 skipped"
    table = {line.split()[0]: line.split()[1:] for line in lines if line.split()[:1]}
    assert table["api"] == ["50", "50", "9", "3", "0", "0"]
    assert report({"api": Part(1, 1, passed=1)}, {}, [], 1.0)[-1] == "1 passed, 0 failed"
