# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nobody answered in a survey arrives as an empty text or as null, and counts as not given."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.platform.plugins.module_utils._module import ModuleContract
from ansible_collections.llmops.platform.plugins.plugin_utils._action import without_empty
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.repository import load_yaml

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = {"vllm": "vllm_deployment", "rollback": "vllm_rollback", "promotion": "vllm_promotion"}


def contract_of(module: str) -> ModuleContract:
    """Return the contract of a module."""
    name = f"ansible_collections.llmops.platform.plugins.modules.{module}"
    contract = importlib.import_module(name).CONTRACT
    assert isinstance(contract, ModuleContract)
    return contract


def validated(module: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what a module's function gets, without what is empty in the end."""
    # Ansible writes into the defaults.
    spec = copy.deepcopy(dict(contract_of(module).argument_spec))
    checked = ArgumentSpecValidator(spec).validate(without_empty(arguments, spec))
    assert not [text for text in checked.error_messages if "missing required" not in text]
    return dict(_given(checked.validated_parameters))


def _given(value: Any) -> Any:
    """Leave out what says nothing: no time is no limit, and a reference without a name is none."""
    if not isinstance(value, dict):
        return value
    found = {name: _given(item) for name, item in value.items()}
    return {name: item for name, item in found.items() if item or isinstance(item, bool)}


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("module", MODULES)
def test_empty_options_are_left_to_their_defaults(
    module: str, empty: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K8S_AUTH_KUBECONFIG", raising=False)
    spec = contract_of(module).argument_spec
    optional = {name: empty for name, option in spec.items() if not option.get("required")}
    assert validated(module, optional) == validated(module, {})


def test_options_of_options_too() -> None:
    given = {"verification": {"access": "", "timeout": ""}, "gitops": ""}
    assert validated("vllm_deployment", given)["verification"]["timeout"] == 60


@pytest.mark.parametrize("nothing", ["", None])
def test_roles_hand_on_the_same(tmp_path: Path, nothing: str | None) -> None:
    """All variables of the roles are given as empty texts, in a play of its own."""
    empty = {
        name: nothing
        for role in ROLES
        for name, option in load_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"][
            "main"
        ]["options"].items()
        if not name.startswith(("rollback_model", "rollback_env", "rollback_name"))
        if not name.startswith(("promotion_model", "promotion_env", "promotion_name"))
    }
    assert len(empty) > 50
    plain, left_empty = (_arguments(tmp_path, given) for given in ({}, empty))
    for role, module in ROLES.items():
        assert validated(module, left_empty[role]) == validated(module, plain[role])


def _arguments(folder: Path, variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tasks = []
    for role, module in ROLES.items():
        (task, *_) = load_yaml(ROOT / f"roles/{role}/tasks/main.yml")
        full = f"llmops.platform.{module}"
        arguments = task["module_defaults"].get(full) or task["block"][0][full]
        tasks.append({"name": role, "ansible.builtin.debug": {"msg": arguments}})
    files = [str(ROOT / f"roles/{role}/{kind}/main.yml") for role in ROLES for kind in ("defaults", "vars")]
    play = {
        "hosts": "models",
        "gather_facts": False,
        "vars_files": files,
        "vars": {"role_path": str(ROOT / "roles/vllm")},
        "tasks": tasks,
    }
    inventory = {"models": {"hosts": {"model-7b": {"ansible_connection": "local"}}}}
    # Its templates are the roles' own, so it is written as people write them.
    playbook = folder / f"arguments-{len(variables)}.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False), "utf-8")
    result = PlayRunner(folder).run(playbook, inventory=inventory, extra_vars=variables).check()
    found = {task.task: dict(task.result["msg"]) for task in result.tasks}
    for arguments in found.values():
        if "chart_path" in arguments:
            arguments["chart_path"] = str(Path(arguments["chart_path"]).resolve())
    return found
