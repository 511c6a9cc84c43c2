# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports for servers that cannot choose their own: nobody else gets one before the server has it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle, islice

# Between the lab's own ports and those of its Services; the kernel's for clients begin at 32768.
_FIRST, _END, _SIZE = 21000, 30000, 1000


@cache
def _block() -> tuple[Iterator[int], socket.socket]:
    """Return ports that no other process of tests has, as long as this one has the socket."""
    claim = socket.socket(socket.AF_UNIX)
    for first in range(_FIRST, _END, _SIZE):
        with suppress(OSError):
            claim.bind(f"\0llmops-test-ports-{first}")
            return cycle(range(first, first + _SIZE)), claim
    raise AssertionError("other tests have all ports")


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses; the last 1000 are not among them."""
    ports, _claim = _block()
    return next(port for port in islice(ports, _SIZE) if _is_free(port))
