# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports that tests hand to servers stay theirs until the server listens."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT
from tests.support.ports import free_port

_PRINT = "from tests.support.ports import free_port; print(*(free_port() for _ in range(50)))"


def test_the_kernel_gives_none_of_them_to_a_client() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert max(free_port() for _ in range(50)) < first


def test_tests_side_by_side_get_different_ones() -> None:
    mine = {free_port() for _ in range(50)}
    beside = subprocess.run([sys.executable, "-c", _PRINT], cwd=ROOT, check=True, capture_output=True)
    assert len(mine) == 50
    assert mine.isdisjoint(int(port) for port in beside.stdout.split())


def test_a_taken_one_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert server.getsockname()[1] not in {free_port() for _ in range(1000)}
