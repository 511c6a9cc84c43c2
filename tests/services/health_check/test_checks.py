# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the health checker makes of engines that serve, fail, hang and come back."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.services.health_check.checker_process import CheckerProcess
from tests.services.health_check.conftest import RegistryDatabase, StartEngine
from tests.support.model_server import MODEL, ModelServer, wait_until
from tests.support.ports import free_port

Start = Callable[..., CheckerProcess]

#: All of them leave /health at 200, except the dead engine.
FAULTS = ("hang", "http-500", "error-200", "empty-200", "empty-stream", "engine-dead")


def set_fault(server: ModelServer, fault: str) -> None:
    """Make the engine fail in a way, or not at all."""
    assert server.post("/control", {"fault": fault}).status == 200


def test_engines_that_fail_are_degraded_and_come_back(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    servers = {f"org/{fault}": engine(f"org/{fault}") for fault in FAULTS}
    for model, server in servers.items():
        registry.register(model, server.url)
    running = checker()
    wait_until(lambda: registry.checks_recorded() == len(FAULTS))
    for model in servers:
        row = registry.row(model)
        assert row["last_health_check_at"] is not None
        assert row["row_version"] == 1, "a health check alone is no change of the entry"

    for fault in FAULTS:
        set_fault(servers[f"org/{fault}"], fault)
    wait_until(lambda: all(registry.status(model) == "degraded" for model in servers))
    for model in servers:
        assert registry.row(model)["status_reason"]
        assert registry.row(model)["desired_state"] == "enabled"
    assert servers["org/hang"].get("/health").status == 200
    time.sleep(1)
    statuses = {model: registry.status(model) for model in servers}
    assert set(statuses.values()) == {"degraded"}, "answers of /health alone brought it back"

    for server in servers.values():
        set_fault(server, "")
    wait_until(lambda: all(registry.status(model) == "ready" for model in servers))
    assert registry.row("org/hang")["status_reason"] is None
    # It counts what is committed, a moment later.
    for status in ("degraded", "ready"):
        wait_until(lambda status=status: running.metric("transitions_total", status=status) == len(FAULTS))


def test_a_closed_port_and_a_wrong_name_are_degraded(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    registry.register("org/another-name", server.url)
    registry.register("org/gone", f"http://127.0.0.1:{free_port()}")
    checker()
    wait_until(lambda: "degraded" == registry.status("org/another-name") == registry.status("org/gone"))
    assert "404" in registry.row("org/another-name")["status_reason"]
    assert "no connection" in registry.row("org/gone")["status_reason"]
    assert registry.status() == "ready"


def test_a_model_with_two_names_is_checked_by_the_one_that_the_registry_knows(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    """As the chart deploys a model with a servedName: every answer carries the first name, the short one."""
    server = engine(arguments=["--served-model-name", "short", MODEL])
    registry.register(MODEL, server.url)
    running = checker(health_timeout_s="5", completion_timeout_s="5")
    wait_until(lambda: running.metric("checks_total", kind="completion", result="ok") >= 4)
    assert running.metric("checks_total", result="failed") == 0
    assert registry.status() == "ready"


@pytest.mark.parametrize("kind", ["base", "embedding"])
def test_a_model_that_does_not_chat_is_asked_for_what_it_can(
    registry: RegistryDatabase, engine: StartEngine, checker: Start, kind: str
) -> None:
    server = engine(MODEL_SERVER_KIND=kind)
    registry.register(MODEL, server.url)
    running = checker(health_timeout_s="2", completion_timeout_s="2")
    wait_until(lambda: running.metric("checks_total", kind="completion", result="ok") >= 4)
    assert running.metric("checks_total", result="failed") == 0
    for fault in ("hang", "empty-200"):
        set_fault(server, fault)
        wait_until(lambda: registry.status() == "degraded", 20)
        set_fault(server, "")
        wait_until(lambda: registry.status() == "ready")


def test_a_slow_engine_is_not_degraded_as_long_as_it_answers_in_time(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    registry.register(MODEL, engine(MODEL_SERVER_TTFT_MS="300").url)
    running = checker()
    wait_until(lambda: running.metric("checks_total", kind="completion", result="ok") >= 2)
    assert registry.status() == "ready"


@pytest.mark.full
def test_engines_that_hang_keep_nobody_else_waiting(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    hanging = [f"org/hanging-{number}" for number in range(3)]
    stuck, fine = engine(*hanging, MODEL_SERVER_FAULT="hang"), engine()
    for model in hanging:
        registry.register(model, stuck.url)
    registry.register(MODEL, fine.url)
    checker(concurrency="1")
    wait_until(lambda: all(registry.status(model) == "degraded" for model in hanging), 25)
    assert registry.status() == "ready"
    before = health_requests(fine)
    time.sleep(2)
    assert health_requests(fine) - before >= 3


def test_a_manifest_passes_when_it_has_served_for_a_while_and_only_then(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    registry.query("INSERT INTO health_check_rules (deployment_environment, soak_s) VALUES ('staging', 5)")
    servers = {model: engine(model) for model in ("org/good", "org/bad")}
    for model, server in servers.items():
        registry.register(model, server.url)
    registry.query("UPDATE model_registry_entries SET manifest_digest = repeat('a', 64)")
    checker()
    wait_until(lambda: registry.checks_recorded() == len(servers))
    set_fault(servers["org/bad"], "http-500")
    verdicts = (
        "SELECT verdict, reason, evidence FROM manifest_verifications WHERE model_name = %s ORDER BY id"
    )
    wait_until(lambda: bool(registry.query(verdicts, "org/bad")))
    assert registry.query(verdicts, "org/good") == []
    wait_until(lambda: bool(registry.query(verdicts, "org/good")), 60)
    (passed,) = registry.query(verdicts, "org/good")
    assert (passed["verdict"], passed["evidence"]["soak"]["failures"]) == ("passed", 0)
    assert passed["evidence"]["soak"]["duration_s"] >= 5
    assert passed["evidence"]["soak"]["p95_latency_s"] > 0
    (revoked,) = registry.query(verdicts, "org/bad")
    assert revoked["verdict"] == "revoked"
    assert "500" in revoked["reason"]


def test_only_enabled_entries_of_its_environment_are_checked(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    others = {status: engine() for status in ("pending", "deploying", "draining", "disabled", "failed")}
    for status, server in others.items():
        registry.register(f"org/{status}", server.url, status)
    others["environment"] = engine()
    registry.register("org/elsewhere", others["environment"].url, environment="production")
    mine = engine()
    registry.register(MODEL, mine.url)
    checker()
    wait_until(lambda: health_requests(mine) >= 3)
    assert [name for name, server in others.items() if health_requests(server)] == []

    # An operator disables it while it is checked: it stays so, and is left alone.
    registry.query(
        "UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled'"
        " WHERE model_name = %s",
        MODEL,
    )
    time.sleep(0.8)
    before = health_requests(mine)
    set_fault(mine, "engine-dead")
    time.sleep(0.8)
    assert health_requests(mine) == before
    row = registry.row()
    assert (row["deployment_status"], row["desired_state"]) == ("disabled", "disabled")


def test_an_entry_under_operation_is_left_alone(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    running = checker()
    wait_until(registry.health)
    registry.query(
        "INSERT INTO operation_locks (model_name, deployment_environment, operation_id, holder, expires_at)"
        " VALUES (%s, 'staging', gen_random_uuid(), 'a deployment', now() + interval '1 hour')",
        MODEL,
    )
    set_fault(server, "engine-dead")
    before = registry.health()
    refused = running.metric("records_total", outcome="refused")
    wait_until(lambda: running.metric("records_total", outcome="refused") >= refused + 4)
    assert registry.status() == "ready"
    assert registry.health()["consecutive_failures"] == before["consecutive_failures"] == 0

    registry.query("UPDATE operation_locks SET expires_at = now()")
    wait_until(lambda: registry.status() == "degraded")


def test_a_row_that_somebody_holds_keeps_no_other_result_back(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    held = ("org/held-1", "org/held-2")
    server = engine(*held, MODEL)
    for model in (*held, MODEL):
        registry.register(model, server.url)
    running = checker().wait_leading()
    wait_until(lambda: registry.checks_recorded() == 3)
    holder = registry.server.connect(registry.name)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute(
            "SELECT FROM model_registry_entries WHERE model_name = ANY (%s) FOR UPDATE", [list(held)]
        )
        for _time in range(3):
            seen = registry.health()["last_checked_at"]
            wait_until(lambda seen=seen: registry.health()["last_checked_at"] > seen, 3)
        wait_until(lambda: running.metric("records_total", outcome="error") >= 2)
        assert running.leads
        before = registry.health(held[0])["last_checked_at"]
    holder.close()
    wait_until(lambda: registry.health(held[0])["last_checked_at"] > before)
    assert not any("no longer the leader" in line["message"] for line in running.messages())


def test_an_endpoint_that_is_not_allowed_is_not_asked(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    running = checker(allowed_endpoints=".svc.cluster.local")
    wait_until(lambda: running.metric("entries_not_allowed") == 1)
    time.sleep(1)
    assert health_requests(server) == 0
    assert registry.status() == "ready"
    assert any("LLMOPS_HEALTH_ALLOWED_ENDPOINTS" in line["message"] for line in running.messages())


class _Redirects(http.server.BaseHTTPRequestHandler):
    """Sends everybody on to another server."""

    target: ClassVar[str] = ""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.target + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
        """Say nothing."""


@pytest.fixture
def redirecting() -> Iterator[http.server.ThreadingHTTPServer]:
    """Return a server that redirects."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Redirects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_redirect_is_a_failure_and_not_followed(
    registry: RegistryDatabase,
    engine: StartEngine,
    checker: Start,
    redirecting: http.server.ThreadingHTTPServer,
) -> None:
    target = engine()
    _Redirects.target = target.url
    registry.register(MODEL, f"http://127.0.0.1:{redirecting.server_port}")
    checker()
    wait_until(lambda: registry.status() == "degraded")
    assert "302" in registry.row()["status_reason"]
    assert health_requests(target) == 0


def test_a_key_that_is_missing_takes_no_model_away_and_may_come_later(
    registry: RegistryDatabase, engine: StartEngine, checker: Start, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{}", encoding="utf-8")
    server = engine()
    guarded = engine("org/guarded", VLLM_API_KEY="right-key")
    registry.register(MODEL, server.url)
    registry.register("org/guarded", guarded.url)
    running = checker(upstream_keys_file=str(keys))
    wait_until(lambda: running.metric("checks_total", kind="completion", result="inconclusive") >= 2)
    assert registry.status("org/guarded") == "ready"
    assert running.metric("checks_total", kind="completion", result="ok") >= 1

    keys.write_text(json.dumps({"org/guarded": "right-key"}), encoding="utf-8")
    wait_until(lambda: completions(guarded) >= 2)
    assert "right-key" not in running.log.read_text(encoding="utf-8")


def health_requests(server: ModelServer) -> float:
    """Return how often the engine was asked for /health."""
    return requests(server, "/health")


def completions(server: ModelServer) -> float:
    """Return how many completions the engine answered well."""
    return requests(server, "/v1/chat/completions", status="2xx")


def requests(server: ModelServer, path: str, **labels: str) -> float:
    """Return how often a path of the engine was asked for."""
    wanted = {"handler": path, **labels}
    return sum(
        sample.value
        for sample in server.samples()
        if sample.name == "http_requests_total" and wanted.items() <= sample.labels.items()
    )
