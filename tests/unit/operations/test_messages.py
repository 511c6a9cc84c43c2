# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment tells people is in the words that they wrote: the role's variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import ROOT

CORE = ROOT / "plugins/module_utils/_core"
ROOMS = ("release", "operations", "endpoint", "helm", "placement")
FILES = [*(path for room in ROOMS for path in sorted((CORE / room).rglob("*.py"))), CORE / "registry/lock.py"]


def _variables() -> dict[str, str]:
    """Return the option of the module for each variable of the role that is passed to it as it is."""
    tasks = (ROOT / "roles/vllm/tasks/main.yml").read_text(encoding="utf-8")
    (block,) = yaml.safe_load(tasks)
    passed = block["module_defaults"]["llmops.platform.vllm_deployment"]
    found: dict[str, str] = {}
    for option, value in [*passed.items(), *passed["verification"].items()]:
        variable = re.match(r"\{\{ (vllm_\w+)", str(value))
        if variable and "_" in option:
            found[option] = variable[1]
    return found


def _prose(path: Path) -> Iterator[str]:
    """Yield the texts of a file that are sentences, but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docs:
            continue
        if node.value.count(" ") > 2:
            yield node.value


def test_the_role_passes_what_messages_name() -> None:
    assert {"capacity_timeout", "force_conflicts", "max_latency_s"} <= _variables().keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_an_option_is_named_with_its_variable(path: Path) -> None:
    for text in _prose(path):
        for option, variable in _variables().items():
            for found in re.finditer(rf"(?<![\w(]){option}\b", text):
                assert text[found.end() :].startswith(f" ({variable})"), text
