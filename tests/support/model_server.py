# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real processes of the lab's model server, and a plain HTTP client for them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.playbooks import ROOT
from tests.support.ports import free_port

SOURCE = ROOT / "roles/lab/files/model_server"
MODEL = "lab/tiny-chat"
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def build_model_server(target: Path) -> Path:
    """Build the static binary into ``target`` and return its path; Go's cache makes repeats quick."""
    binary = target / "model-server"
    subprocess.run(
        ["go", "build", "-trimpath", "-o", str(binary), "."],
        cwd=SOURCE,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    return binary


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; ``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.text)

    @property
    def events(self) -> list[str]:
        """Return the data of each server-sent event."""
        blocks = [block for block in self.text.split("\n\n") if block]
        if not all(block.startswith("data: ") for block in blocks):
            raise AssertionError(f"not a stream of events: {self.text!r}")
        return [block.removeprefix("data: ") for block in blocks]


@dataclass(frozen=True)
class Sample:
    """One line of a Prometheus exposition."""

    name: str
    labels: dict[str, str]
    value: float


def parse_metrics(text: str) -> list[Sample]:
    """Return the samples of an exposition; a line that is no sample is an error."""
    samples = []
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        match = _SAMPLE.match(line)
        if match is None:
            raise AssertionError(f"not a sample: {line!r}")
        labels = dict(_LABEL.findall(match["labels"] or ""))
        samples.append(Sample(match["name"], labels, float(match["value"])))
    return samples


class ModelServer:
    """A running ``model-server serve``; use it as a context manager."""

    def __init__(self, binary: Path, log: Path, *arguments: str, **settings: str) -> None:
        """Start it; ``settings`` are environment variables. It does not wait for the port."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        inherited = {name: value for name, value in os.environ.items() if "VLLM" not in name}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(binary), "serve", MODEL, "--host", "127.0.0.1", "--port", str(self.port), *arguments],
                env={**inherited, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def is_open(self) -> bool:
        """Say whether the port accepts connections."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_open(self, timeout_s: float = 10) -> ModelServer:
        """Wait until the port is open; raise if the process ends or the time is over."""
        wait_until(lambda: self.is_open() or self.process.poll() is not None, timeout_s)
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.log.read_text()}")
        return self

    def stop(self) -> None:
        """Send SIGTERM; it does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def connect(self, timeout_s: float = 10) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10,
    ) -> Reply:
        """Send one request; a body that is no ``bytes`` is sent as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect(timeout_s)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, received, response.read().decode())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """Send GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """Send POST with a JSON body."""
        return self.request("POST", path, body, headers)

    def chat(self, **members: Any) -> Reply:
        """Ask for one chat completion."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello there"}], **members}
        return self.post("/v1/chat/completions", body)

    def samples(self) -> list[Sample]:
        """Return the samples of ``/metrics``."""
        return parse_metrics(self.get("/metrics").text)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have this name and these labels; there must be one."""
        found = [
            sample.value
            for sample in self.samples()
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        if not found:
            raise AssertionError(f"no metric {name} with {labels}")
        return sum(found)

    def content(self, reply: Reply) -> str:
        """Return the text of the first choice of a chat completion."""
        text: str = reply.json["choices"][0]["message"]["content"]
        return text

    def resident_bytes(self) -> int:
        """Return the memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


def wait_until(condition: Any, timeout_s: float = 10) -> None:
    """Wait until ``condition()`` is true; raise when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the time is over")
        time.sleep(0.01)


def chunks(reply: Reply) -> Iterator[Any]:
    """Return the chunks of a stream that ended as a stream must."""
    if reply.events[-1] != "[DONE]":
        raise AssertionError(f"the stream does not end with [DONE]: {reply.events[-1]}")
    for event in reply.events[:-1]:
        yield json.loads(event)
