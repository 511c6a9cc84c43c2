# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy before the real API server that has bad days: plain HTTP on loopback here, the lab's TLS there.

Each request has a connection of its own, so each draws its own fault. What is let through is passed byte by
byte in both directions: streams and upgrades (port-forward) work as they do without it.
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.lab import Lab
from tests.support.tls import write_kubeconfig

FAULTS = ("429", "500", "502", "503", "reset", "stall")


class ApiProxy:
    """Breaks requests with a probability while it still has faults to give.

    ``faults`` is the number of requests to break in all, ``kinds`` the ways, ``stall_s`` how long a stalled
    one waits before it goes through. Only requests whose first line matches ``only`` are broken.
    """

    def __init__(
        self,
        lab: Lab,
        *,
        faults: int,
        probability: float = 1.0,
        seed: int = 0,
        stall_s: float = 3.0,
        kinds: Sequence[str] = FAULTS,
        only: bytes = b"",
    ) -> None:
        server = urlsplit(str(lab.facts["server"]))
        self._upstream = (str(server.hostname), server.port or 443)
        pki = lab.folder / "pki"
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        # Not a security matter: the same seed gives the same bad day.
        self._random = random.Random(seed)  # noqa: S311
        self._probability, self._stall_s, self._left = probability, stall_s, faults
        self._kinds, self._only = kinds, re.compile(only)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.given: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """URL that stands for the API server."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        return write_kubeconfig(path, self.url)

    @contextmanager
    def running(self) -> Iterator[ApiProxy]:
        """Serve until the block ends."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        # accept() raises once the listener is shut down
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _draw(self, head: bytes) -> str:
        with self._lock:
            if self._left <= 0 or not self._only.match(head):
                return ""
            if self._random.random() >= self._probability:
                return ""
            self._left -= 1
            fault = self._random.choice(self._kinds)
            self.given[fault] += 1
            return fault

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = _read_request(client)
            if not head:
                return
            fault = self._draw(head)
            if fault == "reset":
                # No time to linger: the client gets RST instead of FIN.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if fault == "stall":
                time.sleep(self._stall_s)
            elif fault:
                client.sendall(_refusal(fault))
                # The rest of the request is read, or closing would reset the answer away.
                client.shutdown(socket.SHUT_WR)
                client.settimeout(1)
                while client.recv(65536):
                    pass
                return
            with (
                socket.create_connection(self._upstream, timeout=10) as bare,
                self._context.wrap_socket(bare, server_hostname=self._upstream[0]) as upstream,
            ):
                upstream.settimeout(None)
                upstream.sendall(_single_use(head))
                pump = threading.Thread(target=_copy, args=(client, upstream), daemon=True)
                pump.start()
                _copy(upstream, client)


def _read_request(client: socket.socket) -> bytes:
    """Read a request: its headers, and the body whose length they tell.

    One TLS connection must not be read and written at the same moment, which a body that follows would do.
    """
    client.settimeout(30)
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(65536)
        if not chunk:
            return b""
        head += chunk
    headers, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", headers.lower())
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        chunk = client.recv(65536)
        if not chunk:
            return b""
        head += chunk
        missing -= len(chunk)
    client.settimeout(None)
    return head


def _single_use(head: bytes) -> bytes:
    """Ask the server to close after its answer, unless the connection is to become something else."""
    lines, _, rest = head.partition(b"\r\n\r\n")
    if b"\r\nupgrade:" in lines.lower():
        return head
    kept = [line for line in lines.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + rest


_LEADER_CHANGED = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"InternalError","code":500,'
    b'"message":"etcdserver: leader changed"}'
)
# What the API server itself, or a balancer before it, says in these cases.
_REFUSALS = {
    "429": (b"Too Many Requests", b"text/plain", b"Too many requests, please try again later.\n"),
    "500": (b"Internal Server Error", b"application/json", _LEADER_CHANGED),
    "502": (b"Bad Gateway", b"text/html", b"<html><h1>502 Bad Gateway</h1></html>\n"),
    "503": (b"Service Unavailable", b"text/plain", b"service unavailable\n"),
}


def _refusal(status: str) -> bytes:
    reason, kind, body = _REFUSALS[status]
    headers = [
        b"HTTP/1.1 %s %s" % (status.encode(), reason),
        b"Content-Type: %s" % kind,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *([b"Retry-After: 1"] if status == "429" else []),
    ]
    return b"\r\n".join(headers) + b"\r\n\r\n" + body


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until the source ends."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
