# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays a playbook as a job of AWX: with ansible-runner, from a private data folder, by what AWX hands over.

As in ``awx/main/tasks/jobs.py`` of AWX 24.6.1: the inventory is a script, all texts of extra variables are
``!unsafe``, facts about the job are among them, and credentials are environment variables and files.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.cached_venv import cached_venv
from tests.support.playbooks import ROOT, PlayResult, PlayRunner, RunningPlay, write_yaml

_REQUIREMENTS = Path(__file__).resolve().parent / "awx/requirements.txt"
_CREDENTIALS = "credentials"


def awx_tools() -> Path:
    """Return the folder of programs: ansible-runner and ansible-builder."""
    return cached_venv("awx", _REQUIREMENTS, lambda line: print(line, file=sys.stderr)) / "bin"


@dataclass(frozen=True)
class Job:
    """What AWX knows of a job. Without ``user`` a schedule launched it."""

    number: int = 4711
    user: str = "alice"
    template: str = "Deploy models"
    host: str = "https://awx.example.com"

    @property
    def url(self) -> str:
        """Where people see it."""
        return f"{self.host}/#/jobs/playbook/{self.number}"

    def variables(self) -> dict[str, Any]:
        """Return what AWX adds to the extra variables (``awx_meta_vars``), for the most part."""
        facts: dict[str, Any] = {
            "job_id": self.number,
            "job_launch_type": "manual" if self.user else "scheduled",
            "job_template_name": self.template,
            "inventory_name": "models",
        }
        if self.user:
            facts |= {"user_name": self.user, "user_email": f"{self.user}@example.com"}
        return {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in facts.items()}

    def environment(self) -> dict[str, str]:
        """Return what AWX sets for a job."""
        return {"JOB_ID": str(self.number), "AWX_HOST": self.host, "INVENTORY_ID": "1"}


@dataclass
class RunningJob(RunningPlay):
    """A job that was started; ``data`` is its private data folder."""

    data: Path

    def cancel(self) -> PlayResult:
        """Cancel it as AWX does: ansible-runner is told to end, and kills the playbook."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(60)

    @property
    def status(self) -> str:
        """What ansible-runner says of it: ``successful``, ``failed``, ``canceled``, ..."""
        return next(self.data.glob("artifacts/*/status")).read_text("utf-8")


def start_job(
    folder: Path,
    playbook: str,
    *,
    inventory: Mapping[str, Any],
    extra_vars: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    project: Path | None = None,
    job: Job | None = None,
) -> RunningJob:
    """Start a playbook of the collection (``deploy``), or a file of ``project``, as AWX would.

    ``inventory`` holds groups by name, each with ``hosts`` (and their variables), ``vars`` and ``children``.
    ``environment`` is what credentials inject: ``{files}`` in it is the folder of what ``files`` holds, by
    name. ``arguments`` go to ansible-playbook, such as ``--limit``. Each call needs a ``folder`` of its own.
    """
    job = job or Job()
    data, events, log = folder / "data", folder / "events.jsonl", folder / "output.log"
    for name in ("env", "inventory", "project", _CREDENTIALS, "home"):
        (data / name).mkdir(parents=True)
    events.touch()
    if project is None:
        # A project has its own playbooks; AWX knows no other names.
        project = data / "project"
        write_yaml(project / f"{playbook}.yml", [{"import_playbook": f"llmops.platform.{playbook}"}])
        playbook = f"{playbook}.yml"
    script = f"#!/usr/bin/env python3\nprint({json.dumps(script_data(inventory))!r})\n"
    (data / "inventory/hosts").write_text(script, "utf-8")
    (data / "inventory/hosts").chmod(0o700)
    variables = {**(extra_vars or {}), **job.variables()}
    (data / "env/extravars").write_text(yaml.dump(variables, Dumper=_UnsafeDumper), "utf-8")
    for name, text in (files or {}).items():
        (data / _CREDENTIALS / name).write_text(text, "utf-8")
        (data / _CREDENTIALS / name).chmod(0o600)
    injected = {
        name: value.replace("{files}", str(data / _CREDENTIALS))
        for name, value in (environment or {}).items()
    }
    command = [str(awx_tools() / "ansible-runner"), "run", str(data), "--playbook", playbook]
    command += ["--project-dir", str(project), "--ident", str(job.number)]
    if arguments:
        command += ["--cmdline", shlex.join(arguments)]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(data, events, {**job.environment(), **injected}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    return RunningJob(process, events, log, time.monotonic(), data)


def run_job(folder: Path, playbook: str, *, timeout: float = 300, **options: Any) -> PlayResult:
    """Play a job to its end; the options are those of :func:`start_job`."""
    return start_job(folder, playbook, **options).wait(timeout)


def script_data(inventory: Mapping[str, Any]) -> dict[str, Any]:
    """Return an inventory as AWX's script prints it: hosts by name, their variables under ``_meta``."""
    found: dict[str, Any] = {"_meta": {"hostvars": {}}, "all": {"children": []}}
    for name, group in inventory.items():
        _add_group(found, name, group)
    return found


def _add_group(found: dict[str, Any], name: str, group: Mapping[str, Any] | None) -> None:
    group = group or {}
    children = group.get("children") or {}
    told = found.setdefault(name, {})
    told |= {"hosts": list(group.get("hosts") or ()), "vars": dict(group.get("vars") or {})}
    told["children"] = [*told.get("children", ()), *children]
    if name != "all":
        found["all"]["children"].append(name)
    for host, variables in dict(group.get("hosts") or {}).items():
        found["_meta"]["hostvars"].setdefault(host, {}).update(variables or {})
    if isinstance(children, Mapping):
        for child, content in children.items():
            _add_group(found, child, content)


def _environment(data: Path, events: Path, job: Mapping[str, str]) -> dict[str, str]:
    # A project brings its own settings, and a container has no kubeconfig of anybody.
    settings = PlayRunner(data).environment_of(events, job)
    del settings["ANSIBLE_CONFIG"]
    return {
        **settings,
        "HOME": str(data / "home"),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), settings["PATH"])),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "AWX_PRIVATE_DATA_DIR": str(data),
    }


class _UnsafeDumper(yaml.SafeDumper):
    """Marks every text, as AWX does with what people type into a survey."""

    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)
