# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's own pages, and how it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.services.router.test_routing import chat
from tests.support.listeners import silent_port
from tests.support.model_server import parse_metrics, wait_until
from tests.support.router_process import SOURCE, RouterProcess

DSN = "postgresql://router:s3cret@127.0.0.1:1/registry"


def metric(router: RouterProcess, name: str, **labels: str) -> float:
    """Return the sum of the samples with this name and these labels."""
    return sum(
        sample.value
        for sample in parse_metrics(router.get("/metrics").text)
        if sample.name == f"llmops_router_{name}" and labels.items() <= sample.labels.items()
    )


def test_metrics_tell_what_happened(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    registry.put("org/chat", start_engine().url)
    registry.put("org/off", None, "disabled", "disabled")
    router = start_router()
    for _number in range(3):
        assert chat(router).status == 200
    assert chat(router, stream=True).status == 200
    for number in range(20):
        assert chat(router, f"org/invented-{number}").status == 404
    assert chat(router, "org/off").status == 404
    assert metric(router, "requests_total", model="org/chat", status="200") == 4
    assert metric(router, "requests_total", model="unknown", status="404") == 20
    assert metric(router, "errors_total", model="unknown", code="model_not_found") == 20
    assert metric(router, "errors_total", model="org/off", code="model_disabled") == 1
    # What clients invent is no label.
    assert "invented" not in router.get("/metrics").text
    assert metric(router, "request_duration_seconds_bucket", model="org/chat", le="3.0") == 4
    assert metric(router, "time_to_first_token_seconds_count", model="org/chat") == 1
    assert metric(router, "lookup_misses_total", result="absent") == 21
    assert metric(router, "snapshot_epoch") == registry.epoch()
    assert 0 <= metric(router, "snapshot_age_seconds") < 3
    assert (metric(router, "models"), metric(router, "routable_models")) == (2, 1)
    assert metric(router, "registry_up") == 1
    wait_until(lambda: metric(router, "listening") == 1)
    assert metric(router, "in_flight") == 0


def test_a_flood_of_unknown_names_does_not_reach_the_registry(
    registry: RegistryRows, start_router: StartRouter
) -> None:
    router = start_router()
    before = _statements(registry)
    # Side by side, so that there are enough within one second on a slow machine too.
    with ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda number: chat(router, f"org/none-{number % 10}").status, range(400))
        assert set(found) == {404}
    assert metric(router, "lookup_misses_total", result="remembered") > 0
    assert _statements(registry) - before < 400


def _statements(registry: RegistryRows) -> int:
    """Return how many transactions the registry has seen."""
    registry.query("SELECT pg_stat_force_next_flush()")
    return int(
        registry.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")[0][0]
    )


def test_its_pages(registry: RegistryRows, start_router: StartRouter) -> None:
    router = start_router()
    assert router.get("/healthz").json == {"status": "ok"}
    assert router.request("HEAD", "/readyz").status == 200
    paths = router.get("/openapi.json").json["paths"]
    assert {path for path, operations in paths.items() if "post" in operations} == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
    }
    found = router.request("POST", "/v1/models", b"{}")
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")
    assert "server" not in found.headers
    assert router.get("/v1/models").json == {"object": "list", "data": []}


def _start(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLMOPS_ROUTER_")}
    return subprocess.run(
        [sys.executable, "-m", "llmops_router", *arguments],
        env={**inherited, **settings, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_help_names_every_setting() -> None:
    finished = _start({}, "--help")
    assert finished.returncode == 0
    assert "LLMOPS_ROUTER_ALLOWED_ENDPOINTS [.svc.cluster.local]" in finished.stdout


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"LLMOPS_ROUTER_ENVIRONMENT": "Test"}, "LLMOPS_ROUTER_ENVIRONMENT is 'Test'"),
        ({"LLMOPS_ROUTER_API_KEYS_FILE": "/nonexistent"}, "/nonexistent cannot be read"),
        ({"LLMOPS_ROUTER_DSN": "host=x passwrod=s3cret"}, "the registry's DSN cannot be parsed"),
        ({"LLMOPS_ROUTER_REDIS_URL": "redis://:s3cret@h:port/0"}, "Redis' URL cannot be parsed"),
        ({"LLMOPS_ROUTER_TIMEOUT": "1"}, "LLMOPS_ROUTER_TIMEOUT: there is no such setting"),
    ],
)
def test_wrong_settings_end_it_with_a_sentence(settings: dict[str, str], named: str) -> None:
    finished = _start({"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN": DSN, **settings})
    assert finished.returncode == 2
    assert named in finished.stderr
    assert "s3cret" not in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with silent_port() as port:
        finished = _start(
            {
                "LLMOPS_ROUTER_ENVIRONMENT": "staging",
                "LLMOPS_ROUTER_DSN": DSN,
                "LLMOPS_ROUTER_HOST": "127.0.0.1",
                "LLMOPS_ROUTER_PORT": str(port),
            }
        )
    assert finished.returncode == 3
    assert "address already in use" in finished.stderr
    assert "Traceback" not in finished.stderr
