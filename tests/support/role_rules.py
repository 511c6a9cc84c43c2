# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alerts of a role, as its template renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.support.playbooks import ROOT, PlayRunner


def rule_groups(role: str, folder: Path, **variables: Any) -> list[dict[str, Any]]:
    """Return the rule groups of a role's PrometheusRule, rendered in ``folder``."""
    files = ROOT / "roles" / role
    render = {
        "name": "Render",
        "ansible.builtin.template": {
            "src": str(files / "templates/prometheusrule.yml.j2"),
            "dest": str(folder / "rule.yml"),
            "mode": "0600",
        },
    }
    play = {
        "name": "Show the rules",
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(files / "defaults/main.yml"), str(files / "vars/main.yml")],
        "tasks": [render],
    }
    PlayRunner(folder).run([play], extra_vars=variables).check()
    rule = yaml.safe_load((folder / "rule.yml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found
