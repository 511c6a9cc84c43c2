# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry as an inventory: ``ansible-inventory`` and ``ansible-playbook`` over a real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.services.registry.conftest import Run
from tests.support.playbooks import ROOT, PlayRunner, write_yaml
from tests.support.postgres import PASSWORD

Query = Callable[..., list[tuple[Any, ...]]]

PLUGIN = "llmops.platform.registry"
MODEL = "org/Model-7B"
# The slug has the head of the name's SHA-256.
HOST = "model-7b-71b09e21"
URL = "http://model-7b-71b09e21-staging.ml-staging.svc.cluster.local:8000"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


class Inventory:
    """An inventory file and what ``ansible-inventory`` says about it."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.file, self.dsn = folder / "registry.yml", dsn

    def configure(self, **options: Any) -> None:
        """Write the file; the DSN is in the environment, unless it is an option."""
        write_trusted(self.file, {"plugin": PLUGIN, **options})

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ansible-inventory; assert that it never shows the password."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PG"))}
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(self.file), *arguments],
            cwd=ROOT,
            env={
                **kept,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "true",
                "LLMOPS_REGISTRY_DSN": self.dsn,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "c4n@ry" not in done.stdout + done.stderr
        return done

    def list(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """Return the whole inventory."""
        done = self.run("--list", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout, object_hook=without_mark)
        return found

    def hosts(self, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
        """Return the hosts with their variables."""
        found: dict[str, dict[str, Any]] = self.list(*arguments, **environment)["_meta"]["hostvars"]
        return found


def without_mark(value: dict[str, Any]) -> Any:
    """Return the text of what Ansible marks as no template; from 2.19 on that is all that plugins bring."""
    return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value


def write_trusted(path: Path, data: Mapping[str, Any]) -> None:
    """Write YAML in which templates are templates (``write_yaml`` marks them as data)."""
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def inventory(tmp_path: Path, dsn: str) -> Inventory:
    """Return an inventory over the fresh database."""
    made = Inventory(tmp_path, dsn)
    made.configure()
    return made


@pytest.fixture
def models(entry: Run) -> None:
    """Fill the registry with a model in two environments, and one that is served elsewhere."""
    release = {"release_revision": 3, "status": "ready"}
    entry(endpoint=URL, namespace="ml-staging", release_name=f"{HOST}-staging", **release)
    entry(environment="production", namespace="ml-production", status="failed", status_reason="OOM")
    entry(model="plain", endpoint="http://10.0.0.7:8000", desired_state="disabled", health_checked=True)


def test_models_are_hosts_in_groups(models: None, inventory: Inventory) -> None:
    found = inventory.list()
    hosts = found["_meta"]["hostvars"]
    assert set(hosts) == {f"{HOST}-staging", f"{HOST}-production", "plain-staging"}
    staging = hosts[f"{HOST}-staging"]
    expected = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_model": MODEL,
        "vllm_environment": "staging",
        "vllm_namespace": "ml-staging",
        "entry_endpoint": URL,
        "entry_status": "ready",
        "entry_desired_state": "enabled",
        "entry_release_revision": 3,
        "entry_version": 1,
        "entry_last_health_check_at": None,
    }
    assert {name: staging[name] for name in expected} == expected
    members = {name: set(group.get("hosts", [])) for name, group in found.items() if name != "_meta"}
    assert members["models"] == set(hosts)
    assert members["environment_staging"] == {f"{HOST}-staging", "plain-staging"}
    assert members["environment_production"] == {f"{HOST}-production"}
    assert members["status_ready"] == {f"{HOST}-staging"}
    assert members["status_failed"] == {f"{HOST}-production"}
    assert members["desired_disabled"] == {"plain-staging"}
    assert members["namespace_ml_staging"] == {f"{HOST}-staging"}
    # What no release provides is verified where it is.
    assert hosts["plain-staging"]["registration_endpoint"] == "http://10.0.0.7:8000"
    assert "registration_endpoint" not in staging
    assert "vllm_namespace" not in hosts["plain-staging"]


def test_graph_and_one_host(models: None, inventory: Inventory, tmp_path: Path) -> None:
    graph = inventory.run("--graph", "status_ready")
    assert graph.returncode == 0, graph.stderr
    assert graph.stdout.split() == ["@status_ready:", f"|--{HOST}-staging"]
    # Variables for the groups come from files beside the inventory, or beside the playbooks.
    playbooks = tmp_path / "playbooks"
    for folder, variables in (
        (tmp_path, {"vllm_context": "cluster-of-staging"}),
        (playbooks, {"vllm_max_latency_s": 7}),
    ):
        (folder / "group_vars").mkdir(parents=True)
        write_yaml(folder / "group_vars" / "environment_staging.yml", variables)
    shown = inventory.run("--host", f"{HOST}-staging", "--playbook-dir", str(playbooks))
    variables = json.loads(shown.stdout)
    assert (variables["vllm_context"], variables["vllm_max_latency_s"]) == ("cluster-of-staging", 7)


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ({"environment": "production"}, {f"{HOST}-production"}),
        ({"status": ["ready", "failed"]}, {f"{HOST}-staging", f"{HOST}-production"}),
        ({"model": "plain"}, {"plain-staging"}),
        ({"namespace": "ml-staging"}, {f"{HOST}-staging"}),
        ({"desired_state": "disabled"}, {"plain-staging"}),
        ({"model": "nobody"}, set()),
    ],
)
def test_filters(models: None, inventory: Inventory, options: dict[str, Any], hosts: set[str]) -> None:
    inventory.configure(**options)
    assert set(inventory.hosts()) == hosts


def test_constructed(models: None, inventory: Inventory) -> None:
    constructed = {
        "compose": {"vllm_context": "'llm-' ~ entry_environment", "nothing": "no_such_variable + 1"},
        "groups": {"never_checked": "entry_last_health_check_at is none"},
        "keyed_groups": [{"key": "entry_release_revision | string", "prefix": "revision"}],
    }
    inventory.configure(**constructed)
    found = inventory.list()
    hosts = found["_meta"]["hostvars"]
    assert hosts[f"{HOST}-staging"]["vllm_context"] == "llm-staging"
    assert "nothing" not in hosts[f"{HOST}-staging"]
    assert set(found["never_checked"]["hosts"]) == {f"{HOST}-staging", f"{HOST}-production"}
    assert found["revision_3"]["hosts"] == [f"{HOST}-staging"]
    inventory.configure(**constructed, strict=True)
    failed = inventory.run("--list")
    assert failed.returncode != 0
    assert "nothing" in failed.stderr


def test_what_the_database_says_is_never_a_template(
    inventory: Inventory, query: Query, tmp_path: Path, dsn: str
) -> None:
    """Whoever may write a row must not run anything on the controller of those who read it."""
    canary = tmp_path / "canary"
    pipe = f"lookup('ansible.builtin.pipe', 'touch {canary}')"
    hostile = f"{{{{ {pipe} }}}}"
    values = [hostile, "{% raw %}", "{{ 1 / 0 }}", "{#", "!unsafe x", "a\nb: c", "${HOME}`id`", pipe]
    for number, value in enumerate(values):
        query(
            "INSERT INTO model_registry_entries"
            " (model_name, deployment_environment, deployment_status, status_reason, image)"
            " VALUES (%s, 'staging', 'failed', %s, %s)",
            (f"{number} {value}", value, value),
        )
    inventory.configure(
        strict=True,
        compose={"note": "entry_status_reason", "louder": "entry_status_reason ~ '!'"},
        groups={"with_image": "entry_image | length > 0"},
        keyed_groups=[{"key": "entry_model", "prefix": "model"}],
    )
    assert (
        f'"entry_model": {{\n                    "__ansible_unsafe": "0 {hostile}"'
        in inventory.run("--list").stdout
    )
    hosts = inventory.hosts()
    assert len(hosts) == len(values)
    for variables in hosts.values():
        number = int(variables["entry_model"].split()[0])
        assert variables["entry_model"] == variables["vllm_model"] == f"{number} {values[number]}"
        assert variables["note"] == variables["entry_status_reason"] == values[number]
        assert variables["louder"] == values[number] + "!"
    play = [
        {
            "hosts": "models",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.debug": {
                        "msg": ["{{ entry_status_reason }}", "{{ note }}", "{{ vllm_model }}"]
                    }
                }
            ],
        }
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(play), encoding="utf-8")
    result = PlayRunner(tmp_path).run(
        playbook,
        inventory=inventory.file,
        # The runner of tests makes an error of what Ansible by itself takes as plain text.
        environment={
            "LLMOPS_REGISTRY_DSN": dsn,
            "_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore",
        },
    )
    shown = {tuple(task.result["msg"][:2]) for task in result.check().find(action="debug")}
    assert shown == {(value, value) for value in values}
    assert not canary.exists()


def test_cache(models: None, inventory: Inventory, query: Query, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cached = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(folder),
        "dsn": inventory.dsn,
    }
    inventory.configure(**cached)
    before = inventory.hosts()
    (file,) = folder.iterdir()
    text = file.read_text(encoding="utf-8")
    assert MODEL in text
    assert "c4n@ry" not in text
    assert "password" not in text
    query("UPDATE model_registry_entries SET deployment_status = 'disabled'")
    assert inventory.hosts() == before
    fresh = inventory.hosts("--flush-cache")
    assert {variables["entry_status"] for variables in fresh.values()} == {"disabled"}
    assert inventory.hosts() == fresh
    # Another selection in the same file is another picture.
    inventory.configure(**cached, environment="production")
    assert set(inventory.hosts()) == {f"{HOST}-production"}
    # And what is cached needs no database.
    query("ALTER TABLE model_registry_entries RENAME TO hidden")
    assert set(inventory.hosts()) == {f"{HOST}-production"}


def test_dsn_may_be_a_template_and_settings_single(
    models: None, inventory: Inventory, dsn: str, database_name: str
) -> None:
    inventory.configure(dsn="{{ lookup('ansible.builtin.env', 'MY_REGISTRY') }}", environment="production")
    assert len(inventory.hosts(MY_REGISTRY=dsn, LLMOPS_REGISTRY_DSN="host=nowhere.invalid")) == 1
    settings = dict(part.split("=", 1) for part in dsn.split() if part.startswith(("host", "port")))
    inventory.configure(
        login_host=settings["host"],
        login_port=int(settings["port"]),
        login_user="postgres",
        login_db=database_name,
        login_password="{{ lookup('ansible.builtin.env', 'SECRET') }}",
    )
    assert len(inventory.hosts(SECRET=PASSWORD, LLMOPS_REGISTRY_DSN="")) == 3


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ({"login_password": f"{PASSWORD} of another"}, {}, "authentication failed"),
        ({"dsn": f"postgresql://u:{PASSWORD}@h:port"}, {}, "cannot be parsed"),
        ({}, {"LLMOPS_REGISTRY_DSN": ""}, "No database is given"),
        ({"login_host": "127.0.0.1", "login_port": 9, "timeout": 1}, {}, "Cannot connect"),
        ({"environment": "Q A"}, {}, "Q A"),
        ({"status": ["running"]}, {}, "running"),
    ],
)
def test_failures_say_why_and_show_no_secret(
    inventory: Inventory, options: dict[str, Any], environment: dict[str, str], message: str
) -> None:
    inventory.configure(**options)
    failed = inventory.run("--list", "-vvvv", **environment)
    assert failed.returncode != 0
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_file_of_another_name_is_left_to_others(models: None, inventory: Inventory) -> None:
    inventory.configure()
    for name, ours in (("production.registry.yml", True), ("notregistry.yml", False)):
        inventory.file = inventory.file.rename(inventory.file.with_name(name))
        assert (inventory.run("--list").returncode == 0) is ours
