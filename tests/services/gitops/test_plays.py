# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook as users run it, on a machine without a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.support.chart import CHART
from tests.support.git_server import Bare
from tests.support.playbooks import PlayResult, PlayRunner, module_play

PLAYBOOK = "playbooks/gitops.yml"


def gitops(runner: PlayRunner, where: dict[str, Any], *arguments: str, **variables: Any) -> PlayResult:
    """Run the playbook over three models, two of which have a name of their own."""
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_environment": "staging",
        "vllm_environment_values": {"secrets": {"hfToken": {"existingSecret": "hub"}}},
        **where,
        **variables,
    }
    hosts = {
        "first-7b": {},
        "second": {"vllm_model": "org/second"},
        "third": {"vllm_values": {"replicas": 2}},
    }
    inventory = {"models": {"hosts": hosts, "vars": shared}}
    return runner.run(PLAYBOOK, inventory=inventory, arguments=arguments)


def test_models_side_by_side_land_in_one_repository(bare: Bare, play: PlayRunner) -> None:
    where = {"gitops_repository": bare.url, "gitops_path": "models"}
    tried = gitops(play, where, "--check", "--diff").check()
    assert len(tried.changed) == 3
    assert "kind: Application" in tried.output
    assert bare.head() == ""

    assert len(gitops(play, where).check().changed) == 3
    assert len([path for path in bare.files() if path.startswith("models/values/")]) == 3
    assert len(bare.subjects()) == 3

    assert gitops(play, where).check().changed == []
    assert len(bare.subjects()) == 3

    gone = gitops(play, where, "--limit", "third", "-e", "gitops_state=absent").check()
    assert len(gone.changed) == 1
    assert len([path for path in bare.files() if path.startswith("models/values/")]) == 2


def test_a_secret_in_an_inventory_is_refused_by_name(bare: Bare, play: PlayRunner) -> None:
    where = {"gitops_repository": bare.url, "vllm_values": {"secrets": {"apiKey": "c4n4ry"}}}
    refused = gitops(play, where, "--limit", "second", "-vvv", "--diff")
    assert refused.rc != 0
    assert "chart_values.secrets.apiKey" in refused.output
    assert "c4n4ry" not in refused.output + repr(refused.tasks)


def test_a_directory_both_ways(play: PlayRunner, tmp_path: Path) -> None:
    """What the one way has written, the other way has nothing to change about."""
    root = tmp_path / "checkout"
    root.mkdir()
    arguments = {
        "model": "org/model",
        "environment": "staging",
        "namespace": "llm-staging",
        "chart_path": str(CHART),
        "directory": str(root),
        "source_repository": "https://git.example.com/models.git",
    }
    first, second = (module_play("gitops_files", arguments, in_process=here) for here in (True, False))
    inside, alone = play.run([*first, *second]).check().tasks
    assert (inside.changed, alone.changed) == (True, False)
    assert (root / inside.result["application_path"]).is_file()
    same = ("application_name", "application_path", "values_path", "chart_path", "commit")
    assert [inside.result[key] for key in same] == [alone.result[key] for key in same]
    assert inside.result["commit"] is None
