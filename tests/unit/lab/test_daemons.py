# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real processes: identity, restart on change, repair, a stop that does not take no for an answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.lab import daemons
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.daemons import (
    Daemon,
    DaemonStep,
    DaemonTable,
    Identity,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.steps import Change, plan


def _silent(line: str) -> None:
    """Show nothing."""


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DaemonTable]:
    """Return a table whose daemons are stopped after the test."""
    table = DaemonTable(tmp_path)
    yield table
    for name in table.names():
        table.stop(name, signal.SIGKILL)


def _daemon(tmp_path: Path, program: str = "import time; time.sleep(600)") -> Daemon:
    return Daemon("part", [sys.executable, "-c", program], lambda: "", inputs=[tmp_path / "settings"])


def test_a_daemon_starts_once_and_ends(table: DaemonTable, tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    assert table.pending(daemon) == "is not running"
    table.start(daemon, _silent, Deadline(10))
    assert table.pending(daemon) == ""
    identity = table.identity("part")
    assert identity is not None
    # A session of its own: the terminal of the run that started it may close.
    assert os.getsid(identity.pid) == identity.pid
    assert table.stop("part")
    assert not identity.alive()
    assert not table.stop("part"), "stopping twice is no change"


def test_a_program_that_is_missing_is_named(table: DaemonTable, tmp_path: Path) -> None:
    daemon = Daemon("part", [str(tmp_path / "none")], lambda: "")
    with pytest.raises(PlatformError, match=r"part cannot be started: .*/none: No such file") as caught:
        table.start(daemon, _silent, Deadline(10))
    assert caught.value.error_class == "infrastructure"


def test_a_change_of_what_it_reads_restarts_it(table: DaemonTable, tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    table.start(daemon, _silent, Deadline(10))
    before = table.identity("part")
    (tmp_path / "settings").write_text("new")
    assert table.pending(daemon) == "has new settings"
    table.start(daemon, _silent, Deadline(10))
    assert table.pending(daemon) == ""
    assert before is not None
    assert not before.alive(), "the old process is gone"


def test_a_client_is_restarted_after_its_server(table: DaemonTable, tmp_path: Path) -> None:
    server = _daemon(tmp_path)
    client = replace(server, name="client", follows="part")
    for daemon in (server, client):
        table.start(daemon, _silent, Deadline(10))
    assert table.pending(client) == ""
    table.start(server, _silent, Deadline(10))
    assert table.pending(client) == "its part was restarted"
    table.start(client, _silent, Deadline(10))
    assert table.pending(client) == ""
    step = DaemonStep(table, client)
    table.stop("part")
    assert plan([DaemonStep(table, server), step]) == [
        Change("part", "is not running"),
        Change("client", "its part was restarted"),
    ]


def test_a_killed_daemon_is_noticed(table: DaemonTable, tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    table.start(daemon, _silent, Deadline(10))
    identity = table.identity("part")
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    while identity.alive():
        time.sleep(0.01)
    assert table.pending(daemon) == "died; starting it again"


def test_a_recycled_pid_is_not_trusted(table: DaemonTable, tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    table.start(daemon, _silent, Deadline(10))
    record = tmp_path / "run" / "part.json"
    real = json.loads(record.read_text())
    # The same pid, but of a process that started at another time: this very test.
    record.write_text(json.dumps({**real, "pid": os.getpid()}))
    assert table.identity("part") is None
    record.write_text(json.dumps({**real, "boot": "another boot"}))
    assert table.identity("part") is None
    record.write_text("{ damaged")
    assert table.identity("part") is None
    record.write_text(json.dumps(real))
    assert table.identity("part") is not None


def test_stop_kills_what_ignores_the_signal(table: DaemonTable, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    )
    daemon = replace(_daemon(tmp_path, program), healthy=lambda: "" if ready.exists() else "not ready")
    table.start(daemon, _silent, Deadline(10))
    began = time.monotonic()
    assert table.stop("part", grace_s=0.3)
    assert 0.3 <= time.monotonic() - began < 5


def test_a_program_that_ends_at_once_is_reported_with_its_log(table: DaemonTable, tmp_path: Path) -> None:
    daemon = replace(_daemon(tmp_path, "raise SystemExit('no such flag')"), healthy=lambda: "no answer")
    with pytest.raises(PlatformError, match="ended right after its start: no such flag"):
        table.start(daemon, _silent, Deadline(10))


def test_the_deadline_says_the_last_reason(table: DaemonTable, tmp_path: Path) -> None:
    daemon = replace(_daemon(tmp_path), healthy=lambda: "still loading")
    with pytest.raises(PlatformError, match=r"did not finish within .*Last seen: still loading") as caught:
        table.start(daemon, _silent, Deadline(0.3))
    assert caught.value.error_class == "timeout"


def test_a_taken_port_is_named(table: DaemonTable, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PlatformError, match=f"part needs TCP port {port}, which another program uses"):
            table.start(replace(_daemon(tmp_path), ports=[port]), _silent, Deadline(5))
    assert table.identity("part") is None


def test_a_zombie_does_not_count_as_running() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        deadline = time.monotonic() + 5
        while daemons.start_time(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert daemons.start_time(pid) == 0
    finally:
        os.waitpid(pid, 0)


def test_identity_of_this_process() -> None:
    me = Identity(os.getpid(), daemons.start_time(os.getpid()), daemons.boot_id())
    assert me.alive()
    assert not replace(me, started=me.started + 1).alive()


def test_secrets_of_the_session_do_not_reach_daemons(
    table: DaemonTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    table.start(_daemon(tmp_path), _silent, Deadline(10))
    identity = table.identity("part")
    assert identity is not None
    assert b"HF_TOKEN" not in Path(f"/proc/{identity.pid}/environ").read_bytes()
