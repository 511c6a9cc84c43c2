# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deadline, shares of it for the parts: no time is hidden in the code of a deployment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT

CORE = ROOT / "plugins/module_utils/_core"
FILES = [path for room in ("operations", "release") for path in sorted((CORE / room).rglob("*.py"))]

#: Deadlines that are begun anew, by the text of their length, and why they are no shares.
ALLOWED = {
    'params["timeout"] or math.inf': "the whole itself",
    "math.inf": "the whole, where none is given",
    "registry.timeout_s": "the option database_timeout, also for what is left to do when the whole is over",
    "registry.timeout_s + patience": "the same, and a share for the wait",
    "patience": "database_timeout, routers_timeout and drain_timeout",
    'max(_ASK_S, run.verification["max_latency_s"] + 1)': "asks once after a failure; the whole may be over",
    "run.used_registry.routers_timeout_s": "tells routers after a failure; the whole may be over",
}


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_every_deadline_is_a_share_or_has_a_reason(path: Path) -> None:
    begun = [
        ast.unparse(call.args[0])
        for call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call.func, ast.Name) and call.func.id == "Deadline"
    ]
    allowed = {ast.unparse(ast.parse(text)) for text in ALLOWED}
    assert set(begun) <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_nobody_sleeps_past_a_deadline(path: Path) -> None:
    called = {ast.unparse(call.func) for call in _calls(ast.parse(path.read_text(encoding="utf-8")))}
    assert "time.sleep" not in called


def test_every_reason_is_still_needed() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert [length for length in ALLOWED if f"Deadline({length})" not in text] == []
