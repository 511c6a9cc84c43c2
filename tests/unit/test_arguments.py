# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module accepts what its documentation says, with the same types, defaults and choices."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from tests.support.playbooks import ROOT
from tests.support.repository import assigned_text, modules

PLUGINS = "ansible_collections.llmops.platform.plugins"


def documented(module: str) -> dict[str, Any]:
    """Return the options of a module's documentation, those of its fragments among them."""
    documentation = yaml.safe_load(assigned_text(ROOT / f"plugins/modules/{module}.py", "DOCUMENTATION"))
    options: dict[str, Any] = {}
    for name in documentation.get("extends_documentation_fragment") or []:
        parts = name.removeprefix("llmops.platform.").split(".")
        fragment = importlib.import_module(f"{PLUGINS}.doc_fragments.{parts[0]}").ModuleDocFragment
        text = getattr(fragment, parts[1].upper() if len(parts) > 1 else "DOCUMENTATION")
        options |= (yaml.safe_load(text) or {}).get("options") or {}
    for name, own in (documentation.get("options") or {}).items():
        # As Ansible does it: what a module says of an option replaces the fragment's word on that alone.
        options[name] = {**options.get(name, {}), **own}
    return options


def facts(option: dict[str, Any]) -> dict[str, Any]:
    """Return what documentation and specification have to agree on."""
    made: dict[str, Any] = {
        "type": option.get("type", "str"),
        "required": option.get("required", False),
        "default": option.get("default"),
        "choices": list(option.get("choices") or []),
        "elements": option.get("elements"),
        "aliases": sorted(option.get("aliases") or []),
    }
    below = option.get("options") or option.get("suboptions") or {}
    return {**made, "options": {name: facts(item) for name, item in below.items()}}


@pytest.mark.parametrize("module", modules())
def test_specification_and_documentation_agree(module: str) -> None:
    contract = importlib.import_module(f"{PLUGINS}.modules.{module}").CONTRACT
    specified = {name: facts(option) for name, option in contract.argument_spec.items()}
    assert specified == {name: facts(option) for name, option in documented(module).items()}


@pytest.mark.parametrize("module", modules())
def test_environment_variables_are_documented(module: str) -> None:
    options = documented(module)
    contract = importlib.import_module(f"{PLUGINS}.modules.{module}").CONTRACT
    for name, option in contract.argument_spec.items():
        for variable in option.get("fallback", (None, []))[1]:
            assert f"E({variable})" in str(options[name]["description"]), f"{name}: {variable}"


@pytest.mark.parametrize("module", modules())
def test_secrets_are_not_logged(module: str) -> None:
    """Ansible hides what is marked no_log; a name that looks secret has to say what it is."""
    contract = importlib.import_module(f"{PLUGINS}.modules.{module}").CONTRACT
    for name, option in contract.argument_spec.items():
        if any(mark in name for mark in ("password", "token", "api_key", "dsn")) and option["type"] == "str":
            assert "no_log" in option, name
