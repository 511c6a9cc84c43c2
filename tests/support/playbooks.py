# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the real ``ansible-playbook`` and return what happened as data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

# Settings of the developer's shell that would reach modules by their environment fallbacks.
_STRIPPED_PREFIXES = ("K8S_AUTH_", "PG", "ANSIBLE_", "LLMOPS_")
_STRIPPED = {"KUBECONFIG"}


@dataclass(frozen=True)
class TaskResult:
    """One task on one host. ``status`` is ok, failed, skipped or unreachable."""

    host: str
    task: str
    action: str
    status: str
    result: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Tell whether the task says that it changed something."""
        return bool(self.result.get("changed"))


@dataclass(frozen=True)
class PlayResult:
    """A finished run: exit status, everything printed, and each task's result in order."""

    rc: int
    output: str
    tasks: list[TaskResult]
    wall_s: float

    def find(self, *, action: str | None = None, host: str | None = None) -> list[TaskResult]:
        """Return the results of one module (by the end of its name), of one host, or of both."""
        return [
            task
            for task in self.tasks
            if (action is None or task.action.rsplit(".", 1)[-1] == action)
            and (host is None or task.host == host)
        ]

    @property
    def changed(self) -> list[str]:
        """Return ``host: task`` for each task that changed something."""
        return [f"{task.host}: {task.task}" for task in self.tasks if task.changed]

    def check(self) -> PlayResult:
        """Return the result itself if the run succeeded; otherwise fail with all that was printed."""
        assert self.rc == 0, f"ansible-playbook ended with {self.rc}{self._failures()}:\n{self.output}"
        return self

    def _failures(self) -> str:
        """Return each failed task with its message in one line, which a summary of tests shows."""
        told = [
            f"{task.host}: {task.task}: {' '.join(str(task.result.get('msg', '')).split())[:300]}"
            for task in self.tasks
            if task.status in ("failed", "unreachable")
        ]
        return " (" + "; ".join(told) + ")" if told else ""


@dataclass
class RunningPlay:
    """A run that was started; ``kill`` ends it the hard way, ``wait`` lets it finish."""

    process: subprocess.Popen[str]
    events: Path
    log: Path
    started: float

    def kill(self) -> None:
        """Send SIGKILL to the whole process group, as a lost machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        """Return what was printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Wait until the text was printed."""
        deadline = time.monotonic() + timeout
        while text not in self.output():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{text!r} was not printed:\n{self.output()}")
            time.sleep(0.05)

    def wait(self, timeout: float = 600) -> PlayResult:
        """Wait for the end and return the result."""
        try:
            rc = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {timeout:g} s:\n{self.output()}") from None
        except BaseException:
            # The test's own limit, or Ctrl-C: the run would go on in its session.
            self.kill()
            raise
        return PlayResult(rc, self.output(), _read_events(self.events), time.monotonic() - self.started)


@dataclass
class PlayRunner:
    """Runs playbooks with files of its own in ``folder``. ``environment`` reaches ansible-playbook."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(
        self,
        playbook: str | Path | Sequence[Mapping[str, Any]],
        *,
        inventory: str | Path | Mapping[str, Any] | None = None,
        extra_vars: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> RunningPlay:
        """Start a playbook: a path, a name such as ``llmops.platform.deploy``, or plays as data.

        ``inventory`` is a path or an inventory as data (``{"all": {"hosts": ...}}``); without one the
        implicit localhost is used.
        """
        run = uuid.uuid4().hex[:8]
        events, log = self.folder / f"events-{run}.jsonl", self.folder / f"output-{run}.log"
        events.touch()
        if not isinstance(playbook, str | Path):
            playbook = write_yaml(self.folder / f"playbook-{run}.yml", list(playbook))
        if isinstance(inventory, Mapping):
            inventory = write_yaml(self.folder / f"inventory-{run}.yml", dict(inventory))
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(playbook)]
        if inventory is not None:
            argv += ["-i", str(inventory)]
        if extra_vars:
            argv += ["-e", f"@{write_yaml(self.folder / f'extra-{run}.yml', dict(extra_vars))}"]
        argv += arguments
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=self.environment_of(events, environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return RunningPlay(process, events, log, time.monotonic())

    def run(self, playbook: str | Path | Sequence[Mapping[str, Any]], **options: Any) -> PlayResult:
        """Run a playbook to its end; the options are those of :meth:`start`, and ``timeout``."""
        timeout = options.pop("timeout", 600)
        return self.start(playbook, **options).wait(timeout)

    def environment_of(self, events: Path, extra: Mapping[str, str]) -> dict[str, str]:
        """Return what a run sees of this process' environment, with the test's own on top."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_STRIPPED_PREFIXES) and name not in _STRIPPED
        }
        return {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/support/callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "record_events",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_NOCOLOR": "true",
            # Data from outside that is treated as a template fails a test instead of going unnoticed.
            "_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "error",
            "LLMOPS_TEST_EVENTS": str(events),
            **self.environment,
            **extra,
        }


def module_play(
    module: str,
    arguments: Mapping[str, Any],
    *,
    in_process: bool = True,
    check: bool = False,
    diff: bool = False,
    **keywords: Any,
) -> list[dict[str, Any]]:
    """Return a play that runs one module of the collection on localhost.

    Without ``in_process`` the module runs as on any other host, in an interpreter of its own. Other
    keywords (``become``, ``async``, ...) become keywords of the task.
    """
    task = {
        "name": f"Run {module}",
        f"llmops.platform.{module}": dict(arguments),
        "check_mode": check,
        "diff": diff,
        **keywords,
    }
    return [
        {
            "name": f"Run {module}",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"llmops_in_process": in_process},
            "tasks": [task],
        }
    ]


def write_yaml(path: Path, data: Any) -> Path:
    """Write data as YAML that Ansible reads back unchanged: what looks like a template is no template."""
    path.write_text(yaml.dump(data, Dumper=_LiteralDumper, sort_keys=False, allow_unicode=True), "utf-8")
    return path


class _LiteralDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Marks strings with template delimiters as unsafe, so that hostile input reaches its target."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    literal = any(mark in text for mark in ("{{", "{%", "{#"))
    return dumper.represent_scalar("!unsafe" if literal else "tag:yaml.org,2002:str", text)


_LiteralDumper.add_representer(str, _represent_text)


def _read_events(path: Path) -> list[TaskResult]:
    return [TaskResult(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
