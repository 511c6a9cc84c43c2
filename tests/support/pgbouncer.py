# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real PgBouncer in transaction mode in front of a test's PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.model_server import wait_until
from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, Server

_SETTINGS = """
[databases]
{database} = host=127.0.0.1 port={server} user=postgres password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
logfile = {folder}/log
"""


@contextmanager
def pooler(server: Server, database: str) -> Iterator[str]:
    """Start a pooler and yield the DSN of a database through it."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="llmops-test-pgbouncer-"))
    settings = folder / "pgbouncer.ini"
    password = PASSWORD.replace("'", "''")
    settings.write_text(
        _SETTINGS.format(database=database, server=server.port, password=password, port=port, folder=folder),
        encoding="utf-8",
    )
    if server.owner:
        shutil.chown(folder, server.owner)
        shutil.chown(settings, server.owner)
    process = subprocess.Popen(
        [_binary(), "-q", str(settings)], user=server.owner, cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _is_open(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
        yield f"host=127.0.0.1 port={port} dbname={database} user=postgres"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _binary() -> str:
    """Return the program; where the distribution has it, it is installed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("pgbouncer", path=path)
    if found is None:
        # With this run level the package does not start a service.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "pgbouncer"]):
            subprocess.run(["apt-get", "-qq", *arguments], check=True, env=quiet, stdout=subprocess.DEVNULL)
        found = shutil.which("pgbouncer", path=path)
    assert found is not None, "install PgBouncer"
    return found
