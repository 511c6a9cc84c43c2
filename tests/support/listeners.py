# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Listeners on loopback that are no good: one that never answers, one with a certificate of the tester's."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.ports import free_port


@contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])


@contextmanager
def tls_port(pem: Path) -> Iterator[int]:
    """Yield a port that speaks TLS with this certificate and then hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve() -> None:
        # accept() raises once the socket is shut down
        with suppress(OSError):
            while True:
                bare, _ = server.accept()
                bare.settimeout(5)
                with suppress(OSError), context.wrap_socket(bare, server_side=True):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=6)


def closed_port() -> int:
    """Return a port that nobody listens on."""
    return free_port()
