# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one module of the collection through real ``ansible-playbook``."""

from __future__ import annotations

from typing import Any, Protocol

from tests.support.playbooks import PlayRunner, TaskResult, module_play


class RunModule(Protocol):
    """Runs one module of the collection through real ``ansible-playbook``."""

    def __call__(
        self,
        module: str,
        arguments: dict[str, Any],
        *,
        mode: str = "action",
        check: bool = False,
        diff: bool = False,
        **keywords: Any,
    ) -> TaskResult:
        """Return the task's result, failed or not. ``mode`` is ``action`` or ``module``."""


def module_runner(runner: PlayRunner) -> RunModule:
    """Return a function that runs one module, in process (``action``) or by itself (``module``)."""

    def run(
        module: str,
        arguments: dict[str, Any],
        *,
        mode: str = "action",
        check: bool = False,
        diff: bool = False,
        **keywords: Any,
    ) -> TaskResult:
        play = module_play(module, arguments, in_process=mode == "action", check=check, diff=diff, **keywords)
        finished = runner.run(play)
        assert len(finished.tasks) == 1, finished.output
        return finished.tasks[0]

    return run
