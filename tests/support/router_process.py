# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real processes of the router."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.model_server import Reply
from tests.support.playbooks import ROOT
from tests.support.ports import free_port

SOURCE = ROOT / "roles" / "router" / "files" / "router"
_PREFIX = "LLMOPS_ROUTER_"


class RouterProcess:
    """``python -m llmops_router`` on the loopback interface; a context manager that starts and ends it.

    Started again, it has the same name and port: clients find it as they find a pod behind its Service.
    """

    def __init__(self, name: str, folder: Path, dsn: str, **settings: str) -> None:
        """Choose a port; nothing is started yet.

        ``settings`` are the router's, in lower case: ``redis_url``, ``poll_interval_s`` and so on.
        """
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"router-{name}.log"
        chosen = {
            "environment": "staging",
            "instance": name,
            "dsn": dsn,
            "host": "127.0.0.1",
            "port": str(self.port),
            "allowed_endpoints": "127.0.0.1",
            "drain_delay_s": "0",
            **settings,
        }
        self._settings = {f"{_PREFIX}{option.upper()}": value for option, value in chosen.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RouterProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def start(self) -> None:
        """Start it; it does not wait for the port."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llmops_router"],
                env={**inherited, **self._settings, "PYTHONPATH": str(SOURCE)},
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End it with SIGKILL, as a crash of its node would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout_s: float = 5) -> Reply:
        """Send GET over a connection of its own."""
        return self.request("GET", path, headers=headers, timeout_s=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5,
    ) -> Reply:
        """Send a request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, received, response.read().decode())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Say whether it takes requests."""
        return self._answers("/readyz")

    def wait_ready(self, timeout_s: float = 15) -> RouterProcess:
        """Wait until it is ready; raise if it ends or the time is over."""
        return self._wait_for("/readyz", timeout_s)

    def wait_alive(self, timeout_s: float = 15) -> RouterProcess:
        """Wait until its port is open; raise if it ends or the time is over."""
        return self._wait_for("/healthz", timeout_s)

    def _answers(self, path: str) -> bool:
        try:
            return self.get(path).status == 200
        except OSError:
            return False

    def _wait_for(self, path: str, timeout_s: float) -> RouterProcess:
        assert self.process is not None
        deadline = time.monotonic() + timeout_s
        while not self._answers(path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"router {self.name}: no {path}:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)
        return self
