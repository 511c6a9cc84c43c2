# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it is all for: clients of the router are spared an engine that hangs, and get it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.services.health_check.checker_process import CheckerProcess
from tests.services.health_check.conftest import RegistryDatabase, StartEngine
from tests.services.health_check.test_checks import set_fault
from tests.support.model_server import MODEL, wait_until
from tests.support.router_process import RouterProcess


def test_a_router_stops_sending_to_a_model_that_hangs(
    registry: RegistryDatabase,
    engine: StartEngine,
    checker: Callable[..., CheckerProcess],
    tmp_path: Path,
) -> None:
    server = engine()
    registry.register(MODEL, server.url)
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Content-Type": "application/json"}
    owner = registry.server.dsn(registry.name)
    with RouterProcess("router", tmp_path, owner, first_byte_timeout_s="1") as router:

        def status() -> int:
            body = json.dumps(asked).encode()
            return router.request("POST", "/v1/chat/completions", body, headers).status

        router.wait_ready()
        assert status() == 200
        checker()
        wait_until(registry.health)

        set_fault(server, "hang")
        assert status() == 504
        wait_until(lambda: registry.status() == "degraded")
        wait_until(lambda: status() == 503, 2)
        body = json.dumps(asked).encode()
        refused = router.request("POST", "/v1/chat/completions", body, headers)
        assert int(refused.headers["retry-after"]) >= 1

        set_fault(server, "")
        wait_until(lambda: registry.status() == "ready")
        wait_until(lambda: status() == 200, 2)
