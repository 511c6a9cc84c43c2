# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver errors of PostgreSQL turned into the collection's classes, without secrets.

Whether to try again depends on one question only: was the transaction certainly rolled back?
"""

from __future__ import annotations

import re

from ..common.errors import ErrorClass, PlatformError

# SQLSTATEs (or their first characters) after which the whole transaction may be tried again.
_ROLLED_BACK = ("40", "53", "55000", "55006", "55P03", "57P01", "57P02", "57P03", "58", "08")

_OLDER_COLUMN = (
    "A column that the table had before this collection needs a value: give it a default "
    "(ALTER TABLE ... ALTER COLUMN ... SET DEFAULT ...)."
)
_OLDER_UNIQUE = (
    "Remove the duplicate. If the constraint is older than this collection and allows one row a model, "
    "replace it by one on model_name and deployment_environment."
)
_READ_ONLY = (
    "This server is read-only, such as a standby: connect to the primary (target_session_attrs=read-write)."
)
_RUN_SCHEMA = "Create or update the schema first: run llmops.platform.registry_schema or the role registry."
_CREATE_DATABASE = "Create the database, or correct login_db or the DSN."
_CREDENTIALS = "Check the user, the password and pg_hba.conf of the server."
_TLS = "Check sslmode, sslrootcert and the server's certificate; do not switch the verification off."
_REACH = "Check host, port, name resolution and firewalls, and that PostgreSQL is running."
_BUSY = "Try again when the server has room, or raise its limit or put a connection pooler before it."

# SQLSTATE prefix → class and advice; the longest prefix that fits counts.
_BY_SQLSTATE: dict[str, tuple[ErrorClass, str]] = {
    "08": (ErrorClass.INFRASTRUCTURE, _REACH),
    "22": (ErrorClass.INVALID, "Correct the value."),
    "23": (ErrorClass.INVALID, "Correct the value, or look at the rows that it conflicts with."),
    "23502": (ErrorClass.INVALID, _OLDER_COLUMN),
    "23505": (ErrorClass.INVALID, _OLDER_UNIQUE),
    "25006": (ErrorClass.INFRASTRUCTURE, _READ_ONLY),
    "28": (ErrorClass.AUTH, _CREDENTIALS),
    "3D000": (ErrorClass.INVALID, _CREATE_DATABASE),
    "3F000": (ErrorClass.INVALID, "Create the schema that search_path names, or correct search_path."),
    "40": (ErrorClass.INFRASTRUCTURE, "Run the task again."),
    "42": (ErrorClass.INVALID, "Correct the SQL, or check that the schema is the one this version expects."),
    "42501": (ErrorClass.AUTH, "Grant the database role the missing right, or connect as another role."),
    "42703": (ErrorClass.INVALID, _RUN_SCHEMA),
    "42P01": (ErrorClass.INVALID, _RUN_SCHEMA),
    "53": (ErrorClass.INFRASTRUCTURE, _BUSY),
    "55": (ErrorClass.LOCKED, "Try again when the other transaction is over (pg_stat_activity shows it)."),
    "57": (ErrorClass.INFRASTRUCTURE, _REACH),
    "57014": (ErrorClass.TIMEOUT, "Give it more time, or find out in pg_stat_activity what it waits for."),
    "58": (ErrorClass.INFRASTRUCTURE, "Look into the log of the PostgreSQL server."),
    "P0001": (ErrorClass.INVALID, "Correct what the message says, then run the task again."),
}

# A failure to connect has no SQLSTATE in libpq: the text is all there is. First match counts.
_BY_TEXT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sqlstate)
    for pattern, sqlstate in (
        (r"invalid (integer value|port number|\S+ value:)", "22"),
        (r"too many (clients|connections)|connection slots|is out of memory", "53300"),
        (r"(starting up|shutting down|in recovery mode|not (yet )?accepting connections)", "57P03"),
        (r"certificate verify failed|(root|server) certificate|certificate .*expired", "TLS"),
        (r"server does not support SSL|SSL error|sslmode", "TLS"),
        (r"database \".*\" does not exist", "3D000"),
        (r"authentication failed|no password supplied|pg_hba\.conf", "28"),
        (r"role \".*\" does not exist|not permitted to log in", "28"),
    )
)


class DatabaseError(PlatformError):
    """A failure that the database or the way to it reported."""

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        resolution: str,
        sqlstate: str | None = None,
        *,
        retry: bool = False,
        connected: bool = True,
    ) -> None:
        super().__init__(error_class, message, resolution, {"sqlstate": sqlstate} if sqlstate else {})
        self.sqlstate = sqlstate
        #: The transaction certainly did not happen and the next attempt may succeed.
        self.retry = retry
        #: The server answered; False where it could not be reached at all.
        self.connected = connected


def classify(sqlstate: str) -> tuple[ErrorClass, str, bool]:
    """Return class, advice and whether a retry may help for an SQLSTATE of five characters."""
    fitting = [prefix for prefix in _BY_SQLSTATE if sqlstate.startswith(prefix)]
    error_class, advice = (
        _BY_SQLSTATE[max(fitting, key=len)]
        if fitting
        else (ErrorClass.INFRASTRUCTURE, "Look into the log of the PostgreSQL server.")
    )
    return error_class, advice, sqlstate.startswith(_ROLLED_BACK)


def statement_failure(sqlstate: str | None, text: str, lost: bool) -> DatabaseError:
    """Build the error for a statement that failed.

    ``text`` is redacted; ``lost`` tells that the connection is gone, and with it the open transaction.
    """
    if sqlstate is None:
        what = "The connection to the database was lost" if lost else "The database driver reports"
        error_class = ErrorClass.INFRASTRUCTURE if lost else ErrorClass.INVALID
        return DatabaseError(
            error_class, f"{what}: {text}", _REACH if lost else "Correct the value.", retry=lost
        )
    error_class, advice, retry = classify(sqlstate)
    return DatabaseError(
        error_class, f"PostgreSQL reports {sqlstate}: {text}", advice, sqlstate, retry=retry or lost
    )


#: What check mode says where tables or columns are missing.
WITHOUT_SCHEMA = (
    "The registry has no schema of this version yet: this shows what would be written to an empty one."
)


def is_without_schema(error: Exception) -> bool:
    """Tell whether an error says that tables or columns are missing, as before the schema was applied."""
    return isinstance(error, DatabaseError) and error.sqlstate in ("42P01", "42703")


def connect_failure(text: str, where: str) -> DatabaseError:
    """Build the error for a failed attempt to connect; ``text`` is redacted, ``where`` names the database."""
    prefix = f"Cannot connect to {where}: {text}"
    for pattern, sqlstate in _BY_TEXT:
        if not pattern.search(text):
            continue
        if sqlstate == "TLS":
            return DatabaseError(ErrorClass.AUTH, prefix, _TLS)
        error_class, advice, retry = classify(sqlstate)
        return DatabaseError(error_class, prefix, advice, retry=retry)
    return DatabaseError(ErrorClass.INFRASTRUCTURE, prefix, _REACH, retry=True, connected=False)
