# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example inventory is complete: what its hosts merge to is what the real chart accepts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    find_object,
    parse_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.chart import CHART
from tests.support.lab import lab_folder
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.repository import load_yaml

# Each with its folder; the others of inventories/ are what they share.
INVENTORY_FOLDERS = {path.parent.name: path.parent for path in sorted((ROOT / "inventories").glob("*/hosts"))}
POOLS = sorted((ROOT / "inventories/pools").glob("*.yml"))
EXAMPLES = ("development", "staging", "production")
# What the scaffold writes by default: one model, and pools of its own machines.
SITES = {f"site/{name}": ROOT / "examples/site" / name for name in ("staging", "production")}
FOLDERS = INVENTORY_FOLDERS | SITES
INVENTORIES = list(FOLDERS)
SIZES = {"qwen2-5-7b": (7, 1, 20), "llama-2-13b": (13, 1, 20), "llama-3-3-70b": (70, 4, 40)}


# The role's own expression does the merging.
ARGUMENTS = load_yaml(ROOT / "roles/vllm/tasks/main.yml")[0]["module_defaults"][
    "llmops.platform.vllm_deployment"
]
# With its defaults, which only the role itself brings.
MERGED = re.sub(r"(vllm_(?:model_)?values)", r"\1 | default({})", ARGUMENTS["chart_values"])
SHOW = f"""
- hosts: models
  gather_facts: false
  tasks:
    - name: Show what the role would use
      ansible.builtin.debug:
        msg:
          model: "{{{{ vllm_model }}}}"
          environment: "{{{{ vllm_environment }}}}"
          namespace: "{{{{ vllm_namespace }}}}"
          values: "{MERGED}"
"""


@cache
def listed(inventory: str) -> dict[str, Any]:
    """Return what ``ansible-inventory --list`` says."""
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(FOLDERS[inventory]), "--list"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LLMOPS_REGISTRY_DSN": "Canary7Xq9"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "[WARNING]" not in answer.stderr
    made: dict[str, Any] = json.loads(answer.stdout)
    return made


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by inventory and host, the variables as the role sees them."""
    folder = tmp_path_factory.mktemp("inventories")
    playbook = folder / "show.yml"
    playbook.write_text(SHOW, "utf-8")
    runner = PlayRunner(folder)
    return {
        name: {task.host: task.result["msg"] for task in runner.run(playbook, inventory=folder).check().tasks}
        for name, folder in FOLDERS.items()
    }


def rendered(variables: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of one model, made the way the module makes them."""
    request = ReleaseRequest.build(chart=str(CHART), **variables)
    helm = Helm(str(lab_folder() / "bin/helm"), Authentication(kubeconfig=os.devnull))
    return parse_manifest(helm.template(request.spec(None), Deadline(60)))


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_an_inventory_lists_its_models(inventory: str) -> None:
    hosts = listed(inventory)["_meta"]["hostvars"]
    assert len(hosts) >= (1 if inventory in SITES else 2)
    for name, variables in hosts.items():
        assert variables["ansible_connection"] == "local", name
        assert variables["vllm_model"], name


@pytest.mark.parametrize("inventory", EXAMPLES)
def test_models_stand_in_a_pool_of_gpus(inventory: str) -> None:
    groups = listed(inventory)
    assert set(groups["models"]["children"]) == {"pool_h100", "pool_l40s"}
    assert set(groups["_meta"]["hostvars"]) == set(SIZES)
    assert groups["pool_h100"]["hosts"] == ["llama-3-3-70b"]


@pytest.mark.parametrize("cloud", POOLS, ids=lambda path: path.stem)
def test_pools_of_a_cloud_are_included_by_name(cloud: Path, tmp_path: Path) -> None:
    """As the file says: a copy in the inventory's folder, whose groups are the pools, and a model in none."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "inventories/staging", site)
    (site / "pools.yml").unlink()
    shutil.copy(cloud, site / "pools.yml")
    pools = {name: group["vars"]["pool_values"] for name, group in load_yaml(cloud).items()}
    groups = ["[models:children]", *pools, "", "[models]", "without-pool"]
    for name in pools:
        groups += ["", f"[{name}]", f"model-{name.replace('_', '-')}"]
    (site / "hosts").write_text("\n".join(groups) + "\n", "utf-8")
    playbook = tmp_path / "show.yml"
    playbook.write_text(SHOW, "utf-8")
    given = ["-e", "{vllm_model: org/model, vllm_values: {model: {sizeBillions: 7}, gpu: {count: 1}}}"]
    tasks = PlayRunner(tmp_path).run(playbook, inventory=site, arguments=given).check().tasks
    shown = {task.host: task.result["msg"] for task in tasks}
    for name, values in pools.items():
        deployment = find_object(rendered(shown[f"model-{name.replace('_', '-')}"]), "Deployment")
        assert deployment
        pod = deployment["spec"]["template"]["spec"]
        wanted = values.get("scheduling", {})
        assert wanted.get("nodeSelector", {}).items() <= pod.get("nodeSelector", {}).items()
        node_affinity = wanted.get("affinity", {}).get("nodeAffinity")
        assert node_affinity == (pod.get("affinity") or {}).get("nodeAffinity")
    assert "scheduling" not in shown["without-pool"]["values"]


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_model_renders_with_the_real_chart(
    merged: dict[str, dict[str, dict[str, Any]]], inventory: str
) -> None:
    for host, variables in merged[inventory].items():
        assert variables["environment"] == (
            "development" if inventory == "local" else FOLDERS[inventory].name
        )
        objects = rendered(variables)
        assert {"ConfigMap", "Deployment", "NetworkPolicy", "Service"} <= {item["kind"] for item in objects}
        assert all(item["metadata"]["namespace"] == variables["namespace"] for item in objects), host


@pytest.mark.parametrize("inventory", EXAMPLES)
@pytest.mark.parametrize("host", sorted(SIZES))
def test_each_size_has_its_gpus_and_its_patience(
    merged: dict[str, dict[str, dict[str, Any]]], inventory: str, host: str
) -> None:
    size, gpus, failures = SIZES[host]
    variables = merged[inventory][host]
    assert variables["values"]["model"]["sizeBillions"] == size
    assert re.fullmatch(r"[0-9a-f]{40}", variables["values"]["model"]["revision"])
    objects = rendered(variables)
    deployment = find_object(objects, "Deployment")
    assert deployment is not None
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert int(container["resources"]["limits"]["nvidia.com/gpu"]) == gpus
    assert container["startupProbe"]["failureThreshold"] == failures
    assert pod["nodeSelector"]["nvidia.com/gpu.product"].startswith("NVIDIA-")
    assert variables["values"]["model"]["revision"] in container["args"]
    tokens = [item for item in container.get("env", []) if item["name"] == "HF_TOKEN"]
    gated = variables["model"].startswith("meta-llama/")
    assert [item["valueFrom"]["secretKeyRef"]["name"] for item in tokens] == ["hugging-face"] * gated
    in_production = inventory == "production"
    assert deployment["spec"]["replicas"] == (2 if in_production else 1)
    kinds = {item["kind"] for item in objects}
    assert ("PersistentVolumeClaim" in kinds) == in_production
    assert ("PrometheusRule" in kinds) == (inventory != "development")


@pytest.mark.parametrize("inventory", [*EXAMPLES[1:], *SITES])
def test_what_differs_between_environments_is_not_what_a_model_is(
    merged: dict[str, dict[str, dict[str, Any]]], inventory: str
) -> None:
    """One file says it for all environments; what is said of it beside is what they own."""
    folder = FOLDERS[inventory]
    assert (folder / "models.yml").is_symlink()
    models = load_yaml(folder.parent / "common/models.yml")["all"]["hosts"]
    for host, variables in listed(inventory)["_meta"]["hostvars"].items():
        of_model = models[host]
        assert variables["vllm_model_values"] == of_model["vllm_model_values"]
        assert set(variables.get("vllm_values", {})) <= {"replicas", "persistence"}
        assert merged[inventory][host]["values"]["model"] == of_model["vllm_model_values"]["model"]


def admits(peer: dict[str, Any], policy_namespace: str, namespace: str, labels: dict[str, str]) -> bool:
    """Tell whether a peer of a NetworkPolicy means a pod with these labels in that namespace."""
    wanted: dict[str, str] = peer["podSelector"]["matchLabels"]
    place = peer.get("namespaceSelector", {}).get(
        "matchLabels", {"kubernetes.io/metadata.name": policy_namespace}
    )
    here = {"kubernetes.io/metadata.name": namespace}
    return wanted.items() <= labels.items() and bool(place == here)


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize("role", ["router", "health_check"])
def test_model_servers_admit_who_sends_them_requests(
    merged: dict[str, dict[str, dict[str, Any]]], inventory: str, role: str
) -> None:
    of_role = yaml.safe_load((ROOT / f"roles/{role}/vars/main.yml").read_text("utf-8"))
    labels = of_role[f"_{role}_selector"] | of_role[f"_{role}_other_labels"]
    hosts = listed(inventory)["_meta"]["hostvars"]
    for host, variables in merged[inventory].items():
        policy = find_object(rendered(variables), "NetworkPolicy")
        assert policy is not None
        peers = [peer for peer in policy["spec"]["ingress"][0]["from"] if "podSelector" in peer]
        # As the role says it: its own namespace where one is given, else that of the models.
        namespace = hosts[host].get(f"{role}_namespace") or variables["namespace"]
        assert any(admits(peer, variables["namespace"], namespace, labels) for peer in peers), host


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_what_an_environment_is_deployed_with_is_not_the_administrators(inventory: str) -> None:
    for host, variables in listed(inventory)["_meta"]["hostvars"].items():
        # As ansible-inventory lists it: templates stay as they are.
        assert variables["environment_kubeconfig"] != variables["vllm_kubeconfig"], host
        assert variables["environment_context"], host
        assert {variables["vllm_kubeconfig"], variables["environment_deployer_kubeconfig"]} in (
            {"~/.kube/llmops-{{ vllm_environment }}.yaml", "{{ vllm_kubeconfig }}"},
            {
                "{{ environment_deployer_kubeconfig }}",
                "{{ lab_dir }}/deployer-{{ vllm_environment }}.kubeconfig",
            },
        ), host
        # Nor may the account make namespaces, or has more than one context.
        assert not {name for name in variables if name.endswith(("create_namespace", "vllm_context"))}, host


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_no_inventory_holds_a_secret(inventory: str) -> None:
    assert "Canary7Xq9" not in json.dumps(listed(inventory))
    for path in FOLDERS[inventory].rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            assert not re.search(r"hf_[A-Za-z0-9]{8}|://[^/\s]+:[^.@\s]+@|BEGIN .*PRIVATE", text), path


@pytest.mark.parametrize("inventory", EXAMPLES)
def test_each_environment_has_a_database_login_of_its_own(tmp_path: Path, inventory: str) -> None:
    playbook = tmp_path / "show.yml"
    playbook.write_text(SHOW.replace("model:", 'dsn: "{{ registry_dsn }}"\n          model:'), "utf-8")
    own = f"LLMOPS_REGISTRY_DSN_{inventory.upper()}"
    other = next(name for name in EXAMPLES if name != inventory)
    anybodys = {"LLMOPS_REGISTRY_DSN": "anybody", f"LLMOPS_REGISTRY_DSN_{other.upper()}": "not this one"}
    for variables, wanted in (({**anybodys, own: "its own"}, "its own"), (anybodys, "anybody")):
        runner = PlayRunner(tmp_path, environment=variables)
        run = runner.run(playbook, inventory=FOLDERS[inventory])
        assert {task.result["msg"]["dsn"] for task in run.check().tasks} == {wanted}
    for variables in listed(inventory)["_meta"]["hostvars"].values():
        assert variables["registry_environments"] == ["{{ vllm_environment }}"]
