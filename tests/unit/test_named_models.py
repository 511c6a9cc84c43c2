# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes models away takes only those that somebody named. Nothing here gets as far as a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.playbooks import PlayResult, PlayRunner

REFUSED = "Name the models with --limit"
ABSENT = {"vllm_state": "absent"}


def _play(
    folder: Path, playbook: str, *arguments: str, one: dict[str, Any] | None = None, **variables: Any
) -> PlayResult:
    """Play a playbook over two models, of which ``one`` has variables of its own."""
    shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"one": {"vllm_model": "m-1", **(one or {})}, "two": {"vllm_model": "m-2"}}
    return PlayRunner(folder).run(
        f"llmops.platform.{playbook}",
        inventory={"models": {"hosts": hosts, "vars": {**shared, "vllm_environment": "staging"}}},
        extra_vars=variables,
        arguments=arguments,
    )


@pytest.mark.parametrize(
    ("playbook", "variables"),
    [
        ("deploy", ABSENT),
        ("gitops", ABSENT),
        ("gitops", {"gitops_state": "absent"}),
        # What -e says counts for all, also where the inventory has one that is to go.
        ("gitops", {"gitops_state": "absent", "one": ABSENT}),
        ("disable", {}),
        ("deregister", {}),
    ],
    ids=str,
)
def test_nothing_is_taken_away_where_nobody_named_it(
    tmp_path: Path, playbook: str, variables: dict[str, Any]
) -> None:
    refused = _play(tmp_path, playbook, **variables)
    assert refused.rc != 0
    assert REFUSED in refused.output
    assert {task.action.rsplit(".", 1)[-1] for task in refused.tasks} == {"assert"}


@pytest.mark.parametrize(
    ("arguments", "one", "variables"),
    [
        (["--limit", "one"], {}, ABSENT),
        ([], {}, {**ABSENT, "deploy_all": True}),
        ([], {}, {**ABSENT, "deploy_hosts": "two"}),
        # The inventory itself says that this one is to go.
        ([], ABSENT, {}),
        ([], {}, {}),
    ],
    ids=str,
)
def test_models_that_were_named_are_deployed_or_removed(
    tmp_path: Path, arguments: list[str], one: dict[str, Any], variables: dict[str, Any]
) -> None:
    """No task but those that always run."""
    _play(tmp_path, "deploy", *arguments, "--tags", "none", one=one, **variables).check()


@pytest.mark.parametrize("playbook", ["disable", "deregister"])
def test_all_models_are_taken_away_where_somebody_says_so(tmp_path: Path, playbook: str) -> None:
    """They get as far as a registry that is not there."""
    failed = _play(tmp_path, playbook, registration_all=True, registry_dsn="host=127.0.0.1 port=1")
    assert [task.status for task in failed.find(action="registry_entry")] == ["failed", "failed"]
