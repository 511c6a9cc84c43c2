# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks register, deregister, enable and disable as users run them; each again changes nothing.

The model server is one that no release provides; tests/lab/test_registration.py has a release.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.services.registry.conftest import Run, fresh_database
from tests.services.registry.routers import FollowingRouter, ReportingRouter
from tests.support.model_server import MODEL, ModelServer, wait_until
from tests.support.playbooks import ROOT, PlayResult, PlayRunner
from tests.support.postgres import PASSWORD, Server
from tests.support.repository import load_yaml

Query = Callable[..., list[tuple[Any, ...]]]
Play = Callable[..., PlayResult]

ROW = "SELECT deployment_status, desired_state, status_reason, updated_by FROM model_registry_entries"
PHYSICAL = "SELECT xmin::text, ctid::text, * FROM model_registry_entries"


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def model_server(model_server_binary: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """Return a model server that answers."""
    with ModelServer(model_server_binary, tmp_path / "model-server.log", MODEL_SERVER_CONTROL="1") as server:
        wait_until(server.is_open, 20)
        yield server


@pytest.fixture
def play(tmp_path: Path, dsn: str, model_server: ModelServer) -> Play:
    """Return a function that plays one of the playbooks over an inventory with the model."""

    def run(verb: str, *arguments: str, inventory: Any = None, **variables: Any) -> PlayResult:
        shared = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "vllm_environment": "staging",
            "registry_dsn": dsn,
            "registration_all": True,
        }
        own = {"vllm_model": MODEL, "registration_endpoint": model_server.url}
        result = PlayRunner(tmp_path).run(
            f"llmops.platform.{verb}",
            inventory=inventory or {"models": {"hosts": {"tiny": own}, "vars": shared}},
            extra_vars=variables,
            arguments=arguments,
        )
        assert "c4n@ry" not in result.output
        return result

    return run


def message(result: PlayResult) -> str:
    """Return the line that the playbook reports in the end."""
    return str(result.find(action="debug")[-1].result["msg"])


@pytest.mark.parametrize("nothing", ["", None])
def test_what_nobody_answered_counts_as_not_given(play: Play, query: Query, nothing: str | None) -> None:
    """AWX hands on an empty text for each question of a survey that was left open, also for numbers."""
    options = load_yaml(ROOT / "roles/registration/meta/argument_specs.yml")["argument_specs"]["register"]
    needed = {"registration_model", "registration_environment", "registration_namespace"}
    given = {"registration_endpoint", "registry_dsn"}
    empty = dict.fromkeys(options["options"].keys() - needed - given, nothing)
    assert len(empty) > 15
    for verb, status in (("register", "ready"), ("disable", "disabled"), ("enable", "ready")):
        play(verb, **empty).check()
        assert query(ROW)[0][0] == status
    play("deregister", **empty).check()
    assert query(ROW) == []


def test_register_disable_enable_deregister(play: Play, query: Query, dsn: str) -> None:
    checked = play("register", "--check", "--diff").check()
    assert len(checked.changed) == 1
    assert '"status": "ready"' in checked.output or "status: ready" in checked.output
    assert query(ROW) == []

    play("register", reason="first of its kind", registration_actor="ci@awx").check()
    assert query(ROW) == [("ready", "enabled", "first of its kind", "ci@awx")]
    assert query("SELECT last_health_check_at IS NOT NULL FROM model_registry_entries") == [(True,)]
    unchanged(play, query, "register")

    router = FollowingRouter(dsn, "router-a", in_flight={MODEL: 2})
    try:
        assert len(play("disable", "--check").check().changed) == 1
        assert query(ROW)[0][0] == "ready"
        disabled = play("disable", reason="incident 4711", registration_actor="alice@laptop").check()
        assert query(ROW) == [("disabled", "disabled", "incident 4711", "alice@laptop")]
        assert "confirmed by router-a" in message(disabled)
        unchanged(play, query, "disable")
        unchanged(play, query, "disable", reason="incident 4711")

        # It answers, but a person said no.
        registered = unchanged(play, query, "register")
        assert "stays disabled" in registered.output
        assert query(ROW)[0][1] == "disabled"

        enabled = play("enable", reason="solved").check()
        assert len(enabled.changed) == 1
        assert query(ROW)[0][:3] == ("ready", "enabled", "solved")
        unchanged(play, query, "enable")

        assert len(play("deregister", "--check").check().changed) == 1
        removed = play("deregister", reason="retired").check()
        assert query(ROW) == []
        assert "is removed from" in message(removed)
        assert "confirmed by router-a" in message(removed)
        assert "is not in" in message(unchanged(play, query, "deregister"))
    finally:
        router.close()
    assert query(
        "SELECT actor FROM model_registry_history WHERE after ->> 'status_reason' = 'incident 4711'"
    ) == [("alice@laptop",)]


def test_single_settings_serve_as_well_as_a_dsn(
    play: Play, server: Server, database_name: str, query: Query
) -> None:
    """The same variables as for role registry, and a password with all that needs quoting."""
    single = {
        "registry_dsn": "",
        "registry_host": "127.0.0.1",
        "registry_port": server.port,
        "registry_database": database_name,
        "registry_user": "postgres",
        "registry_password": PASSWORD,
        "registry_connect_timeout": 5,
    }
    for verb in ("register", "disable", "enable", "deregister"):
        done = play(verb, "-vvvv", **single).check()
        assert len(done.changed) == 1
    assert query(ROW) == []
    # They replace those of a DSN, one by one.
    wrong = {"registry_dsn": f"host=127.0.0.1 port=1 dbname={database_name} user=postgres"}
    play("register", **{**wrong, "registry_port": server.port, "registry_password": PASSWORD}).check()
    assert query(ROW)[0][0] == "ready"


def test_a_wrong_setting_is_told_without_the_others(play: Play) -> None:
    # Found by the module, by its own name.
    for name, value, named in (
        ("registry_port", "many", "login_port"),
        ("registry_sslmode", "maybe", "ssl_mode"),
        ("registration_max_latency_s", "0,5", "max_latency_s"),
    ):
        refused = play("register", "-vvvv", registry_password=PASSWORD, **{name: value})
        assert refused.rc != 0
        assert named in refused.output
        assert "%x:7" not in refused.output


def unchanged(play: Play, query: Query, verb: str, **variables: Any) -> PlayResult:
    """Play it once more, as check and for real; assert that nothing is written and none claims it."""
    before = query(PHYSICAL)
    for arguments in (["--check", "--diff"], []):
        result = play(verb, *arguments, **variables).check()
        assert result.changed == []
        assert query(PHYSICAL) == before
    return result


def test_what_does_not_answer_is_not_enabled(play: Play, query: Query, model_server: ModelServer) -> None:
    play("register").check()
    play("disable").check()
    before = query(PHYSICAL)
    model_server.process.kill()
    model_server.process.wait()
    for verb in ("enable", "register"):
        failed = play(verb, registration_verify_timeout=1)
        assert failed.rc != 0
        (verification,) = failed.find(action="vllm_endpoint_info")
        assert verification.result["error_class"] in ("timeout", "verification")
        assert failed.find(action="registry_entry") == []
    assert query(PHYSICAL) == before
    # Taking it away needs no answer from it.
    play("deregister").check()
    assert query(ROW) == []


@pytest.mark.parametrize(
    ("verb", "meanwhile"),
    [
        ("enable", {"desired_state": "disabled", "status_reason": "incident 4711"}),
        ("register", {"status": "failed", "status_reason": "the deployment failed"}),
    ],
)
def test_what_changes_while_the_server_is_asked_is_not_undone(
    play: Play, query: Query, entry: Run, model_server: ModelServer, verb: str, meanwhile: dict[str, str]
) -> None:
    play("register").check()
    model_server.post("/control", {"ttft_ms": 2000})
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(play, verb, registration_max_latency_s=30)
        wait_until(lambda: model_server.get("/control").json["running"] == 1, 60)
        assert entry(model=MODEL, **meanwhile, actor="alice@laptop").changed
        before = query(PHYSICAL)
        fenced = playing.result(60)
    assert fenced.rc != 0
    (task,) = fenced.find(action="registry_entry")
    assert task.result["error_class"] == "fenced"
    assert task.result["changed_by"] == "alice@laptop"
    assert "alice@laptop" in task.result["msg"]
    assert query(PHYSICAL) == before
    # Asked again by somebody who has seen it.
    model_server.post("/control", {"ttft_ms": 0})
    play(verb).check()
    assert query(ROW)[0][:2] == ("ready", "enabled")
    unchanged(play, query, verb)


@pytest.mark.parametrize("verb", ["enable", "register"])
def test_check_mode_works_before_there_is_a_schema(play: Play, server: Server, verb: str) -> None:
    with fresh_database(server, "template0") as name:
        checked = play(verb, "--check", registry_dsn=server.dsn(name)).check()
    assert len(checked.changed) == 1
    assert "no schema" in checked.output


def test_a_router_that_does_not_confirm_fails_the_play_and_is_named(
    play: Play, query: Query, dsn: str
) -> None:
    play("register").check()
    router = ReportingRouter(dsn, "router-stuck")
    for _ in range(2):
        # A play takes long, and who is silent for long counts as lost.
        router.report()
        failed = play("disable", registration_routers_timeout=0.2)
        assert failed.rc != 0
        (task,) = failed.find(action="registry_entry")
        assert task.result["error_class"] == "timeout"
        assert task.result["routers"]["unconfirmed"] == ["router-stuck"]
        assert task.result["entry"]["status"] == "disabled"
        assert "router-stuck" in task.result["msg"]
        assert query(ROW)[0][:2] == ("disabled", "disabled")
    router.take_over()
    assert "confirmed by router-stuck" in message(play("disable").check())
    router.close()


def test_the_registry_itself_is_the_inventory(
    play: Play, query: Query, dsn: str, entry: Run, tmp_path: Path
) -> None:
    play("register").check()
    entry(model="another", status="failed")
    file = tmp_path / "registry.yml"
    file.write_text(json.dumps({"plugin": "llmops.platform.registry", "dsn": dsn}), encoding="utf-8")
    play("disable", "--limit", "status_ready", inventory=file, registry_dsn=dsn).check()
    states = "SELECT model_name, deployment_status FROM model_registry_entries ORDER BY 1"
    assert query(states) == [("another", "failed"), (MODEL, "disabled")]
    play("enable", "--limit", "status_disabled", inventory=file, registry_dsn=dsn).check()
    assert query(states) == [("another", "failed"), (MODEL, "ready")]
    play("deregister", "--limit", "tiny-chat*", inventory=file, registry_dsn=dsn).check()
    assert query(states) == [("another", "failed")]


def test_hostile_names_reach_the_registry_as_they_are(
    query: Query, dsn: str, tmp_path: Path, play: Play
) -> None:
    canary = tmp_path / "canary"
    names = [
        "Robert'); DROP TABLE model_registry_entries;--",
        'org/"quoted"-7B',
        f"x`touch {canary}`$(touch {canary})",
        "%s %(model)s",
        "модель-7B/大模型",
    ]
    refused = f"{{{{ lookup('ansible.builtin.pipe', 'touch {canary}') }}}}"
    hosts = {f"host{number}": {"vllm_model": name} for number, name in enumerate([*names, refused])}
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_environment": "staging",
        "registry_dsn": dsn,
        "registration_all": True,
    }
    runner = PlayRunner(tmp_path, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"})
    inventory = {"models": {"hosts": hosts, "vars": shared}}
    for verb, rows in (("disable", sorted(names)), ("deregister", [])):
        result = runner.run(f"llmops.platform.{verb}", inventory=inventory, extra_vars={"reason": refused})
        tasks = result.find(action="registry_entry")
        assert [task.host for task in tasks if task.status == "failed"] == [f"host{len(names)}"]
        assert {task.result["error_class"] for task in tasks if task.status == "failed"} == {"invalid"}
        assert len(result.changed) == len(names)
        assert sorted(name for (name,) in query("SELECT model_name FROM model_registry_entries")) == rows
    assert not canary.exists()
    reasons = "SELECT DISTINCT after ->> 'status_reason' FROM model_registry_history WHERE after IS NOT NULL"
    assert query(reasons) == [(refused,)]
