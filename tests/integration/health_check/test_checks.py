# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the health checker makes of engines that serve, fail, hang and come back."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.health_check.checker_process import CheckerProcess
from tests.integration.health_check.conftest import RegistryDatabase, StartEngine
from tests.support.model_server import MODEL, ModelServer, free_port, wait_until

Start = Callable[..., CheckerProcess]


def set_fault(server: ModelServer, fault: str) -> None:
    """Make the engine fail in a way, or not at all."""
    assert server.post("/control", {"fault": fault}).status == 200


@pytest.mark.parametrize("fault", ["hang", "http-500", "error-200", "empty-200", "engine-dead"])
def test_an_engine_that_fails_is_degraded_and_comes_back(
    registry: RegistryDatabase, engine: StartEngine, checker: Start, fault: str
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    started = registry.row()
    running = checker()
    wait_until(lambda: registry.health().get("last_ok_at"))
    assert registry.row()["last_health_check_at"] is not None
    # A health check alone is no change of the entry.
    assert registry.row()["row_version"] == started["row_version"]

    set_fault(server, fault)
    wait_until(lambda: registry.status() == "degraded")
    degraded = registry.row()
    assert degraded["desired_state"] == "enabled"
    assert degraded["status_reason"]
    if fault != "engine-dead":
        assert server.get("/health").status == 200
    time.sleep(1.5)
    assert registry.status() == "degraded", "healthy answers of /health brought a broken engine back"

    set_fault(server, "")
    wait_until(lambda: registry.status() == "ready")
    assert registry.row()["status_reason"] is None
    assert running.metric("transitions_total", status="degraded") == 1
    assert running.metric("transitions_total", status="ready") == 1


def test_a_model_under_another_name_is_degraded(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    server = engine()
    registry.register("org/another", server.url)
    registry.register(MODEL, server.url)
    checker()
    wait_until(lambda: registry.status("org/another") == "degraded")
    assert "404" in registry.row("org/another")["status_reason"]
    assert registry.status() == "ready"


def test_a_closed_port_is_degraded_as_long_as_others_answer(
    registry: RegistryDatabase, engine: StartEngine, checker: Start
) -> None:
    registry.register(MODEL, engine().url)
    registry.register("org/gone", f"http://127.0.0.1:{free_port()}")
    checker()
    wait_until(lambda: registry.status("org/gone") == "degraded")
    assert "no connection" in registry.row("org/gone")["status_reason"]
    assert registry.status() == "ready"
