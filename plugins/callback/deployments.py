# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback plugin deployments: one line a model while it is worked on, and a table at the end."""

from __future__ import annotations

DOCUMENTATION = """
name: deployments
author:
  - llmops.platform contributors (@llmops-platform)
type: stdout
short_description: One line a model while it is deployed, and a table at the end
version_added: 0.1.0
description:
  - For people at a terminal. Each model that is deployed, promoted or rolled back has one line, with its
    phase, the seconds so far, those that this model's own operations took before, and what it waits for.
    The lines are drawn anew in their place; what else is printed appears above them. A table at the end
    says how each ended.
  - Without a terminal (CI, a pipe, C(TERM=dumb)) there is a plain line for each change that a model reports,
    and the same table. So it is in AWX, whose jobs take a callback from the environment variable
    E(ANSIBLE_STDOUT_CALLBACK) of the job and not from C(ansible.cfg).
  - A model that fails is shown at once, with the cause, the last events and the end of the log. One
    whose host fails in a later task counts as failed too. What is interrupted has its table as well.
  - Headers of plays and tasks, and tasks that did what they should, are left out. With C(-v) and more all
    is printed that P(ansible.builtin.default#callback) prints, beside the lines and the table. Failures,
    warnings and differences (C(--diff)) of all tasks are always printed as there.
extends_documentation_fragment:
  - ansible.builtin.default_callback
  - ansible.builtin.result_format_callback
requirements:
  - set as C(stdout_callback) in the configuration
seealso:
  - module: llmops.platform.vllm_deployment
"""

EXAMPLES = """
# In ansible.cfg, or by the environment variable ANSIBLE_STDOUT_CALLBACK.
- |
  [defaults]
  stdout_callback = llmops.platform.deployments
"""

import atexit
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import stringc

from ansible_collections.llmops.platform.plugins.plugin_utils._board import (
    FAILED,
    VERBS,
    Board,
    first_sentence,
    one_line,
    outcome_of,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._live_region import LiveRegion, can_be_drawn_on
from ansible_collections.llmops.platform.plugins.plugin_utils._progress import Listener

_COLLECTION = "llmops.platform."
#: What its own playbooks say of a model is said already.
_PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
#: Seconds after which the lines are drawn anew, for their clocks.
_TICK = 0.5
_EVENTS = 5
_LOG_LINES = 10


class CallbackModule(Default):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "llmops.platform.deployments"

    def __init__(self) -> None:
        super().__init__()
        self._board = Board()
        self._lock = threading.RLock()
        self._region: LiveRegion | None = None
        self._listener: Listener | None = None
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None
        self._check_mode = False
        #: The last task in which a host failed.
        self._failed_at: dict[str, str] = {}
        self._told = True

    # The run

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin to listen to what tasks are at."""
        super().v2_playbook_on_start(playbook)
        # One command may play several playbooks, each with its own end.
        self._board, self._ends, self._told = Board(), threading.Event(), False
        if can_be_drawn_on(sys.stdout, os.environ):
            self._region = LiveRegion(self._lines)
            self._region.open()
        try:
            self._listener = Listener(Path(C.DEFAULT_LOCAL_TMP))  # type: ignore[attr-defined]
        except OSError as error:
            # Lines come by Ansible's own way then, and no phases.
            self._display.vv(f"deployments: {error}")
        self._thread = threading.Thread(target=self._listen, args=(self._ends,), daemon=True)
        self._thread.start()
        atexit.register(self._on_exit)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the table; the default's recap where there is more to say, or nothing of ours."""
        self._close()
        failed = [*stats.failures, *stats.dark]
        more = [host for host in failed if host not in self._board.rows]
        more += [host for host in failed if self._board.fail_afterwards(host, self._failed_at.get(host, ""))]
        custom = stats.custom and self.get_option("show_custom_stats")
        self._table()
        if more or custom or not self._board.rows or self._verbose:
            super().v2_playbook_on_stats(stats)

    def _on_exit(self) -> None:
        # Ansible tells of no end where it was interrupted, or gave up.
        self._close()
        if not self._told:
            self._table()

    def _close(self) -> None:
        self._ends.set()
        if self._listener is not None:
            self._listener.wake()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout=2)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._region is not None:
            self._region.close()
            self._region = None

    # Plays and tasks

    @property
    def _verbose(self) -> bool:
        return bool(self._display.verbosity)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember whether anything is changed."""
        self._check_mode = bool(play.check_mode)
        if self._verbose:
            super().v2_playbook_on_play_start(play)
        else:
            self._play = play

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        """Show no header yet: what is worth showing brings it along."""
        if self._verbose:
            super()._task_start(task, prefix)
        elif prefix is not None:
            self._task_type_cache[task._uuid] = prefix

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Give a model its line."""
        if operation := _operation(task):
            with self._lock:
                self._board.begin(host.get_name(), operation, time.monotonic())
            self._redraw()
        super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note how a model's operation ended; show what other tasks changed or say."""
        host, task, content = _parts(result)
        operation = _operation(task)
        if operation:
            outcome = outcome_of(operation, content, self._check_mode)
            if task.check_mode and not self._check_mode:
                # A task that only looks, such as a preflight, never says that it changes anything.
                outcome = "checked"
            line = str(content.get("line") or content.get("msg") or "")
            self._end(host, outcome, content, line)
        if self._verbose or (self._says_more(task, content) and not operation):
            super().v2_runner_on_ok(result)
        else:
            self._show_warnings(result)

    def _says_more(self, task: Any, content: Mapping[str, Any]) -> bool:
        """Tell whether a task that did what it should says what a person wants to know."""
        if self._board.rows and _of_this_collection(task):
            # Their reports of models are what the table says.
            return False
        return task.action in C._ACTION_DEBUG or bool(content.get("changed"))

    def _show_warnings(self, result: Any) -> None:
        # ansible-core 2.19 has another way for them.
        show = getattr(self, "_handle_warnings_and_exception", None)
        if show is None:
            self._handle_warnings(result._result)
        else:
            show(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show at once why a model's operation failed, once."""
        host, task, content = _parts(result)
        self._failed_at[host] = task.get_name()
        if _operation(task):
            message = str(content.get("msg") or content.get("censored") or "")
            self._end(host, FAILED, content, _cause(content, message))
            # A failure without a class is none of ours: a template, or a module that crashed.
            if not self._verbose and ("error_class" in content or "censored" in content):
                self._handle_warnings(content)
                self._show_failure(host, content, message)
                if ignore_errors:
                    self._display.display("...ignoring", color=_colour("SKIP"))
                return
        row = self._board.rows.get(host)
        if not self._verbose and _of_this_collection(task) and row is not None and row.outcome == FAILED:
            # The playbook's own word for what was shown already.
            return
        super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note that a model's operation could not begin."""
        host, task, content = _parts(result)
        self._failed_at[host] = task.get_name()
        if _operation(task):
            self._end(host, FAILED, content, f"unreachable: {first_sentence(str(content.get('msg') or ''))}")
        super().v2_runner_on_unreachable(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Leave out what was not to be done."""
        host, task, _content = _parts(result)
        if _operation(task):
            with self._lock:
                self._board.skip(host)
            self._redraw()
        if self._verbose:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Show of a loop what is shown of a task."""
        _host, task, content = _parts(result)
        if self._verbose or self._says_more(task, content):
            super().v2_runner_item_on_ok(result)
        else:
            self._show_warnings(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Leave out what was not to be done."""
        if self._verbose:
            super().v2_runner_item_on_skipped(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Leave out where tasks come from."""
        if self._verbose:
            super().v2_playbook_on_include(included_file)

    # What is shown

    def _end(self, host: str, outcome: str, content: Any, text: str) -> None:
        release, entry = content.get("release") or {}, content.get("entry") or {}
        revision = release.get("revision") or entry.get("revision")
        with self._lock:
            self._board.end(host, outcome, revision, text, time.monotonic())
        if self._region is None and outcome != FAILED:
            self._display.display(": ".join(filter(None, (one_line(host), outcome, one_line(text)))))
        self._redraw()

    def _show_failure(self, host: str, content: Any, message: str) -> None:
        step = content.get("failed_step")
        said = one_line(f"{host}: FAILED" + (f" at {step}" if step else "") + f": {message}")
        events = [f"  event: {one_line(_event(event))}" for event in (content.get("events") or [])[-_EVENTS:]]
        log = str(content.get("log_tail") or "").splitlines()[-_LOG_LINES:]
        lines = [said, *events, *(f"  log: {one_line(line)}" for line in log)]
        stderr = self.get_option("display_failed_stderr")
        self._display.display("\n".join(lines), color=_colour("ERROR"), stderr=stderr)

    def _table(self) -> None:
        self._told = True
        if not self._board.rows:
            return
        colours = {FAILED: "ERROR", "unchanged": "OK", "checked": "OK", "": "HIGHLIGHT"}
        # What is not a terminal has no width.
        drawn = can_be_drawn_on(sys.stdout, os.environ)
        width = max(shutil.get_terminal_size().columns - 1, 60) if drawn else None
        self._display.display("")
        for outcome, line in self._board.table(width):
            self._display.display(line, color=_colour(colours.get(outcome, "CHANGED")))
        self._display.display(self._board.totals())

    def _lines(self, width: int, height: int) -> list[str]:
        with self._lock:
            lines = self._board.live(width, height, time.monotonic())
        return [*lines[:-1], *(stringc(line, _colour("HIGHLIGHT")) for line in lines[-1:])]

    def _redraw(self) -> None:
        if self._region is not None:
            self._region.redraw()

    def _listen(self, ends: threading.Event) -> None:
        drawn, listener = 0.0, self._listener
        while not ends.is_set():
            heard = listener.receive(_TICK) if listener is not None else None
            if listener is None:
                ends.wait(_TICK)
            news = False
            if heard is not None:
                with self._lock:
                    news = self._board.hear(heard.host, heard.phase, heard.line, heard.expected_s)
                if news and self._region is None and heard.line:
                    self._display.display(f"{one_line(heard.host)}: {one_line(heard.line)}")
            now = time.monotonic()
            if news or now - drawn >= _TICK:
                drawn = now
                self._redraw()


def _operation(task: Any) -> str:
    """Return the operation that a task is, without the collection's name; empty for any other task."""
    name = str(task.resolved_action or task.action).removeprefix(_COLLECTION)
    return name if name in VERBS else ""


def _of_this_collection(task: Any) -> bool:
    path = str(task.get_path() or "").rpartition(":")[0]
    return bool(path) and Path(path).resolve().is_relative_to(_PLAYBOOKS)


def _parts(result: Any) -> tuple[str, Any, dict[str, Any]]:
    """Return host, task and content; ansible-core 2.19 gave the attributes other names."""
    if hasattr(result, "result"):
        return result.host.get_name(), result.task, result.result
    return result._host.get_name(), result._task, result._result


def _cause(content: Mapping[str, Any], message: str) -> str:
    """Return in short why an operation failed: the kind, the step and the reason."""
    reason = str(content.get("cause") or first_sentence(message))
    where = " at ".join(
        str(part) for part in (content.get("error_class"), content.get("failed_step")) if part
    )
    return f"{where}: {reason}" if where else reason


def _event(event: Any) -> str:
    return event if isinstance(event, str) else f"{event.get('reason', '')}: {event.get('message', '')}"


def _colour(name: str) -> str:
    return str(getattr(C, f"COLOR_{name}"))
