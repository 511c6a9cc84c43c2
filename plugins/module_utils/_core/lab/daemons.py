# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that outlive the run that started them, with an identity that a recycled pid cannot fake."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .commands import tail_of_file
from .filesystem import read_json, write_if_changed
from .steps import Progress, Step, restart_reason, wait_for

_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_START_LIMIT_S = 120.0
#: How long a running process may fail its health check before a start replaces it.
_PATIENCE_S = 10.0
_PORT_PATIENCE_S = 3.0

# Kept so that a child that dies while this process lives is reaped, not left as a zombie.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Identity:
    """A process: its pid and the moment it started (clock ticks after boot), within one boot."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Tell whether exactly this process still runs."""
        for child in list(_children):
            if child.poll() is not None:
                _children.remove(child)
        return self.boot == boot_id() and start_time(self.pid) == self.started


@dataclass(frozen=True)
class Daemon:
    """A program to keep running. A change of ``argv`` or of the content of ``inputs`` restarts it.

    ``healthy`` returns an empty string once the program does its work, otherwise what is wrong.
    """

    name: str
    argv: Sequence[str]
    healthy: Callable[[], str]
    inputs: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    #: A daemon whose restart restarts this one too. Clients of the API server would come back by
    #: themselves, but only after a pause that doubles up to a minute.
    follows: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 5.0

    def fingerprint(self) -> str:
        """Return a digest of all that the running program was started with."""
        digest = hashlib.sha256(json.dumps([list(self.argv), dict(self.environment)]).encode())
        for path in self.inputs:
            digest.update(path.read_bytes() if path.exists() else b"missing")
        return digest.hexdigest()


class DaemonTable:
    """The daemons of one lab, remembered in ``run/`` and always checked against ``/proc``."""

    def __init__(self, folder: Path) -> None:
        self._run = folder / "run"
        self._logs = folder / "logs"

    def log(self, name: str) -> Path:
        """Return the path of a daemon's log."""
        return self._logs / f"{name}.log"

    def identity(self, name: str) -> Identity | None:
        """Return the running process of that name, or ``None``."""
        record = read_json(self._record(name))
        identity = _identity_of(record)
        return identity if identity and identity.alive() else None

    def names(self) -> list[str]:
        """Return the names of all daemons that were ever started and not stopped."""
        return sorted(path.stem for path in self._run.glob("*.json"))

    def started_at(self, name: str) -> float:
        """Return the Unix time at which the daemon was started; 0 if it was not."""
        record = self._record(name)
        return record.stat().st_mtime if record.exists() else 0.0

    def pending(self, daemon: Daemon) -> str:
        """Say why the daemon has to be (re)started, or return an empty string."""
        record = read_json(self._record(daemon.name))
        if self.identity(daemon.name) is None:
            return "died; starting it again" if record else "is not running"
        if record.get("fingerprint") != daemon.fingerprint():
            return "has new settings"
        if record.get("followed", "") != self._followed(daemon):
            return restart_reason(daemon.follows)
        patience = Deadline(_PATIENCE_S)
        while reason := daemon.healthy():
            if patience.expired():
                return f"runs but does not work: {reason}"
            patience.pause(0.2)
        return ""

    def start(self, daemon: Daemon, progress: Progress, deadline: Deadline) -> None:
        """Replace what runs under that name by a fresh process and wait until it is healthy."""
        self.stop(daemon.name, daemon.stop_signal, daemon.stop_grace_s)
        for port in daemon.ports:
            _require_free_port(daemon.name, port)
        identity = self._spawn(daemon)

        def check() -> str:
            if not identity.alive():
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE,
                    f"{daemon.name} ended right after its start: {tail_of_file(self.log(daemon.name), 5)}",
                    f"See {self.log(daemon.name)}.",
                )
            return daemon.healthy()

        wait_for(daemon.name, check, deadline.share(_START_LIMIT_S), progress, interval=0.1)

    def stop(self, name: str, stop_signal: int = signal.SIGTERM, grace_s: float = 5.0) -> bool:
        """End a daemon: ask, wait ``grace_s``, then kill. Tell whether it was running."""
        identity = self.identity(name)
        if identity is not None:
            end(identity, stop_signal, grace_s)
        self._record(name).unlink(missing_ok=True)
        return identity is not None

    def _followed(self, daemon: Daemon) -> str:
        """Return which process it follows."""
        identity = self.identity(daemon.follows) if daemon.follows else None
        return f"{identity.pid}-{identity.started}" if identity else ""

    def _record(self, name: str) -> Path:
        return self._run / f"{name}.json"

    def _spawn(self, daemon: Daemon) -> Identity:
        log = self.log(daemon.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            try:
                # run_command has no process groups, and an action plugin has no module to call it on.
                child = subprocess.Popen(  # pylint: disable=ansible-bad-function
                    list(daemon.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={**base_environment(), **daemon.environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise PlatformError(
                    ErrorClass.INFRASTRUCTURE,
                    f"{daemon.name} cannot be started: {daemon.argv[0]}: {error.strerror}.",
                    "Install it, or repair that file.",
                ) from error
        _children.append(child)
        identity = Identity(child.pid, start_time(child.pid), boot_id())
        record = {
            **asdict(identity),
            "fingerprint": daemon.fingerprint(),
            "followed": self._followed(daemon),
            "argv": list(daemon.argv),
        }
        write_if_changed(self._record(daemon.name), json.dumps(record, indent=1), 0o600)
        return identity


class DaemonStep(Step):
    """A daemon as a step of the lab."""

    def __init__(self, table: DaemonTable, daemon: Daemon) -> None:
        self.name = daemon.name
        self.follows = (daemon.follows,) if daemon.follows else ()
        self._table = table
        self._daemon = daemon

    def pending(self) -> str:
        """Say why it has to be (re)started."""
        return self._table.pending(self._daemon)

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """(Re)start it."""
        self._table.start(self._daemon, progress, deadline)


def base_environment() -> dict[str, str]:
    """Return what daemons get of our environment: nothing of the session that happens to start them."""
    kept = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "TZ")
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        **{name: os.environ[name] for name in kept if name in os.environ},
    }


def boot_id() -> str:
    """Return the kernel's identifier of the present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_time(pid: int) -> int:
    """Return when a process started, in clock ticks after boot; 0 if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The command may hold blanks and parentheses: count fields after the last parenthesis.
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def end(identity: Identity, stop_signal: int = signal.SIGTERM, grace_s: float = 5.0) -> None:
    """End a process: ask, wait, kill, wait."""
    for signal_number, patience_s in ((stop_signal, grace_s), (signal.SIGKILL, 10.0)):
        try:
            os.kill(identity.pid, signal_number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + patience_s
        while time.monotonic() < limit:
            if not identity.alive():
                return
            time.sleep(0.02)
    raise PlatformError(
        ErrorClass.INFRASTRUCTURE,
        f"Process {identity.pid} does not end, not even when killed.",
        "It hangs in the kernel; look at its state in /proc, or restart the machine.",
    )


@dataclass(frozen=True)
class Process:
    """A line of the process table."""

    identity: Identity
    argv: list[str]
    executable: str


def processes() -> list[Process]:
    """Return all processes of the machine but kernel threads and ourselves."""
    found = []
    boot = boot_id()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            executable = str((folder / "exe").readlink())
        except OSError:
            continue
        started = start_time(int(folder.name))
        if argv and started:
            found.append(Process(Identity(int(folder.name), started, boot), argv, executable))
    return found


def _identity_of(record: Mapping[str, Any]) -> Identity | None:
    try:
        return Identity(int(record["pid"]), int(record["started"]), str(record["boot"]))
    except (KeyError, TypeError, ValueError):
        return None


def _require_free_port(name: str, port: int) -> None:
    """Wait a moment for the port: the last thread of a killed predecessor may still hold it."""
    patience = Deadline(_PORT_PATIENCE_S)
    while problem := _port_problem(port):
        if patience.expired():
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"{name} needs TCP port {port}, which another program uses ({problem}).",
                f"Find it with: ss -ltnp 'sport = :{port}', and stop it.",
            )
        patience.pause(0.05)


def _port_problem(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - the question is whether anybody listens anywhere
        except OSError as error:
            return error.strerror or str(error)
    return ""
