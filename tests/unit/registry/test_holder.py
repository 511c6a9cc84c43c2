# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a holder is gone: only what can be seen for certain counts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no /proc")


@pytest.fixture
def dead() -> Holder:
    """Return a holder whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder.here("alice@bastion", process.pid)
    process.communicate()
    return holder


def test_run_that_is_there_is_not_gone() -> None:
    holder = Holder.here("alice@bastion", os.getpid())
    assert holder.process_started
    assert not holder.is_gone()


def test_run_that_ended_is_gone(dead: Holder) -> None:
    assert dead.is_gone()


def test_number_that_another_process_has_now_is_another_run(dead: Holder) -> None:
    assert replace(dead, pid=os.getpid()).is_gone()


@pytest.mark.parametrize("elsewhere", [None, "", "12", "another-boot pid:[4026531836] 12"])
def test_run_of_another_place_cannot_be_judged(dead: Holder, elsewhere: str | None) -> None:
    assert not replace(dead, process_started=elsewhere).is_gone()


def test_part_of_a_run_says_nothing_about_the_run() -> None:
    assert Holder.here("alice@bastion", None).pid is None
    assert not Holder.here("alice@bastion", None).is_gone()


def test_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder.here("alice@bastion", process.pid)
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert holder.is_gone()
    process.wait()


def test_job_of_the_controller_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_JOB", "https://awx.example.com/#/jobs/playbook/4711")
    assert "AWX job https://awx.example.com/#/jobs/playbook/4711" in str(Holder.here("alice@bastion", None))
