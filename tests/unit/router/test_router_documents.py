# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's page and its OpenAPI document say what the program does."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from llmops_router.catalogue import Catalogue
from llmops_router.endpoints import AllowedEndpoints
from llmops_router.metrics import Metrics, observe_catalogue
from llmops_router.settings import OPTIONS
from tests.support.playbooks import ROOT

PACKAGE = ROOT / "roles/router/files/router/llmops_router"
PAGE = (ROOT / "docs/router.md").read_text(encoding="utf-8")
_CODE = re.compile(r"[a-z]+(_[a-z]+)+")


def _codes() -> set[str]:
    """Return the error codes that the source passes to its errors: a text beside a status or a request."""
    found = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("ApiError", "_failed", "bad_request", "_unauthorized"):
                found |= {
                    argument.value
                    for argument in node.args
                    if isinstance(argument, ast.Constant)
                    and isinstance(argument.value, str)
                    and _CODE.fullmatch(argument.value)
                }
    return found


def test_every_code_is_documented() -> None:
    codes = _codes()
    assert {"model_not_found", "upstream_broken", "invalid_json", "missing_api_key"} <= codes
    description = (PACKAGE / "openapi.json").read_text(encoding="utf-8")
    paths = {"unknown_path", "method_not_allowed"}
    assert not [code for code in sorted(codes - paths) if f"`{code}`" not in PAGE]
    assert not [code for code in sorted(codes - {"method_not_allowed"}) if code not in description]


def test_every_setting_is_documented_with_its_default() -> None:
    for option in OPTIONS.values():
        row = next(
            (line for line in PAGE.splitlines() if line.startswith("| `") and f"`{option.name}`" in line), ""
        )
        assert row, option.name
        assert not option.default or f"`{option.default}`" in row


def test_every_metric_is_documented() -> None:
    metrics = Metrics()
    observe_catalogue(metrics, Catalogue(AllowedEndpoints.parse("")))
    names = {family.name.removeprefix("llmops_router") for family in metrics.registry.collect()}
    assert "_requests" in names
    assert not [name for name in sorted(names) if not re.search(rf"{name}(_total)?`", PAGE)]


def test_the_description_is_whole() -> None:
    """Every reference leads somewhere, and every operation has a name."""
    document = json.loads((PACKAGE / "openapi.json").read_text(encoding="utf-8"))
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        place = document
        for part in Path(reference).parts:
            place = place[part]
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names)) == len(document["paths"])
