# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback deployments in a real terminal, whose screen an emulator tells, and without one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyte
import pytest
import yaml

from tests.support.chart import helm_path
from tests.support.listeners import silent_port
from tests.support.playbooks import ROOT

ROWS, COLUMNS = 12, 90


def _environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_AUTH_"))
    }
    kept |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    return {**kept, "ANSIBLE_STDOUT_CALLBACK": "llmops.platform.deployments", **more}


class Terminal:
    """A process in a terminal of its own; ``screen`` is what a person sees of it."""

    def __init__(self, command: list[str]) -> None:
        self.screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self._emulator = pyte.ByteStream(self.screen)
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(side)
        self._side = side
        self.process = subprocess.Popen(
            command,
            stdin=side,
            stdout=side,
            stderr=side,
            env=_environment(),
            start_new_session=True,
        )

    def read(self, until: Callable[[], bool], timeout: float = 60) -> None:
        """Show what is printed until something is seen."""
        end = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < end, self.text
            if select.select([self._main], [], [], 0.2)[0]:
                self._emulator.feed(os.read(self._main, 65536))

    def finish(self) -> int:
        """Show all to the end; return the exit status."""
        self.read(lambda: self.process.poll() is not None)
        while select.select([self._main], [], [], 0.2)[0]:
            self._emulator.feed(os.read(self._main, 65536))
        return self.process.returncode

    @property
    def lines(self) -> list[str]:
        """The lines of the screen that are not empty."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        """All that was printed, what was scrolled away first."""
        gone = ["".join(row[column].data for column in range(COLUMNS)) for row in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self.screen.display])

    def settings(self) -> Any:
        """Return how the terminal is set, as the process left it."""
        return termios.tcgetattr(self._side)

    def close(self) -> None:
        """End all that is left."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._main)
        os.close(self._side)


def command(folder: Path, hosts: list[str], port: int, *arguments: str, **options: Any) -> list[str]:
    """Return the command that deploys these models to a cluster that does not answer at this port."""
    task = {
        "name": "Deploy",
        "llmops.platform.vllm_deployment": {
            "model": "lab/{{ inventory_hostname }}",
            "environment": "development",
            "namespace": "none",
            "register": False,
            "chart_path": str(ROOT / "roles/vllm/files/chart/vllm-deployment"),
            "host": f"http://127.0.0.1:{port}",
            "helm_binary": str(helm_path("helm")),
            **options,
        },
    }
    first = [
        {"name": "Say", "ansible.builtin.debug": {"msg": "said afterwards"}},
        {"name": "Warn", "ansible.builtin.find": {"paths": "/nonexistent-folder"}},
        {"name": "Set", "ansible.builtin.set_fact": {"quiet": "unsaid"}},
    ]
    play = {"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": [*first, task]}
    return playing(folder, hosts, play, *arguments)


def playing(folder: Path, hosts: list[str], play: dict[str, Any], *arguments: str) -> list[str]:
    """Return the command that plays this with these hosts."""
    (folder / "play.yml").write_text(yaml.safe_dump([play]), "utf-8")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    known = dict.fromkeys(hosts, local)
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": known}}), "utf-8")
    program = str(Path(sys.executable).parent / "ansible-playbook")
    return [program, "-i", str(folder / "hosts.yml"), str(folder / "play.yml"), *arguments]


@contextmanager
def terminal(arguments: list[str]) -> Iterator[Terminal]:
    """Run a command in a terminal."""
    running = Terminal(arguments)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """Return the port of an API server that takes connections and says nothing."""
    with silent_port() as port:
        yield port


def test_models_have_live_lines_and_an_interrupt_leaves_a_sane_terminal(silent: int, tmp_path: Path) -> None:
    hosts = [f"model-{index}" for index in range(14)]
    with terminal(command(tmp_path, hosts, silent, "--forks", "14")) as shown:
        shown.read(lambda: any("of 14 done" in line for line in shown.lines))
        last, more, *models = reversed(shown.lines)
        assert last == "0 of 14 done"
        assert more.startswith("and ")
        assert all("deploying" in line and line.endswith(" s") for line in models[:-2]), shown.lines
        assert len(shown.lines) < ROWS
        # The clock goes on though nothing is heard.
        began = shown.lines
        shown.read(lambda: shown.lines[-1:] == [last] and shown.lines != began)
        assert "said afterwards" in shown.text
        assert shown.text.count("of 14 done") == 1
        os.killpg(shown.process.pid, signal.SIGINT)
        assert shown.finish() != 0
        assert not any("of 14 done" in line or line.startswith("and ") for line in shown.lines), shown.text
        # Which models were being worked on is said all the same.
        assert shown.lines[-1] == "14 cut off"
        assert shown.settings() == shown.before
        assert not shown.screen.cursor.hidden


def test_a_failure_is_shown_once_and_in_the_table(silent: int, tmp_path: Path) -> None:
    arguments = command(tmp_path, ["good", "b\u0007ad"], silent, chart_path=str(tmp_path / "nowhere"))
    with terminal(arguments) as shown:
        assert shown.finish() == 2
        assert shown.lines[-1] == "2 failed"
        (row,) = [line for line in shown.lines if line.startswith("good ")]
        assert row.split()[:2] == ["good", "failed"]
        assert "invalid" in row
        assert shown.text.count("good: FAILED") == 1
        assert "PLAY [" not in shown.text
        assert "TASK [Deploy]" not in shown.text


def test_without_a_terminal_there_are_plain_lines(silent: int, tmp_path: Path) -> None:
    arguments = command(tmp_path, ["one", "two"], silent, chart_path=str(tmp_path / "nowhere"))
    found = subprocess.run(arguments, env=_environment(), check=False, capture_output=True, text=True)
    assert found.returncode == 2
    assert "\x1b" not in found.stdout
    assert found.stdout.count("one: FAILED") == 1
    assert found.stdout.splitlines()[-1] == "2 failed"
    assert "said afterwards" in found.stdout
    assert "unsaid" not in found.stdout
    # What a task warns of is worth saying though it changed nothing.
    assert "/nonexistent-folder" in found.stderr
    verbose = subprocess.run(
        [*arguments, "-v"], env=_environment(), check=False, capture_output=True, text=True
    )
    assert "TASK [Deploy]" in verbose.stdout
    assert "PLAY RECAP" in verbose.stdout


#: Fails before anything is asked of a cluster.
NOTHING = {"model": "lab/x", "environment": "development", "namespace": "none", "chart_path": "/nonexistent"}
WAYS = {
    "hosts": "all",
    "gather_facts": False,
    "strategy": "free",
    "tasks": [
        {"name": "Loop", "ansible.builtin.set_fact": {"x": "{{ item }}"}, "loop": ["looped", "again"]},
        {
            "name": "Skip",
            "llmops.platform.vllm_deployment": NOTHING,
            "when": "inventory_hostname == 'nobody'",
        },
        {
            "name": "Deploy elsewhere",
            "llmops.platform.vllm_deployment": NOTHING,
            "when": "inventory_hostname == 'away'",
            # What ssh says of a host that is away, also where there is no ssh.
            "vars": {"ansible_connection": "ssh", "ansible_ssh_executable": "{{ playbook_dir }}/ssh"},
        },
        {
            "name": "Deploy in the background",
            "llmops.platform.vllm_deployment": NOTHING,
            "when": "inventory_hostname in ['background', 'afterwards']",
            "async": 60,
            "poll": 0,
        },
        {
            "name": "Deploy what nobody may see",
            "llmops.platform.vllm_deployment": {**NOTHING, "chart_path": "/very-secret"},
            "when": "inventory_hostname == 'hidden'",
            "no_log": True,
            "ignore_errors": True,
        },
        {
            "name": "Smoke test",
            "ansible.builtin.fail": {"msg": "no smoke"},
            "when": "inventory_hostname == 'afterwards'",
        },
    ],
}


def test_each_way_to_end_is_told(tmp_path: Path) -> None:
    """Nothing that is not known to serve is called deployed, and nothing is left without an end."""
    hosts = ["skipped", "away", "background", "hidden", "afterwards"]
    arguments = playing(tmp_path, hosts, WAYS)
    away = tmp_path / "ssh"
    away.write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
    away.chmod(0o755)
    environment = _environment(ANSIBLE_ASYNC_DIR=str(tmp_path / "async"))
    found = subprocess.run(arguments, env=environment, check=False, capture_output=True, text=True)
    said = found.stdout.splitlines()
    table = said[said.index(next(line for line in said if line.startswith("model "))) :]
    rows = {line.split()[0]: line.split(maxsplit=4) for line in table[1:5]}
    assert {name: row[1] for name, row in rows.items()} == {
        "background": "started",
        "away": "failed",
        "hidden": "failed",
        "afterwards": "failed",
    }
    assert "unreachable: " in " ".join(rows["away"])
    assert " ".join(rows["afterwards"]).endswith("s started, but afterwards: Smoke test")
    assert "has been hidden" in " ".join(rows["hidden"])
    assert table[5] == "3 failed, 1 started"
    assert any(line.startswith("hidden: FAILED: the output has been hidden") for line in said)
    assert "...ignoring" in said
    assert "very-secret" not in found.stdout + found.stderr
    # Who failed for another reason than the operation is in Ansible's own recap.
    assert "PLAY RECAP" in found.stdout
    assert "looped" not in found.stdout


def test_two_playbooks_have_two_tables(tmp_path: Path) -> None:
    task = {
        "llmops.platform.vllm_deployment": NOTHING,
        "ignore_errors": True,
        "when": "inventory_hostname == which",
    }
    play = {"hosts": "all", "gather_facts": False, "tasks": [task], "vars": {"which": "first"}}
    arguments = playing(tmp_path, ["first", "second"], play)
    (tmp_path / "more.yml").write_text(yaml.safe_dump([{**play, "vars": {"which": "second"}}]), "utf-8")
    found = subprocess.run(
        [*arguments, str(tmp_path / "more.yml")],
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.stdout.count("1 failed") == 2
    assert "2 failed" not in found.stdout
    _, first, second = found.stdout.split("model ")
    assert "second " not in first.split("second: FAILED")[0]
    assert "first " not in second
