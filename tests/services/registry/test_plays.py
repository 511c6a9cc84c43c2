# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and the modules as users run them: ansible-playbook, in process and as modules, with -vvvv."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.services.registry.conftest import MIGRATIONS
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.postgres import PASSWORD, Server

Query = Callable[..., list[tuple[Any, ...]]]

LATEST = len(list(MIGRATIONS.glob("*.up.sql")))
TARGET = {"model": "org/Model-7B", "environment": "staging"}
READY = {
    **TARGET,
    "status": "ready",
    "endpoint": "http://h.ns.svc.cluster.local:8000",
    "health_checked": True,
}


@pytest.fixture
def runner(tmp_path: Path) -> PlayRunner:
    """Return a runner of playbooks."""
    return PlayRunner(tmp_path)


@pytest.fixture
def uri(server: Server, database_name: str) -> str:
    """Return the DSN of the fresh database as a URI, with the password in its percent-encoded form."""
    return f"postgresql://postgres:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{database_name}"


def play(tasks: list[dict[str, Any]], dsn: str = "", in_process: bool = True) -> list[dict[str, Any]]:
    """Return a play of tasks on localhost, whose modules get the DSN."""
    return [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"llmops_in_process": in_process, "ansible_python_interpreter": sys.executable},
            "module_defaults": {"group/llmops.platform.postgresql": {"dsn": dsn}},
            "tasks": tasks,
        }
    ]


def assert_silent(result: PlayResult) -> None:
    """Assert that the password is nowhere in what was printed or returned."""
    shown = result.output + repr(result.tasks)
    for form in ("c4n@ry", quote(PASSWORD, safe=""), quote(PASSWORD)):
        assert form not in shown


def test_role_creates_the_schema_once(runner: PlayRunner, uri: str, query: Query) -> None:
    role = play([{"ansible.builtin.include_role": {"name": "llmops.platform.registry"}}])
    variables = {"registry_dsn": uri}

    def run(*arguments: str, **others: Any) -> PlayResult:
        result = runner.run(role, extra_vars={**variables, **others}, arguments=arguments).check()
        assert_silent(result)
        return result

    checked = run("--check", "--diff", "-vvvv")
    assert len(checked.changed) == 1
    assert "+0001_model_registry_entries" in checked.output
    assert query("SELECT to_regclass('model_registry_entries')") == [(None,)]
    first = run("-vvvv")
    assert first.find(action="registry_schema")[0].result["version"] == LATEST
    assert run().changed == []
    assert run("--check").changed == []
    down = run(registry_schema_version=0)
    assert down.find(action="registry_schema")[0].result["version"] == 0


def test_playbook_prepares_the_registry_once_for_all_models(
    runner: PlayRunner, uri: str, query: Query
) -> None:
    inventory = {"models": {"hosts": dict.fromkeys(["one", "two"]), "vars": {"ansible_connection": "local"}}}

    def run(*arguments: str, **others: Any) -> PlayResult:
        return runner.run(
            "llmops.platform.registry",
            inventory=inventory,
            extra_vars={"registry_dsn": uri, **others},
            arguments=arguments,
        )

    assert len(run("--check", "--diff").check().changed) == 1
    assert len(run().check().changed) == 1
    assert run().check().changed == []
    query(
        "INSERT INTO operation_locks (model_name, deployment_environment, expires_at)"
        " VALUES ('m', 'staging', now())"
    )
    refused = run(registry_schema_version=0)
    assert refused.rc != 0
    assert refused.find(action="registry_schema")[0].result["tables_with_rows"] == ["operation_locks"]


def test_role_with_single_settings(runner: PlayRunner, server: Server, database_name: str) -> None:
    role = play([{"ansible.builtin.include_role": {"name": "llmops.platform.registry"}}])
    result = runner.run(
        role,
        extra_vars={
            "registry_host": "127.0.0.1",
            "registry_port": server.port,
            "registry_database": database_name,
            "registry_user": "postgres",
            "registry_password": PASSWORD,
        },
        arguments=["-vvvv"],
    ).check()
    assert len(result.changed) == 1
    assert_silent(result)


def test_both_ways_of_running_return_the_same(runner: PlayRunner, uri: str) -> None:
    tasks: list[dict[str, Any]] = [
        {"llmops.platform.registry_schema": {"migrations_path": str(MIGRATIONS)}},
        {"llmops.platform.registry_schema": {"migrations_path": str(MIGRATIONS)}},
        {"llmops.platform.registry_entry": READY, "check_mode": True},
        {"llmops.platform.registry_entry": READY},
        {"llmops.platform.registry_entry": READY},
        {"llmops.platform.registry_entry": {**TARGET, "status": "disabled"}, "diff": True},
        {
            "llmops.platform.registry_entry": {**TARGET, "status": "ready", "expected_version": 1},
            "ignore_errors": True,
        },
        {"llmops.platform.registry_entry": {**TARGET, "endpoint": "nonsense"}, "ignore_errors": True},
        {"llmops.platform.registry_info": {"status": ["disabled"], "limit": 5}},
        {"llmops.platform.registry_entry": {**TARGET, "state": "absent"}},
        {
            "llmops.platform.registry_schema": {"migrations_path": "/nowhere/at/all"},
            "ignore_errors": True,
        },
        {"llmops.platform.registry_info": {"login_password": "c4n@ry of another"}, "ignore_errors": True},
        {
            "llmops.platform.registry_schema": {
                "migrations_path": str(MIGRATIONS),
                "target_version": 0,
                "allow_data_loss": True,
            }
        },
    ]
    seen = []
    for in_process in (True, False):
        result = runner.run(play(tasks, uri, in_process), arguments=["-vvvv"]).check()
        assert_silent(result)
        seen.append([_comparable(task.result) for task in result.tasks])
    assert seen[0] == seen[1]
    changed = [bool(result.get("changed")) for result in seen[0]]
    assert changed == [True, False, True, True, False, True, False, False, False, True, False, False, True]
    classes = [result["error_class"] for result in seen[0] if "error_class" in result]
    assert classes == ["fenced", "invalid", "invalid", "auth"]


def _comparable(value: Any) -> Any:
    """Return a result without what no two runs have in common."""
    moving = {
        "duration_s",
        "waited_s",
        "health_check_age_s",
        "created_at",
        "updated_at",
        "last_health_check_at",
        "changed_at",
        "database_time",
    }
    own = {"invocation", "exception", "_ansible_no_log", "_ansible_parsed", "ansible_facts"}
    if isinstance(value, dict):
        return {
            name: _comparable(item)
            for name, item in value.items()
            if name not in moving | own and not (name == "msg" and "changed it at" in str(item))
        }
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return value


def test_what_a_play_sets_for_a_group_holds_for_roles_too(runner: PlayRunner, uri: str, query: Query) -> None:
    """The roles have a group of their own, which stands beside the play's."""
    role = play([{"ansible.builtin.include_role": {"name": "llmops.platform.registry"}}], dsn=uri)
    runner.run(role).check()
    assert query("SELECT to_regclass('model_registry_entries') IS NOT NULL") == [(True,)]


def test_role_makes_groups_of_environments_once(runner: PlayRunner, uri: str, query: Query) -> None:
    role = play([{"ansible.builtin.include_role": {"name": "llmops.platform.registry"}}])
    variables = {"registry_dsn": uri, "registry_environments": ["of-plays"]}
    group = "SELECT count(*) FROM pg_roles WHERE rolname = 'llmops_deployer_of-plays'"
    try:
        checked = runner.run(role, extra_vars=variables, arguments=("--check", "--diff")).check()
        assert "+group llmops_deployer_of-plays" in checked.output
        assert query(group) == [(0,)]
        assert len(runner.run(role, extra_vars=variables).check().changed) == 1
        assert query(group) == [(1,)]
        assert runner.run(role, extra_vars=variables).check().changed == []
    finally:
        for work in ("deployer", "router", "health_checker"):
            query(f'DROP ROLE IF EXISTS "llmops_{work}_of-plays"')


def test_role_health_check_writes_the_rules_that_are_given(
    runner: PlayRunner, uri: str, query: Query
) -> None:
    tasks = [
        {"ansible.builtin.include_role": {"name": "llmops.platform.registry"}},
        {"ansible.builtin.include_role": {"name": "llmops.platform.health_check"}},
    ]
    variables = {
        "registry_dsn": uri,
        "vllm_environment": "staging",
        "health_check_image": "registry.example.com/health-checker:1",
        "health_check_secret": "health-checker",
        # There is no cluster: the service itself is not what is looked at.
        "health_check_kubeconfig": "/nonexistent",
    }
    rules = "SELECT failures, successes, soak_s, soak_failures FROM health_check_rules"

    def run(**others: Any) -> PlayResult:
        result = runner.run(play(tasks), extra_vars={**variables, **others})
        assert_silent(result)
        assert result.find(action="kubernetes_objects")[-1].status == "failed"
        return result

    assert run().find(action="health_check_rules")[-1].status == "skipped"
    assert query(rules) == []
    given = {"health_check_failures": 5, "health_check_soak_s": "60"}
    assert run(**given).find(action="health_check_rules")[-1].result["changed"]
    assert query(rules) == [(5, None, 60, None)]
    again = run(**given, health_check_successes=2)
    assert not again.find(action="health_check_rules")[-1].result["changed"]
    assert query(rules) == [(5, None, 60, None)]
