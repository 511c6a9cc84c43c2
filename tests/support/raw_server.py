# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP server that answers byte for byte what a test says: right, wrong, late, or half."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Request:
    """One request as it came; ``headers`` have lower-case names."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


#: Writes the answer to a request; returns whether the connection stays open.
Answer = Callable[[Request, socket.socket], bool]


class RawServer:
    """Listens on loopback; a context manager. ``answer`` may be changed at any time."""

    def __init__(self, answer: Answer) -> None:
        """Open the port; nothing is accepted before the block is entered."""
        self.answer = answer
        self.requests: list[Request] = []
        #: Numbers of the connections that the client has closed.
        self.closed: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._wires: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close all connections; new ones are welcome."""
        for wire in self._wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    @property
    def connections(self) -> int:
        """Return how many connections there ever were."""
        return len(self._wires)

    def _accept(self) -> None:
        # accept() raises once the listener is shut down
        with suppress(OSError):
            while True:
                wire, _ = self._listener.accept()
                self._wires.append(wire)
                threading.Thread(target=self._serve, args=(len(self._wires), wire), daemon=True).start()

    def _serve(self, number: int, wire: socket.socket) -> None:
        with wire, suppress(OSError), wire.makefile("rb") as stream:
            while (line := stream.readline().decode("latin-1").strip()) != "":
                headers = {}
                while (field := stream.readline().decode("latin-1").strip()) != "":
                    name, _, value = field.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                request = Request(line, headers, body, number)
                self.requests.append(request)
                if not self.answer(request, wire):
                    return
            self.closed.add(number)


def reply(body: bytes = b'{"ok": true}', *fields: str, status: str = "200 OK") -> Answer:
    """Return an answer with a length that keeps the connection."""

    def answer(_request: Request, wire: socket.socket) -> bool:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
        wire.sendall("\r\n".join(lines).encode() + body)
        return True

    return answer
