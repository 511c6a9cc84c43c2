# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback plugin that appends every task result to a file, one JSON object a line.

``ansible-playbook`` stays exactly what a user runs; the tests read the file beside its ordinary output.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record_events
type: aggregate
short_description: Write task results to a file for tests
description: Appends each result as one line of JSON to the file that E(LLMOPS_TEST_EVENTS) names.
"""


class CallbackModule(CallbackBase):
    """Write down what happened to each task of each host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record_events"
    CALLBACK_NEEDS_ENABLED = True

    def _record(self, status: str, result: Any) -> None:
        event = {
            "host": result.host.name,
            "task": result.task_name,
            "action": result.task.action,
            "status": status,
            "result": result.result,
        }
        with Path(os.environ["LLMOPS_TEST_EVENTS"]).open("a", encoding="utf-8") as events:
            events.write(json.dumps(event, default=_as_json) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Record a task that worked."""
        self._record("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record a task that failed, rescued or not."""
        self._record("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Record a task whose condition was false."""
        self._record("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Record a host that could not be reached."""
        self._record("unreachable", result)


def _as_json(value: Any) -> Any:
    """Return what ansible-core keeps as objects (warnings, errors) as data."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
