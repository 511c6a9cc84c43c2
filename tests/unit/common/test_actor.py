# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who acts, in which job, and why: as AWX tells it, and without AWX."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common import actor
from ansible_collections.llmops.platform.plugins.module_utils._core.common.identity import identity
from tests.support.awx_run import Job


def test_job_of_awx_names_its_user_and_its_address() -> None:
    job = Job()
    told = actor.awx_environment(job.variables(), job.host)
    assert told == {"LLMOPS_ACTOR": "alice", "LLMOPS_JOB": job.url}


@pytest.mark.parametrize(
    ("variables", "host", "told"),
    [
        ({}, "https://awx.example.com", {}),
        ({"tower_job_id": 7}, "", {"LLMOPS_JOB": "7"}),
        ({"awx_job_id": "", "tower_job_id": 8}, "", {"LLMOPS_JOB": "8"}),
        ({"awx_job_id": 7}, "http://awx/ ", {"LLMOPS_JOB": "http://awx/#/jobs/playbook/7"}),
        # A schedule has no user; AWX then leaves the variable out.
        ({"awx_user_name": None, "awx_job_id": None}, "http://awx", {}),
        ({"tower_user_name": "bob"}, "", {"LLMOPS_ACTOR": "bob"}),
    ],
)
def test_what_awx_leaves_out(variables: dict[str, Any], host: str, told: dict[str, str]) -> None:
    assert actor.awx_environment(variables, host) == told


def test_who_is_told_is_stronger_than_who_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_ACTOR", "alice")
    assert actor.actor() == "alice"
    monkeypatch.setenv("LLMOPS_ACTOR", " ")
    assert "@" in actor.actor()


def test_nobody_is_behind_a_job_without_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs run as the same user, so that one would be somebody else than whoever asked."""
    monkeypatch.setattr("getpass.getuser", lambda: "runner")
    monkeypatch.delenv("LLMOPS_ACTOR", raising=False)
    monkeypatch.delenv("LLMOPS_JOB", raising=False)
    assert identity(actor.actor()) == "runner"
    assert not actor.is_nobody(actor.actor())
    monkeypatch.setenv("LLMOPS_JOB", Job().url)
    assert identity(actor.actor()) is None
    assert actor.is_nobody(actor.actor())
    assert not actor.is_nobody("j\u00fcrgen")


def test_reason_is_one_short_line_without_secrets() -> None:
    assert actor.reason_for_the_record(None) == ""
    told = actor.reason_for_the_record("new\n weights, password=hunter2 " + "x" * 5000)
    assert told.startswith("new weights")
    assert "hunter2" not in told
    assert len(told) < 400
