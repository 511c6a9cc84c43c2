# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database that refuses, hangs, restarts or loses its answer: the right class, in seconds, no secret."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import entries, migrations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import load
from tests.services.registry.conftest import Run, open_database
from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, Server

Query = Callable[..., list[tuple[Any, ...]]]


def assert_silent(error: PlatformError) -> None:
    """Assert that no form of the password is in anything that is shown."""
    text = f"{error} {error.message} {error.resolution} {error.details!r} {error.__cause__!r}"
    for form in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), PASSWORD[:7], "wr0ng"):
        assert form not in text


def failure_of(run: Run, within_s: float, **arguments: Any) -> PlatformError:
    """Run and return the error, which must come in time and without a secret."""
    start = time.monotonic()
    with pytest.raises(PlatformError) as failure:
        run(**arguments)
    assert time.monotonic() - start < within_s
    assert_silent(failure.value)
    return failure.value


def uri(server: Server, password: str = PASSWORD, host: str = "127.0.0.1", port: int | None = None) -> str:
    """Return a DSN as people write it."""
    return f"postgresql://postgres:{quote(password, safe='')}@{host}:{port or server.port}/postgres"


def test_nobody_listens(info: Run, server: Server) -> None:
    error = failure_of(info, 6, dsn=uri(server, port=free_port()))
    assert error.error_class is ErrorClass.INFRASTRUCTURE
    assert "refused" in error.message
    assert error.details["attempts"] > 1


def test_wrong_password_is_not_tried_again(info: Run, server: Server) -> None:
    error = failure_of(info, 3, dsn=uri(server, password="wr0ng@canary"))
    assert error.error_class is ErrorClass.AUTH
    assert error.details["attempts"] == 1
    error = failure_of(info, 3, dsn=server.dsn(password="wr0ng' canary"))
    assert error.error_class is ErrorClass.AUTH


def test_unknown_role_and_database(info: Run, server: Server) -> None:
    assert failure_of(info, 3, login_user="nobody-such").error_class is ErrorClass.AUTH
    error = failure_of(info, 3, login_db="no-such")
    assert error.error_class is ErrorClass.INVALID
    assert "Create the database" in error.resolution


def test_host_that_does_not_answer(info: Run, server: Server) -> None:
    # 192.0.2.0/24 is reserved for documentation; a machine without a route fails at once, which is as good.
    error = failure_of(info, 8, dsn=uri(server, host="192.0.2.1"), connect_timeout=2)
    assert error.error_class is ErrorClass.INFRASTRUCTURE


def test_name_that_does_not_resolve(info: Run, server: Server) -> None:
    error = failure_of(info, 30, dsn=uri(server, host="no-such-host.invalid"))
    assert error.error_class is ErrorClass.INFRASTRUCTURE
    assert "name resolution" in error.resolution


def test_listener_that_says_nothing(info: Run, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure_of(info, 10, dsn=uri(server, port=silent.getsockname()[1]), connect_timeout=2)
    assert error.error_class is ErrorClass.INFRASTRUCTURE


def test_tls_that_the_server_does_not_have(info: Run) -> None:
    assert failure_of(info, 3, ssl_mode="verify-full").error_class is ErrorClass.AUTH


@pytest.mark.parametrize(
    "dsn",
    [
        "hunter2 canary",
        "postgresql://u:c4n%ZZary@h/d",
        "host=h password='c4nary",
        "postgresql://u:c4nary@h:port/d",
    ],
)
def test_dsn_that_cannot_be_parsed_is_not_shown(info: Run, dsn: str) -> None:
    start = time.monotonic()
    with pytest.raises(PlatformError) as failure:
        info(dsn=dsn)
    assert time.monotonic() - start < 2
    assert failure.value.error_class is ErrorClass.INVALID
    assert not any(word in str(failure.value) for word in ("hunter2", "canary", "c4n"))


def test_no_database_given(info: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    error = failure_of(info, 1, dsn=None)
    assert error.error_class is ErrorClass.INVALID
    assert "PGHOST" in error.resolution


def test_libpq_environment_fills_what_the_dsn_leaves_open(
    info: Run, schema: Run, server: Server, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGPORT", str(server.port))
    monkeypatch.setenv("PGDATABASE", "no-such")
    dsn = f"host=127.0.0.1 user=postgres dbname={database_name}"
    assert info(dsn=dsn).result["entries"] == []


def test_backend_killed_in_the_middle_of_a_migration(
    dsn: str, copied_migrations: Path, query: Query, schema: Run
) -> None:
    schema()
    number = len(list(copied_migrations.glob("*.up.sql"))) + 1
    (copied_migrations / f"{number:04d}_slow.up.sql").write_text(
        "CREATE TABLE slow (attempt int);\nSELECT pg_sleep(1.5);\nINSERT INTO slow VALUES (1);\n"
    )
    (copied_migrations / f"{number:04d}_slow.down.sql").write_text("DROP TABLE slow;\n")
    killed: list[bool] = []

    def kill() -> None:
        while not killed:
            for (done,) in query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1.5)%'"
                " AND pid <> pg_backend_pid() AND datname = current_database()"
            ):
                killed.append(done)
                assert query("SELECT to_regclass('slow')") == [(None,)]
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    lines: list[str] = []
    with open_database(dsn) as database:
        database._progress = lines.append
        report = migrations.migrate(database, load(str(copied_migrations)), None)
    killer.join(10)
    assert killed == [True]
    # The transaction was lost whole, and the same run did it again.
    assert [done.step.migration.name for done in report.done] == ["slow"]
    assert any("Trying again" in line for line in lines)
    assert query("SELECT * FROM slow") == [(1,)]


def test_four_runners_at_once(dsn: str, copied_migrations: Path, query: Query) -> None:
    files = load(str(copied_migrations))
    # Slow enough for all to meet in the middle.
    (copied_migrations / f"{len(files) + 1:04d}_slow.up.sql").write_text(
        "SELECT pg_sleep(0.5); CREATE TABLE s ();"
    )
    (copied_migrations / f"{len(files) + 1:04d}_slow.down.sql").write_text("DROP TABLE s;")
    files = load(str(copied_migrations))
    reports: list[migrations.Report] = []

    def work() -> None:
        with open_database(dsn) as database:
            reports.append(migrations.migrate(database, files, None))

    runners = [threading.Thread(target=work) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(30)
    assert len(reports) == 4
    assert {report.version_after for report in reports} == {len(files)}
    done = sorted(step.step.migration.version for report in reports for step in report.done)
    assert done == [file.version for file in files]
    assert query("SELECT count(*) FROM registry_schema_migrations") == [(len(files),)]


def test_lock_of_another_run_is_waited_for_and_named(schema: Run, server: Server, database_name: str) -> None:
    holder = server.connect(database_name)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("SET application_name = 'the other run'")
        cursor.execute(migrations._LOCK)
    try:
        error = failure_of(schema, 5, timeout=1.5)
    finally:
        holder.close()
    assert error.error_class is ErrorClass.LOCKED
    assert "the other run by postgres" in error.message
    assert schema().changed


def test_table_lock_of_another_transaction(schema: Run, server: Server, database_name: str) -> None:
    schema(target_version=1)
    holder = server.connect(database_name)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE model_registry_entries IN ACCESS EXCLUSIVE MODE")
    try:
        error = failure_of(schema, 8, timeout=1.5)
        assert error.error_class is ErrorClass.LOCKED
        released = threading.Timer(1.0, holder.rollback)
        released.start()
        assert schema().changed
        released.join()
    finally:
        holder.close()


def test_crash_of_the_server_between_two_transactions(dsn: str, schema: Run, server: Server) -> None:
    schema()
    with open_database(dsn) as database:
        database.transaction(lambda session: entries.put(session, "m", "staging", {"status": "pending"}))
        server.stop()
        restart = threading.Timer(1.0, server.start)
        restart.start()
        change = database.transaction(
            lambda session: entries.put(session, "m", "staging", {"status": "failed"})
        )
        restart.join()
    assert change.after is not None
    assert change.after.version == 2


def test_frozen_server_is_left_at_the_deadline(dsn: str, schema: Run, server: Server) -> None:
    schema()

    def work(session: Any) -> None:
        pid = session.row("SELECT pg_backend_pid()")[0]
        frozen.append(pid)
        os.kill(pid, signal.SIGSTOP)
        session.row("SELECT 1")

    frozen: list[int] = []
    start = time.monotonic()
    try:
        with open_database(dsn, seconds=1.5) as database, pytest.raises(PlatformError) as failure:
            database.transaction(work)
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    assert failure.value.error_class is ErrorClass.TIMEOUT
    assert 1.5 <= time.monotonic() - start < 6
    assert_silent(failure.value)


def test_statement_that_runs_past_the_deadline(dsn: str) -> None:
    start = time.monotonic()
    with open_database(dsn, seconds=1.0) as database, pytest.raises(PlatformError) as failure:
        database.transaction(lambda session: session.row("SELECT pg_sleep(30)"))
    assert failure.value.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - start < 3


def test_no_free_connection(server: Server, dsn: str, schema: Run, entry: Run, query: Query) -> None:
    schema()
    query("SELECT 1")
    (limit,) = query("SELECT current_setting('max_connections')::int")[0]
    crowd: list[psycopg2.extensions.connection] = []

    def leave() -> None:
        for connection in crowd:
            connection.close()

    try:
        with contextlib.suppress(psycopg2.OperationalError):
            crowd.extend(psycopg2.connect(dsn) for _ in range(limit + 1))
        error = failure_of(entry, 6, timeout=2)
        assert error.error_class is ErrorClass.INFRASTRUCTURE
        assert "too many clients" in error.message
        leaving = threading.Timer(1.0, leave)
        leaving.start()
        assert entry().changed
        leaving.join()
    finally:
        for connection in crowd:
            connection.close()


@dataclass
class Proxy:
    """Passes connections on until a client commits, and loses the server's answer to that.

    Connections that are opened later go through unharmed.
    """

    upstream_port: int
    forward_commit: bool
    committing: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    def accept(self) -> None:
        """Serve until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Pass on one connection, in both directions."""
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.upstream_port)) as up,
        ):
            while True:
                for source in select.select([client, up], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client and b"COMMIT\0" in data and not self.committing.is_set():
                        self.committing.set()
                        if self.forward_commit:
                            up.sendall(data)
                            # The server has answered, and nobody hears it.
                            assert b"COMMIT\0" in up.recv(65536)
                        return
                    (up if source is client else client).sendall(data)


@contextlib.contextmanager
def proxy(port: int, forward_commit: bool) -> Iterator[Proxy]:
    """Run such a proxy."""
    running = Proxy(port, forward_commit)
    threading.Thread(target=running.accept, daemon=True).start()
    try:
        yield running
    finally:
        running.listener.close()


@pytest.mark.parametrize("committed", [True, False])
def test_answer_to_commit_is_lost(
    schema: Run, entry: Run, server: Server, query: Query, committed: bool
) -> None:
    schema()
    with proxy(server.port, committed) as link:
        outcome = entry(login_port=link.port, ssl_mode="disable", status="pending", expected_version=0)
    assert link.committing.is_set()
    # Written once, whichever of the two happened, and told truthfully.
    assert outcome.changed
    assert outcome.result["entry"]["version"] == 1
    assert query("SELECT model_name, row_version FROM model_registry_entries") == [("org/Model-7B", 1)]


def test_server_that_goes_away_for_good_during_commit(schema: Run, entry: Run, server: Server) -> None:
    schema()
    with proxy(server.port, forward_commit=False) as link:

        def stop() -> None:
            link.committing.wait(10)
            server.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        try:
            error = failure_of(
                entry, 10, login_port=link.port, ssl_mode="disable", status="pending", timeout=3
            )
        finally:
            stopper.join(10)
            server.start()
    assert error.error_class is ErrorClass.INFRASTRUCTURE
    assert error.details["outcome"] == "unknown"
    assert "Run the task again" in error.resolution
