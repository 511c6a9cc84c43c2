# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GitHub's workflows: what they run, with which rights, and that no rehearsal is published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.playbooks import ROOT
from tests.support.repository import load_yaml

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
RELEASE = load_yaml(ROOT / ".github/workflows/release.yml")
#: Contexts that nobody outside can write into.
_OURS = re.compile(r"\$\{\{ matrix\.\w+ \}\}")


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_named_by_commit(path: Any) -> None:
    """Who can move a tag could run anything with the rights of the job: push images, sign as we do."""
    for used in (step["uses"] for step in steps(load_yaml(path)) if "uses" in step):
        assert used.startswith("actions/") or re.search(r"@[0-9a-f]{40}$", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_from_outside_becomes_part_of_a_command(path: Any) -> None:
    for command in (step["run"] for step in steps(load_yaml(path)) if "run" in step):
        assert "${{" not in _OURS.sub("", command), command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_job_runs_does_not_find_its_token(path: Any) -> None:
    workflow = load_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_a_rehearsal_is_not_published() -> None:
    """Without its variable, the workflow would sign with a key made for this once, and publish that."""
    (command,) = (step["run"] for step in steps(RELEASE) if "make release" in step.get("run", ""))
    assert command == "make release RELEASE_ARGS=--signed"
    unset = {name: value for name, value in os.environ.items() if name != "RELEASE_KEY"}
    for environment in (unset, {**unset, "RELEASE_KEY": ""}):
        refused = subprocess.run(
            [sys.executable, str(ROOT / "scripts/release.py"), "--signed"],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 1
        assert "RELEASE_KEY" in refused.stderr
