# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users install works without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.artefact import built_artefact
from tests.support.lab import Lab
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.repository import load_yaml, modules, roles

# The collection functions when only these remain.
SHIPPED = {
    "CHANGELOG.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "examples",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "tests",
}


def _galaxy(*arguments: str, cwd: Path) -> None:
    command = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", *arguments]
    # With the checkout's configuration, galaxy would find the collection installed already.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    finished = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tarball that ``scripts/build`` makes."""
    return built_artefact(tmp_path_factory.mktemp("artefact"))


@pytest.fixture(scope="module")
def collections_path(artefact: Path) -> Path:
    """Return a collections path that holds the installed artefact and nothing else."""
    path = artefact.parent / "collections"
    _galaxy("install", "--offline", "--no-deps", "-p", str(path), str(artefact), cwd=artefact.parent)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, collections_path: Path) -> PlayRunner:
    """Return a runner that knows the installed collection only."""
    config = tmp_path / "ansible.cfg"
    config.write_text("[inventory]\ninventory_unparsed_warning = false\n", encoding="utf-8")
    return PlayRunner(
        tmp_path, {"ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_PATH": str(collections_path)}
    )


def test_artefact_holds_the_collection_and_nothing_of_the_repository(artefact: Path) -> None:
    with tarfile.open(artefact) as tarball:
        names = set(tarball.getnames())
    assert {name.split("/")[0] for name in names} <= SHIPPED
    assert {name for name in names if name.startswith("tests/")} == {"tests/config.yml"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".log"))]
    wanted = {f"plugins/{kind}/{module}.py" for kind in ("modules", "action") for module in modules()}
    wanted |= {f"roles/{role}/meta/argument_specs.yml" for role in roles()}
    wanted |= {
        "examples/site/staging/hosts",
        "examples/site/staging/models.yml",
        "inventories/staging/hosts",
        "meta/runtime.yml",
        "playbooks/deploy.yml",
        "playbooks/lab.yml",
        "roles/vllm/files/chart/vllm-deployment/Chart.yaml",
        "roles/vllm/files/chart/vllm-deployment/values.schema.json",
    }
    assert wanted <= names
    assert [name for name in names if name.startswith("roles/registry/files/migrations/")]


@pytest.mark.parametrize("playbook", ["deploy", "lab"])
def test_playbook_is_found_by_its_name(elsewhere: PlayRunner, tmp_path: Path, playbook: str) -> None:
    finished = elsewhere.run(
        f"llmops.platform.{playbook}",
        inventory={"all": {"hosts": {"model-a": None}}},
        arguments=["--list-tasks"],
        cwd=tmp_path,
    ).check()
    assert "TAGS" in finished.output
    assert str(ROOT) not in finished.output


def test_model_is_deployed_from_another_folder(
    elsewhere: PlayRunner, tmp_path: Path, lab: Lab, namespace: str, registry_dsn: str
) -> None:
    """An inventory of one's own and the playbook's name are all that a user needs."""
    values = load_yaml(ROOT / "inventories/local/group_vars/models/values.yml")["vllm_environment_values"]
    model = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_model": "artefact/Installed-7B",
        "vllm_namespace": namespace,
        "vllm_kubeconfig": str(lab.kubeconfig),
        "vllm_helm_binary": str(lab.binary("helm")),
        "registry_dsn": registry_dsn,
        "vllm_values": {**values, "model": {"sizeBillions": 7}},
    }
    inventory = {"models": {"hosts": {"installed-7b": model}}}
    first = elsewhere.run("llmops.platform.deploy", inventory=inventory, cwd=tmp_path).check()
    assert first.changed
    assert "http://installed-7b-" in first.output
    again = elsewhere.run("llmops.platform.deploy", inventory=inventory, cwd=tmp_path).check()
    assert again.changed == []
    assert str(ROOT) not in first.output + again.output


@dataclass(frozen=True)
class Site:
    """A user's copy of examples/site, played with nothing but the installed collection."""

    folder: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of Ansible's in the site, as a user types it; returns what it printed."""
        finished = subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout


@pytest.fixture
def site(tmp_path: Path, collections_path: Path) -> Site:
    """Return a copy of the example that was installed."""
    folder = tmp_path / "site"
    example = collections_path / "ansible_collections/llmops/platform/examples/site"
    shutil.copytree(example, folder, symlinks=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return Site(folder, {**kept, "LC_ALL": "C.UTF-8", "ANSIBLE_COLLECTIONS_PATH": str(collections_path)})


def test_the_scaffold_writes_the_example(site: Site) -> None:
    """With the installed collection, whose version comes from elsewhere than that of a checkout."""
    made = site.folder.parent / "made"
    site.run("ansible-playbook", "llmops.platform.scaffold", "-e", f"site={made}")
    differences = subprocess.run(
        ["diff", "-r", "--no-dereference", str(site.folder), str(made)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert differences.stdout == ""
    assert differences.returncode == 0


def test_playbooks_of_a_site_are_read_with_its_inventories(site: Site) -> None:
    verbs = [path.name for path in site.folder.glob("*.yml") if "import_playbook" in path.read_text("utf-8")]
    assert "deploy.yml" in verbs
    # It plays modules of another collection.
    verbs.remove("controller.yml")
    site.run("ansible-playbook", *verbs, "secrets.yml", "-i", "staging", "--syntax-check")
    for environment in ("staging", "production"):
        (variables,) = json.loads(site.run("ansible-inventory", "-i", environment, "--list"))["_meta"][
            "hostvars"
        ].values()
        assert variables["vllm_environment"] == environment
        # What is shared arrives by the link.
        assert variables["vllm_model_values"]["model"]["sizeBillions"] == 7
        assert variables["pool_values"]["scheduling"]["nodeSelector"]


def test_a_site_deploys_its_model(site: Site, lab: Lab, namespace: str, registry_dsn: str) -> None:
    """``ansible-playbook deploy.yml -i staging``, literally; beside it only what a lab has otherwise."""
    lab_values = load_yaml(ROOT / "inventories/local/group_vars/models/values.yml")["vllm_environment_values"]
    place = {
        "vllm_namespace": namespace,
        "vllm_kubeconfig": str(lab.kubeconfig),
        "vllm_helm_binary": str(lab.binary("helm")),
        "environment_values": lab_values,
        "pool_values": {},
    }
    own = site.folder / "staging/host_vars/qwen2-5-7b.yml"
    own.write_text(json.dumps({**place, "vllm_values": {"revisionHistoryLimit": 3}}), "utf-8")
    # The host's own DSN is of no interest to a preflight; a deployment finds it where the inventory looks.
    checked = site.run("ansible-playbook", "deploy.yml", "-i", "staging", "--tags", "preflight")
    assert checked.splitlines()[-1] == "1 checked"
    site.environment["LLMOPS_REGISTRY_DSN_STAGING"] = registry_dsn
    deployed = site.run("ansible-playbook", "deploy.yml", "-i", "staging")
    assert deployed.splitlines()[-1] == "1 deployed"
    again = site.run("ansible-playbook", "deploy.yml", "-i", "staging", "--check", "--diff")
    assert again.splitlines()[-1] == "1 unchanged", again


@pytest.mark.parametrize("module", modules())
def test_module_documentation_is_readable(collections_path: Path, tmp_path: Path, module: str) -> None:
    finished = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-doc"), f"llmops.platform.{module}"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(collections_path), "LC_ALL": "C.UTF-8"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert "EXAMPLES" in finished.stdout
    assert not finished.stderr
