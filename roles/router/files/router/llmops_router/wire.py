# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of sockets."""

from __future__ import annotations

import socket


def notice_vanished_peers(wire: socket.socket, patience_s: float) -> None:
    """Let the kernel end connections whose peer is gone without a word.

    That is: it answers no probe for half a minute of silence, or confirms nothing of what it was sent for
    ``patience_s``.
    """
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 15),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", int(patience_s * 1000)),
    ):
        # Not every system has all of them.
        option = getattr(socket, name, None)
        if option is not None:
            wire.setsockopt(level, option, value)
