# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP proxy on loopback that makes tunnels (CONNECT), as companies have it before what is outside."""

from __future__ import annotations

import base64
import re
import socket
import threading
from contextlib import suppress
from types import TracebackType

_REQUEST = re.compile(rb"CONNECT (?P<host>[^ :]+|\[[^ \]]+\]):(?P<port>\d+) HTTP/1\.[01]\r\n")


class ConnectProxy:
    """Makes a tunnel to wherever it is asked for; a context manager.

    ``targets`` are the addresses that were asked for, one for each tunnel. With ``credentials``
    (user:password) who has others is sent away with 407.
    """

    def __init__(self, credentials: str = "") -> None:
        """Open the port; nothing is accepted before the block is entered."""
        self._wanted = base64.b64encode(credentials.encode()) if credentials else b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.targets: list[str] = []
        self.refused = 0

    @property
    def url(self) -> str:
        """URL of the proxy, without credentials."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ConnectProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        # accept() raises once the listener is shut down
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = client.recv(65536)
                if not chunk:
                    return
                head += chunk
            asked = _REQUEST.match(head)
            if asked is None:
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            if self._wanted and b"Basic " + self._wanted not in head:
                self.refused += 1
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, port = asked["host"].decode().strip("[]"), int(asked["port"])
            self.targets.append(f"{host}:{port}")
            with socket.create_connection((host, port), timeout=10) as server:
                server.settimeout(None)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until the source ends."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
