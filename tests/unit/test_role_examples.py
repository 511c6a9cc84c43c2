# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example of each role's entry point is a play that Ansible takes, and its README shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.awx_collection import awx_collections
from tests.support.playbooks import ROOT
from tests.support.repository import load_yaml, roles

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)


def _entry_points(role: str) -> dict[str, dict[str, Any]]:
    return dict(load_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"])


@pytest.mark.parametrize("role", roles())
def test_example_plays_its_entry_point_with_options_that_exist(role: str) -> None:
    for entry, spec in _entry_points(role).items():
        (play,) = yaml.safe_load(spec["examples"])
        (task,) = play["tasks"]
        played = task["ansible.builtin.import_role"]
        assert played["name"] == f"llmops.platform.{role}"
        assert played.get("tasks_from", "main") == entry
        # Roles that go on from a deployment take the variables of role vllm.
        known = {*spec["options"], *_entry_points("vllm")["main"]["options"]}
        assert set(play["vars"]) <= known


def test_examples_pass_the_syntax_check(tmp_path: Path) -> None:
    playbook = tmp_path / "examples.yml"
    examples = [spec["examples"] for role in roles() for spec in _entry_points(role).values()]
    playbook.write_text("\n".join(examples), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "localhost,"]
    paths = os.pathsep.join((str(ROOT / "build/collections"), str(awx_collections())))
    finished = subprocess.run(
        [*command, str(playbook)],
        cwd=ROOT,
        # Role controller plays modules of another collection.
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": paths},
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_a_readme_that_is_out_of_date_is_noticed_and_made_anew(tmp_path: Path) -> None:
    role = tmp_path / "registry"
    shutil.copytree(ROOT / "roles/registry/meta", role / "meta")
    shutil.copy(ROOT / "roles/registry/README.md", role)
    script = [sys.executable, str(ROOT / "scripts/role_readme.py"), "--roles", str(tmp_path)]
    assert subprocess.run([*script, "--check"], check=False).returncode == 0
    specs = role / "meta/argument_specs.yml"
    specs.write_text(
        specs.read_text(encoding="utf-8").replace("hosts: localhost", "hosts: all"), encoding="utf-8"
    )
    refused = subprocess.run([*script, "--check"], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "registry" in refused.stderr
    subprocess.run(script, check=True)
    assert "hosts: all" in (role / "README.md").read_text(encoding="utf-8")
