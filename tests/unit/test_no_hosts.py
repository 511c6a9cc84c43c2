# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is one for all models of an inventory says so where there is no model, instead of doing nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.playbooks import PlayRunner


@pytest.mark.parametrize(
    ("playbook", "option"),
    [
        ("environment", "environment_hosts"),
        ("export", "router_hosts"),
        ("health_check", "health_check_hosts"),
        ("registry", "registry_hosts"),
        ("router", "router_hosts"),
    ],
)
def test_an_inventory_without_models_is_no_success(tmp_path: Path, playbook: str, option: str) -> None:
    inventory = {"models": {"hosts": {}}, "others": {"hosts": {"a-host": {"ansible_connection": "local"}}}}
    runner = PlayRunner(tmp_path)
    refused = runner.run(f"playbooks/{playbook}.yml", inventory=inventory)
    assert refused.rc == 2
    assert f"{option}: no host of the inventory is in models." in " ".join(refused.output.split())
