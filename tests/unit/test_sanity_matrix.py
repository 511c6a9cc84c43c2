# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test sanity passes with every ansible-core that the collection supports, and CI knows them all."""

from __future__ import annotations

import re
import subprocess

import pytest
from ansible.release import __version__ as ansible_version
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS

from tests.support.playbooks import ROOT
from tests.support.repository import load_yaml

_LIST = re.search(
    r'^readonly matrix="(.*)"$', (ROOT / "scripts/sanity").read_text(encoding="utf-8"), re.MULTILINE
)
CELLS = [tuple(cell.split(":")) for cell in _LIST[1].split()] if _LIST else []


def test_workflow_plays_the_same_list() -> None:
    matrix = load_yaml(ROOT / ".github/workflows/ci.yml")["jobs"]["sanity"]["strategy"]["matrix"]["include"]
    assert [(cell["core"], cell["python"]) for cell in matrix] == CELLS


def test_oldest_core_is_the_one_that_is_declared() -> None:
    declared = load_yaml(ROOT / "meta/runtime.yml")["requires_ansible"]
    assert declared == f">={CELLS[0][0]}.0"


def test_the_oldest_and_the_newest_python_are_tried() -> None:
    """Of the ansible-core of .venv, which says what it supports; the others' lists look the same."""
    core = ".".join(ansible_version.split(".")[:2])
    tried = {python for one, python in CELLS if one == core}
    assert {CONTROLLER_PYTHON_VERSIONS[0], CONTROLLER_PYTHON_VERSIONS[-1]} <= tried


@pytest.mark.full
@pytest.mark.parametrize(("core", "python"), CELLS)
def test_sanity_passes(core: str, python: str) -> None:
    command = ["scripts/sanity", "--core", core, "--python", python, "--allow-missing"]
    finished = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    if "skipped: no Python" in finished.stderr:
        pytest.skip(finished.stderr.strip())
