# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to PostgreSQL: settings, one transaction at a time, bounded retries, a known outcome."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from ..common.deadline import Backoff, Deadline
from ..common.errors import ErrorClass, PlatformError, missing_library
from ..common.redaction import HIDDEN, excerpt
from .failures import DatabaseError, connect_failure, statement_failure

try:
    import psycopg2
    import psycopg2.extensions
    import psycopg2.sql
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

T = TypeVar("T")

MINIMUM_SERVER = 14
#: Longest wait for a lock on a table or row: readers queue up behind whoever waits for a strong one.
LOCK_TIMEOUT_S = 5.0
# A server that cannot be reached is tried for this long only: an operator wants to know within seconds.
_UNREACHABLE_S = 3.0
# The server's own timeout gets this head start, because it can say what happened.
_GRACE_S = 2.0
_UNKNOWN_OUTCOME = "Run the task again: it looks at what is there before it writes."
# Read by libpq itself. Any of them says where the database is.
_ENVIRONMENT = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER")


@dataclass(frozen=True)
class Settings:
    """Where the database is. ``parameters`` are libpq keywords; ``secrets`` must never be shown."""

    parameters: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def where(self) -> str:
        """Name the database for messages: no user, no password."""
        host = self.parameters.get("host") or self.parameters.get("hostaddr") or os.environ.get("PGHOST")
        port = self.parameters.get("port") or os.environ.get("PGPORT") or "5432"
        name = self.parameters.get("dbname") or os.environ.get("PGDATABASE") or "(default)"
        return self.clean(f"database {name} at {host or 'the local socket'} port {port}")

    def clean(self, text: str) -> str:
        """Return the text on one line, printable, without any form of a secret."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return " ".join(excerpt(text, 2000).split())


def settings(params: Mapping[str, Any]) -> Settings:
    """Return the settings for a module's parameters (``POSTGRES_SPEC``).

    Single settings replace those of the DSN; what is in neither comes from libpq's environment variables,
    service file and password file.
    """
    parameters = given_parameters(params)
    dsn = params.get("dsn") or ""
    if not parameters and not any(os.environ.get(name) for name in _ENVIRONMENT):
        raise PlatformError(
            ErrorClass.INVALID,
            "No database is given.",
            "Set dsn (or LLMOPS_REGISTRY_DSN), or login_host and its like, or libpq's PGHOST and others.",
            {"field": "dsn"},
        )
    parameters.setdefault("connect_timeout", str(params.get("connect_timeout") or 10))
    parameters.setdefault("application_name", "llmops.platform")
    parameters["client_encoding"] = "UTF8"
    # A peer that vanished without a word is noticed within half a minute.
    parameters = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", **parameters}
    passwords = {parameters.get("password"), parameters.get("sslpassword"), os.environ.get("PGPASSWORD")}
    return Settings(parameters, secrets=_forms({dsn, *filter(None, passwords)}))


def given_parameters(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the libpq keywords that a module's parameters name; single settings replace those of the DSN."""
    if IMPORT_ERROR is not None:
        raise missing_library("psycopg2", IMPORT_ERROR)
    given = {
        keyword: str(params[name])
        for keyword, name in (
            ("host", "login_host"),
            ("port", "login_port"),
            ("dbname", "login_db"),
            ("user", "login_user"),
            ("password", "login_password"),
            ("sslmode", "ssl_mode"),
            ("sslrootcert", "ssl_rootcert"),
            ("sslcert", "ssl_cert"),
            ("sslkey", "ssl_key"),
        )
        if params.get(name) not in (None, "")
    }
    parameters = _parse(params.get("dsn") or "")
    if "host" in given:
        parameters.pop("hostaddr", None)
    return {**parameters, **given}


def as_dsn(parameters: Mapping[str, str]) -> str:
    """Return libpq keywords as one text, quoted so that libpq reads every value as it is."""
    return str(psycopg2.extensions.make_dsn(**parameters))


def _parse(dsn: str) -> dict[str, str]:
    """Return the keywords of a DSN. The parser's own message may quote the password, so it is not shown."""
    try:
        return dict(psycopg2.extensions.parse_dsn(dsn)) if dsn else {}
    except (psycopg2.Error, ValueError, UnicodeError):
        raise PlatformError(
            ErrorClass.INVALID,
            "dsn: the value cannot be parsed (it is not shown, because it may hold a password).",
            "Give a URI such as postgresql://user@host:5432/registry, with special characters of the "
            "password percent-encoded, or keyword=value pairs.",
            {"field": "dsn"},
        ) from None


def _forms(secrets: set[str]) -> tuple[str, ...]:
    """Return each secret as it may appear in a text: plain, percent-encoded, escaped; the longest first."""
    forms: set[str] = set()
    for secret in secrets - {""}:
        escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
        forms |= {secret, escaped, repr(secret)[1:-1]}
        forms |= {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


class Session:
    """One open transaction."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def rows(self, statement: str | psycopg2.sql.Composable, values: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement and return all rows of its result."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def row(self, statement: str | psycopg2.sql.Composable, values: Any = None) -> tuple[Any, ...] | None:
        """Run a statement and return the first row of its result, if any."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def execute(self, statement: str | psycopg2.sql.Composable, values: Any = None) -> int:
        """Run one statement, or several without values, and return the number of rows of the last one."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return int(cursor.rowcount)

    @property
    def link(self) -> psycopg2.extensions.ConnectionInfo:
        """Where libpq is connected to, and how."""
        return self._connection.info

    def warnings(self) -> list[str]:
        """Return the warnings that the server sent since the connection was opened."""
        return [
            line.removeprefix("WARNING:").strip()
            for notice in self._connection.notices
            for line in notice.splitlines()
            if line.startswith("WARNING:")
        ]


class Database:
    """A database under one deadline. Use it as a context manager: the connection is closed at the end."""

    def __init__(
        self, where: Settings, deadline: Deadline, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        self.settings = where
        self.deadline = deadline
        self._progress = progress
        self._connection: psycopg2.extensions.connection | None = None
        self._was_connected = False

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_anew(self, deadline: Deadline) -> None:
        """Go on under another deadline, over the connection that there is."""
        self.deadline = deadline
        self._was_connected = False

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back by the server."""
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def transaction(
        self, work: Callable[[Session], T], *, read_only: bool = False, dry_run: bool = False
    ) -> T:
        """Run ``work`` in a transaction and return its result.

        The transaction is run again, with jitter, while it was certainly rolled back and time is left.
        ``dry_run`` rolls back what was done. ``read_only`` gives one consistent picture.
        """
        backoff = Backoff(0.1, 2.0)
        attempts = 0
        while True:
            attempts += 1
            try:
                return self._attempt(work, read_only, dry_run)
            except DatabaseError as error:
                delay = backoff.next()
                limit = self.deadline.remaining()
                if not error.connected and not self._was_connected:
                    limit = min(limit, _UNREACHABLE_S - self.deadline.elapsed())
                if not error.retry or delay >= limit:
                    error.details["attempts"] = attempts
                    raise
                self._progress(f"{error.message} Trying again in {delay:.1f} s.")
                self.deadline.pause(delay)

    def _attempt(self, work: Callable[[Session], T], read_only: bool, dry_run: bool) -> T:
        connection = self._open()
        with self._watchdog(connection) as cut:
            try:
                connection.set_session(
                    isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED", readonly=read_only
                )
                session = Session(connection)
                self._begin(session)
                result = work(session)
                if read_only or dry_run:
                    connection.rollback()
                    return result
                transaction_id = session.rows("SELECT pg_current_xact_id_if_assigned()::text")[0][0]
                if self._commit(connection):
                    return result
            except psycopg2.Error as error:
                text = self.settings.clean(_text(error))
                lost = bool(connection.closed)
                self._rollback(connection)
                if cut.is_set():
                    raise self.deadline.timeout_error(
                        f"The answer of {self.settings.where}",
                        text,
                        "See why the server hangs, or raise timeout.",
                    ) from None
                raise statement_failure(error.pgcode, text, lost) from None
            except BaseException:
                self._rollback(connection)
                raise
        # The connection broke while the commit was under way: only the server knows what became of it.
        self.close()
        if transaction_id is None or self._was_committed(transaction_id):
            return result
        raise DatabaseError(
            ErrorClass.INFRASTRUCTURE,
            "The connection to the database was lost during the commit, and the change was not saved.",
            "Run the task again.",
            retry=True,
        )

    @staticmethod
    def _commit(connection: psycopg2.extensions.connection) -> bool:
        """Commit and return True, or False where the connection broke before the server confirmed it."""
        try:
            connection.commit()
        except psycopg2.Error:
            if not connection.closed:
                raise
            return False
        return True

    def _was_committed(self, transaction_id: str) -> bool:
        """Ask the server what became of a transaction, until it knows or no time is left."""

        def status(session: Session) -> str:
            return str(session.rows("SELECT pg_xact_status(%s::xid8)", (transaction_id,))[0][0])

        backoff = Backoff(0.1, 1.0)
        last = "the connection was lost during the commit"
        while not self.deadline.expired():
            try:
                last = self.transaction(status, read_only=True)
            except DatabaseError as error:
                # "In the future": a standby took over that never heard of the transaction.
                if error.sqlstate == "22023":
                    return False
                last = error.message
                if not error.retry:
                    break
            if last in ("committed", "aborted"):
                return last == "committed"
            self.deadline.pause(backoff.next())
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"Whether the last change was saved is not known. Last seen: {last}.",
            _UNKNOWN_OUTCOME,
            {"outcome": "unknown"},
        )

    def _open(self) -> psycopg2.extensions.connection:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        left = int(self.deadline.remaining()) or 1
        parameters = dict(self.settings.parameters)
        with contextlib.suppress(ValueError):
            # Zero means "for ever" to libpq.
            asked = int(parameters["connect_timeout"])
            parameters["connect_timeout"] = str(min(asked, left) if asked > 0 else left)
        try:
            connection = psycopg2.connect(**parameters)  # type: ignore[call-overload]
        except psycopg2.Error as error:
            raise connect_failure(self.settings.clean(str(error)), self.settings.where) from None
        if connection.server_version < MINIMUM_SERVER * 10000:
            connection.close()
            raise PlatformError(
                ErrorClass.INVALID,
                f"The server is PostgreSQL {connection.server_version // 10000}.",
                f"PostgreSQL {MINIMUM_SERVER} or later is needed.",
            )
        self._connection = connection
        self._was_connected = True
        return self._connection

    def _begin(self, session: Session) -> None:
        """Set what holds for this transaction only: nothing is left behind in a pooler's connection."""
        timeout_ms = max(1, int(self.deadline.remaining() * 1000))
        lock_ms = min(timeout_ms, int(LOCK_TIMEOUT_S * 1000))
        session.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true),"
            " set_config('TimeZone', 'UTC', true)",
            # The wait for a lock ends first: its error says more.
            (str(timeout_ms + 200), str(lock_ms), str(timeout_ms + 60_000)),
        )

    def _rollback(self, connection: psycopg2.extensions.connection) -> None:
        try:
            connection.rollback()
        except psycopg2.Error:
            self.close()

    @contextlib.contextmanager
    def _watchdog(self, connection: psycopg2.extensions.connection) -> Iterator[threading.Event]:
        """Cut the connection soon after the deadline: a frozen server keeps no timeout of its own.

        The event tells whether it was cut.
        """
        fired = threading.Event()

        def cut() -> None:
            fired.set()
            with contextlib.suppress(OSError, psycopg2.Error):
                link = socket.socket(fileno=os.dup(connection.fileno()))
                with link:
                    link.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.deadline.remaining() + _GRACE_S, cut)
        timer.daemon = True
        timer.start()
        try:
            yield fired
        finally:
            timer.cancel()


def _text(error: psycopg2.Error) -> str:
    """Return what the server said: message, detail and hint, without the statement and its position."""
    if error.pgcode is None:
        return str(error)
    parts = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
    return " ".join(part.rstrip(".") + "." for part in parts if part)
