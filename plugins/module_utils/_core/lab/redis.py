# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's Redis, with a password, on loopback and the node's address."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from .daemons import Daemon, DaemonTable
from .filesystem import differs, write_if_changed
from .packages import system_program
from .postgresql import as_user, ensure_user
from .settings import SYSTEM_USER, Settings
from .steps import Progress, Step

_CONFIGURATION = """\
bind 127.0.0.1 {address}
port {port}
protected-mode yes
requirepass {password}
dir {data}
save ""
appendonly no
daemonize no
# Its command line names the folder of the lab: a process whose record is lost is still found.
set-proc-title no
maxmemory 256mb
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class Redis:
    """The server's files and commands."""

    settings: Settings
    address: str

    @property
    def url_file(self) -> Path:
        """Holds the server's URL with its password, readable by its owner only."""
        return self.settings.path("redis.url")

    @property
    def configuration_file(self) -> Path:
        """Holds the password too: readable by root and the server's group only."""
        return self.settings.path("redis", "redis.conf")

    def configuration(self, password: str) -> str:
        """Return the content of the configuration file."""
        return _CONFIGURATION.format(
            address=self.address,
            port=self.settings.ports.redis,
            password=password,
            data=self.settings.path("redis", "data"),
        )

    def url(self, password: str) -> str:
        """Return the content of ``redis.url``, with the node's address, which pods reach too."""
        return f"redis://:{password}@{self.address}:{self.settings.ports.redis}/0\n"

    def password(self) -> str:
        """Return the password, or an empty string if none was made yet."""
        path = self.settings.pki / "redis.password"
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def daemon(self) -> Daemon:
        """Return the server as a daemon."""
        program = system_program("redis-server")
        return Daemon(
            "redis",
            as_user([program, str(self.configuration_file)]),
            self._answers,
            inputs=[self.configuration_file],
            ports=[self.settings.ports.redis],
            stop_signal=signal.SIGTERM,
        )

    def _answers(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.settings.ports.redis), timeout=3) as connection:
                connection.sendall(f"AUTH {self.password()}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (received := connection.recv(256)):
                    answer += received
        except OSError as error:
            return str(error)
        return "" if answer == b"+OK\r\n+PONG\r\n" else f"it answers {answer[:80]!r}"


class RedisStep(Step):
    """The server and its password."""

    name = "redis"

    def __init__(self, table: DaemonTable, server: Redis) -> None:
        self._table = table
        self._server = server

    def pending(self) -> str:
        """Say what is missing."""
        password = self._server.password()
        if not password or differs(self._server.url_file, self._server.url(password), 0o600):
            return "is not set up yet, or for another address"
        if differs(self._server.configuration_file, self._server.configuration(password), 0o640):
            return "has new settings"
        return self._table.pending(self._server.daemon())

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Write the configuration and start the server."""
        ensure_user()
        settings = self._server.settings
        password = self._server.password() or secrets.token_urlsafe(24)
        write_if_changed(settings.pki / "redis.password", f"{password}\n", 0o600)
        data = settings.path("redis", "data")
        data.mkdir(parents=True, exist_ok=True)
        shutil.chown(data, SYSTEM_USER, SYSTEM_USER)
        configuration = self._server.configuration_file
        write_if_changed(configuration, self._server.configuration(password), 0o640)
        shutil.chown(configuration, "root", SYSTEM_USER)
        write_if_changed(self._server.url_file, self._server.url(password), 0o600)
        daemon = self._server.daemon()
        if self._table.pending(daemon):
            self._table.start(daemon, progress, deadline)
