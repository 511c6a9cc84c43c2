# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Prometheus of the tests' own, and pages for it to scrape."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.http_server import LoopbackServer
from tests.support.playbooks import write_yaml
from tests.support.ports import free_port
from tests.support.prometheus_package import prometheus_program


class Pages(LoopbackServer):
    """An HTTP server whose pages a test sets, changes and takes away; a context manager."""

    def __init__(self) -> None:
        """Open the port."""
        #: What is at a path: a text, or what renders it. None is a 404.
        self.at: dict[str, bytes | Callable[[], bytes] | None] = {}
        #: How often each was asked for.
        self.asked: dict[str, int] = {}
        pages = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page = pages.at.get(self.path)
                pages.asked[self.path] = pages.asked.get(self.path, 0) + 1
                body = page() if callable(page) else page
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_args: Any) -> None:
                pass

        super().__init__(Handler)


@dataclass(frozen=True)
class Target:
    """What is scraped at a path of :class:`Pages`, with the labels of service discovery."""

    path: str
    namespace: str
    pod: str
    job: str


class Prometheus:
    """Debian's Prometheus on loopback; a context manager that starts and ends it."""

    def __init__(
        self,
        folder: Path,
        port_of_pages: int = 0,
        targets: Sequence[Target] = (),
        *,
        interval: str = "400ms",
        prefix: str = "",
        web: Mapping[str, Any] | None = None,
    ) -> None:
        """Write its configuration; ``web`` is its web configuration (TLS, users), ``prefix`` a path."""
        self.port = free_port()
        self.url = f"{'https' if web else 'http'}://127.0.0.1:{self.port}{prefix}"
        self._folder = folder
        groups = [
            {
                "targets": [f"127.0.0.1:{port_of_pages}"],
                "labels": {
                    "__metrics_path__": target.path,
                    "namespace": target.namespace,
                    "pod": target.pod,
                    "service": target.job,
                    "job": target.job,
                    "instance": target.path,
                },
            }
            for target in targets
        ]
        scrape = {"job_name": "pages", "scrape_interval": interval, "scrape_timeout": interval}
        write_yaml(folder / "prometheus.yml", {"scrape_configs": [{**scrape, "static_configs": groups}]})
        self._command = [
            str(prometheus_program("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        if prefix:
            self._command.append(f"--web.external-url=http://localhost{prefix}")
        if web:
            write_yaml(folder / "web.yml", dict(web))
            self._command.append(f"--web.config.file={folder / 'web.yml'}")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        log = self._folder / "prometheus.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        deadline = time.monotonic() + 30
        while b"Server is ready to receive web requests" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Prometheus did not start: {log.read_text()[-4000:]}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
