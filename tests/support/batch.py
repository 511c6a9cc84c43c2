# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many calls of modules in one play, side by side: a start of ``ansible-playbook`` costs more than a call."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.playbooks import PlayRunner, TaskResult


@dataclass(frozen=True)
class Call:
    """One call of a module of the collection. ``keywords`` are keywords of the task (environment, diff)."""

    name: str
    module: str
    arguments: Mapping[str, Any]
    keywords: Mapping[str, Any] = field(default_factory=dict)


def run_batch(runner: PlayRunner, calls: list[Call], *, in_process: bool = True) -> dict[str, TaskResult]:
    """Run all calls, each on a host of its own; return the results by name, failed or not."""
    names = [call.name for call in calls]
    assert len(set(names)) == len(names), "two calls have one name"
    hosts = {
        call.name: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        for call in calls
    }
    plays = [
        {
            "hosts": call.name,
            "gather_facts": False,
            "vars": {"llmops_in_process": in_process},
            "tasks": [
                {
                    "name": call.name,
                    f"llmops.platform.{call.module}": dict(call.arguments),
                    "ignore_errors": True,
                    **call.keywords,
                }
            ],
        }
        for call in calls
    ]
    finished = runner.run(plays, inventory={"all": {"hosts": hosts}})
    results = {task.host: task for task in finished.tasks}
    assert set(results) == set(names), finished.output
    return results
