# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real processes of the health checker, as its image starts them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.model_server import Sample, parse_metrics, wait_until
from tests.support.playbooks import ROOT
from tests.support.ports import free_port

SOURCE = ROOT / "roles/health_check/files/health_check"

#: Everything ten times as fast as by default, so that tests need not wait. Seconds.
QUICK = {
    "ENVIRONMENT": "staging",
    "ALLOWED_ENDPOINTS": "127.0.0.0/8",
    "INTERVAL_S": "0.3",
    "COMPLETION_INTERVAL_S": "0.9",
    "CONNECT_TIMEOUT_S": "0.5",
    "HEALTH_TIMEOUT_S": "0.8",
    "COMPLETION_TIMEOUT_S": "0.8",
    "REFRESH_S": "0.2",
    "REGISTRY_TIMEOUT_S": "1",
    "LEASE_TTL_S": "2",
    "LEASE_RENEW_S": "0.5",
    "HOST": "127.0.0.1",
}


class CheckerProcess:
    """A running ``python -m llmops_health``; use it as a context manager."""

    def __init__(self, dsn: str, log: Path, name: str = "one", **settings: str) -> None:
        """Start it; ``settings`` are variables in lower case without their prefix."""
        self.name = name
        self.log = log
        self.port = free_port()
        given = {**QUICK, "DSN": dsn, "PORT": str(self.port), "INSTANCE": name}
        given |= {key.upper(): value for key, value in settings.items()}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LLMOPS_HEALTH_")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llmops_health"],
                cwd=SOURCE,
                env={**inherited, **{f"LLMOPS_HEALTH_{key}": value for key, value in given.items()}},
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> CheckerProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Stop it gracefully; it has to end well."""
        self.process.terminate()
        assert self.process.wait(15) == 0, self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of one of its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def samples(self) -> list[Sample]:
        """Return the samples of its metrics; none while its port is closed."""
        try:
            return parse_metrics(self.get("/metrics")[1])
        except OSError:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return []

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name (without its prefix) that have these labels."""
        return sum(
            sample.value
            for sample in self.samples()
            if sample.name == f"llmops_health_{name}" and labels.items() <= sample.labels.items()
        )

    @property
    def leads(self) -> bool:
        """Tell whether it says that it is the leader."""
        return self.metric("leader") == 1

    def wait_leading(self, timeout_s: float = 15) -> CheckerProcess:
        """Wait until it is the leader."""
        wait_until(lambda: self.leads, timeout_s)
        return self

    def messages(self) -> list[dict[str, Any]]:
        """Return the lines of its log."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
