# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TCP proxy on loopback whose links a test can swallow, reset or slow down while both ends stay up."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType

_TICK_S = 0.05


class Link:
    """One connection through the proxy. ``sent`` is what the client sent first, up to 64 KiB."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        """Take over both sockets; they belong to the thread that carries the link."""
        self.client, self.server = client, server
        self.sent = b""
        self.swallows = False
        self.broken = False


class TcpProxy:
    """Passes bytes between clients and one server on loopback; a context manager.

    A link that swallowed anything never passes a byte again, as behind a firewall that forgot the flow: both
    ends stay connected, bytes are taken and lost, and nobody is told. Only new links are whole after
    :meth:`heal`.
    """

    def __init__(self, upstream_port: int) -> None:
        """Open the port; nothing is accepted before the block is entered."""
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self._swallow_new = False
        self._refuse_new = False
        self._delay_s = 0.0

    def __enter__(self) -> TcpProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break(self._open())

    def swallow(self, marker: bytes | None = None) -> int:
        """Swallow from now on; return how many open links that hits.

        With a marker only those open links whose client has sent it (``LISTEN``); without one, all, and those
        to come until :meth:`heal`.
        """
        hit = [link for link in self._open() if marker is None or marker in link.sent]
        for link in hit:
            link.swallows = True
        self._swallow_new = marker is None
        return len(hit)

    def reset(self, *, refuse: bool = False) -> int:
        """End all open links with RST, and with ``refuse`` those to come; return how many were open."""
        links = self._open()
        self._refuse_new = refuse
        self._break(links)
        return len(links)

    def delay(self, seconds: float) -> None:
        """Hold every chunk for so long, in both directions."""
        self._delay_s = seconds

    def heal(self) -> None:
        """Treat new links well again, and let open ones that lost nothing go on at full speed."""
        self._swallow_new = self._refuse_new = False
        self._delay_s = 0.0

    def _open(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    @staticmethod
    def _break(links: list[Link]) -> None:
        for link in links:
            link.broken = True

    def _accept(self) -> None:
        # accept() raises once the listener is shut down
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self._refuse_new:
                _abort(client)
                return
            with socket.create_connection(("127.0.0.1", self._upstream_port), timeout=10) as server:
                link = Link(client, server)
                link.swallows = self._swallow_new
                with self._lock:
                    self._links.append(link)
                try:
                    self._carry(link)
                finally:
                    with self._lock:
                        self._links.remove(link)

    def _carry(self, link: Link) -> None:
        """Pass bytes on until one side ends; a swallowing link hides the end of either side too."""
        ends = [link.client, link.server]
        while ends:
            ready = select.select(ends, [], [], _TICK_S)[0]
            if link.broken:
                _abort(link.client)
                return
            for source in ready:
                data = source.recv(65536)
                if link.swallows:
                    if not data:
                        ends.remove(source)
                    continue
                if not data:
                    return
                if source is link.client and len(link.sent) < 65536:
                    link.sent += data
                if self._delay_s:
                    time.sleep(self._delay_s)
                (link.server if source is link.client else link.client).sendall(data)


def _abort(client: socket.socket) -> None:
    """Close without time to linger: the client gets RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
