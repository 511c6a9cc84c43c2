# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the repository that have to agree with each other, do."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    KUBERNETES_SPEC,
    POSTGRES_SPEC,
)
from tests.support.playbooks import ROOT
from tests.support.repository import assigned_text, files, load_yaml, modules, roles

MODULES = "ansible_collections.llmops.platform.plugins.modules"
CORE = ROOT / "plugins/module_utils/_core"

# Which packages of the core may import which: one way only.
LAYERS: dict[str, set[str]] = {
    "common": set(),
    "cluster": {"common"},
    "helm": {"common", "cluster"},
    "placement": {"common", "cluster"},
    "registry": {"common"},
    "endpoint": {"common", "cluster"},
    "metrics": {"common", "cluster"},
    "exports": {"common", "registry"},
    "release": {"common", "cluster", "helm", "placement"},
    "gitops": {"common", "cluster", "helm", "release"},
    "operations": {
        "common",
        "cluster",
        "helm",
        "placement",
        "registry",
        "endpoint",
        "metrics",
        "release",
        "gitops",
    },
    "lab": {"common", "cluster", "registry"},
    "scaffold": {"common"},
    "controller": {"common"},
    "doctor": {"common", "cluster", "helm", "placement", "registry", "release"},
}

# The variables of all roles that use the registry.
CONNECTION = {
    "registry_dsn",
    "registry_host",
    "registry_port",
    "registry_database",
    "registry_user",
    "registry_password",
    "registry_sslmode",
    "registry_sslrootcert",
    "registry_sslcert",
    "registry_sslkey",
    "registry_connect_timeout",
}

# Modules whose options for TLS are about a server of their own, not about a cluster.
OTHER_SERVERS = {"llmops.platform.gitops_files", "llmops.platform.litellm_models"}

# Composed, so that this file does not contain what it looks for.
PRIVATE = re.compile(
    "|".join(
        [
            "/ro" + r"ot/",
            "(?<![a-z])/wo" + r"rk/",
            r"\.\./" + "shared",
            r"\bfarm" + "-(bench|studio)",
            "/tmp/" + "(team|research)",
        ]
    )
)


def test_the_first_milestone_is_complete() -> None:
    assert {
        "gpu_capacity_info",
        "lab_cluster",
        "registry_entry",
        "registry_info",
        "registry_schema",
        "vllm_endpoint_info",
        "vllm_release",
    } <= set(modules())
    assert {"lab", "registry", "vllm"} <= set(roles())


def test_action_groups_hold_what_takes_their_options() -> None:
    """Ansible gives a group's defaults to each member, and a module refuses what it does not know."""
    groups = load_yaml(ROOT / "meta/runtime.yml")["action_groups"]
    specs = {name: set(import_module(f"{MODULES}.{name}").ARGUMENT_SPEC) for name in modules()}
    for group, options in {"kubernetes": KUBERNETES_SPEC, "postgresql": POSTGRES_SPEC}.items():
        assert groups.pop(group) == [name for name, spec in specs.items() if spec >= set(options)]
        # What a role sets stands beside what its play has set.
        assert groups.pop(f"role_{group}") == [{"metadata": {"extend_group": [f"llmops.platform.{group}"]}}]
    assert groups == {}


def test_every_module_runs_in_process_too() -> None:
    actions = sorted(path.stem for path in (ROOT / "plugins/action").glob("*.py") if path.stem != "__init__")
    assert actions == modules()


@pytest.mark.parametrize("module", modules())
def test_module_is_documented(module: str) -> None:
    path = ROOT / f"plugins/modules/{module}.py"
    documentation = yaml.safe_load(assigned_text(path, "DOCUMENTATION"))
    assert documentation["module"] == module
    assert documentation["version_added"]
    assert documentation["short_description"]
    assert f"llmops.platform.{module}" in assigned_text(path, "EXAMPLES")
    assert yaml.safe_load(assigned_text(path, "RETURN"))


def _role_options(role: str) -> dict[str, dict[str, Any]]:
    """Return the options of all entry points of a role."""
    specs = load_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    return {name: option for entry in specs.values() for name, option in (entry.get("options") or {}).items()}


@pytest.mark.parametrize("role", roles())
def test_role_defaults_are_those_of_its_argument_spec(role: str) -> None:
    defaults = load_yaml(ROOT / f"roles/{role}/defaults/main.yml") or {}
    options = _role_options(role)
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    # A null default is "not set"; a spec says that by leaving the default out.
    assert {name: value for name, value in defaults.items() if value is not None} == documented
    assert set(defaults) <= set(options)
    required = {name for name, option in options.items() if option.get("required")}
    assert not required & set(defaults)


@pytest.mark.parametrize("role", roles())
def test_role_spec_explains_every_option(role: str) -> None:
    for entry, spec in load_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"].items():
        assert spec["short_description"], entry
        assert spec["version_added"], entry
        for name, option in (spec.get("options") or {}).items():
            assert option["description"], f"{entry}: {name}"
            assert option["type"], f"{entry}: {name}"
            assert name.startswith(f"{role}_") or name in CONNECTION, (
                f"{name} could collide with another role's variable"
            )


@pytest.mark.parametrize("role", roles())
def test_roles_that_use_the_registry_take_the_same_settings(role: str) -> None:
    """One place in the inventory is for all of them, and each says the same of it."""
    wanted = {name: option for name, option in _role_options("registry").items() if name in CONNECTION}
    assert set(wanted) == CONNECTION
    for entry, spec in load_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"].items():
        options = spec.get("options") or {}
        taken = {name: option for name, option in options.items() if name in CONNECTION}
        assert taken in ({}, wanted), entry
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / f"roles/{role}").glob("[tv]*s/*.yml")]
    if any(re.search(r"\bregistry_(dsn|host)\b", text) for text in texts):
        assert set(_role_options(role)) >= CONNECTION
        passed = load_yaml(ROOT / f"roles/{role}/vars/main.yml")[f"_{role}_database_settings"]
        assert set(passed) == set(POSTGRES_SPEC)
        assert passed == load_yaml(ROOT / "roles/registry/vars/main.yml")["_registry_database_settings"]


def test_roles_merge_the_values_of_a_model_alike() -> None:
    """Deployed by Helm, written to Git or promoted to: what an inventory says of a model means the same."""

    def merging(text: str) -> str:
        """Return what is merged, without what guards against variables that nobody has set."""
        return re.sub(
            r"[\s{}]|\|default\(\)|promotion_valuesor", "", re.sub(r"\s+", "", text).replace("{}", "")
        )

    (task,) = load_yaml(ROOT / "roles/vllm/tasks/main.yml")
    deployed = task["module_defaults"]["llmops.platform.vllm_deployment"]["chart_values"]
    written = load_yaml(ROOT / "roles/gitops/vars/main.yml")["_gitops_values"]
    promoted = load_yaml(ROOT / "roles/promotion/vars/main.yml")["_promotion_values"]
    assert (
        merging(deployed)
        == "vllm_environment_values|llmops.platform.chart_values(vllm_model_values,vllm_values)"
        == merging(written)
        == merging(promoted)
    )


@pytest.mark.parametrize("role", roles())
def test_tasks_of_roles_leave_connections_to_the_defaults(role: str) -> None:
    """``module_defaults`` of the groups say them once; a task that says one again could forget another."""
    said = []
    for path in (ROOT / f"roles/{role}/tasks").glob("*.yml"):
        for task in _tasks(load_yaml(path) or []):
            for name, arguments in task.items():
                if name.startswith("llmops.platform.") and isinstance(arguments, dict) and role != "lab":
                    said += [
                        f"{path.name}: {task['name']}: {argument}"
                        for argument in {*KUBERNETES_SPEC, *POSTGRES_SPEC} & set(arguments)
                        if name not in OTHER_SERVERS or argument not in KUBERNETES_SPEC
                    ]
    assert said == []


def _tasks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of blocks, too."""
    found = []
    for task in tasks:
        found += [task, *_tasks([*task.get("block", []), *task.get("rescue", []), *task.get("always", [])])]
    return found


def test_readme_names_every_module_and_role() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in [*modules(), *roles()] if f"`{name}`" not in readme]
    assert not missing


def test_no_file_mentions_a_private_place() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if PRIVATE.search(line)
        ]
    assert not found


def test_every_room_of_the_core_has_its_place() -> None:
    assert _core_packages() == LAYERS.keys()


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_core_package_imports_one_way_and_no_ansible(package: str) -> None:
    wrong = []
    for path in sorted((CORE / package).rglob("*.py")):
        for imported in _imports(path):
            top = imported.split(".")[0]
            if top == "ansible" or (
                imported in _core_packages() and imported not in {package, *LAYERS[package]}
            ):
                wrong.append(f"{path.relative_to(ROOT)} imports {imported}")
    assert not wrong


def _core_packages() -> set[str]:
    return {path.relative_to(CORE).parts[0] for path in CORE.rglob("*.py") if path.parent != CORE}


def _imports(path: Path) -> set[str]:
    """Return what a file imports: names of the core's packages, or dotted names of anything else."""
    prefix = "ansible_collections.llmops.platform.plugins.module_utils._core."
    found = set()
    # How many dots lead out of the package.
    out = len(path.relative_to(CORE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == out:
            # from ..common.errors import X, from .. import common
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(
                node.module.removeprefix(prefix).split(".")[0] if prefix in node.module else node.module
            )
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in files() if path.suffix == ".py"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_python_file_states_its_licence(path: Path) -> None:
    head = path.read_text(encoding="utf-8")[:400]
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in head


@pytest.mark.parametrize("role", roles())
def test_secrets_of_roles_are_no_log(role: str) -> None:
    specs = load_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    secret = re.compile(r"(dsn|password|api_keys?|upstream_keys|redis_url|token)$")
    shown = [
        name
        for entry in specs.values()
        for name, option in (entry.get("options") or {}).items()
        if secret.search(name) and not option.get("no_log")
    ]
    assert shown == []


def requirements(name: str) -> dict[str, str]:
    """Return the lines of a requirements file, by the name of the package."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[^\w.-]", line)[0].lower(): line for line in lines if line[:1].isalnum()}


def test_the_checkout_has_what_users_install() -> None:
    assert requirements("requirements.txt").items() <= requirements("requirements-dev.txt").items()
    wanted = load_yaml(ROOT / "meta/execution-environment.yml")["dependencies"]["python"]
    assert wanted == "requirements.txt"


def test_what_users_install_needs_no_compiler() -> None:
    """Of these two, the one without ``-binary`` has no wheels."""
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        assert "psycopg2" not in requirements(name), name


SERVICES = ("roles/router/files/router", "roles/health_check/files/health_check")


@pytest.mark.parametrize("service", SERVICES)
def test_images_hold_what_is_tested(service: str) -> None:
    """The versions of a service's lock are those of the checkout's environment."""
    tested = requirements("constraints.txt")
    shipped = requirements(f"{service}/requirements.lock")
    assert shipped.keys() >= requirements(f"{service}/requirements.txt").keys() - {"psycopg[binary]"}
    for name, line in shipped.items():
        pinned = line.removesuffix("\\").split(";")[0].strip()
        assert tested[name].split(";")[0].strip() == pinned, name
    text = (ROOT / service / "requirements.lock").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") > len(shipped)


def test_images_have_one_base() -> None:
    """Both services run on the same Python, named by its digest in a line that Dependabot reads."""
    bases = set()
    for service in SERVICES:
        lines = (ROOT / service / "Containerfile").read_text(encoding="utf-8").splitlines()
        # It reads no argument. One that names the line's stage keeps a mirror possible.
        first, second = (line for line in lines if line.startswith("FROM "))
        assert second == "FROM ${BASE_IMAGE}"
        assert lines.index("ARG BASE_IMAGE=pinned") < lines.index(first)
        bases.add(first)
    (base,) = bases
    assert re.search(r"^FROM [\w./-]+:3\.\d+-slim@sha256:[0-9a-f]{64} AS pinned$", base)
