# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a connection, classes of its errors, and what is hidden. No database."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Settings,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.failures import (
    classify,
    connect_failure,
    statement_failure,
)

SECRET = "c4n@ry'/ \\%x"


def test_single_settings_replace_those_of_the_dsn() -> None:
    found = settings(
        {
            "dsn": "postgresql://a:p@one:1/x?sslmode=require&hostaddr=10.0.0.1&application_name=mine",
            "login_host": "two",
            "login_port": 2,
            "ssl_mode": "",
            "connect_timeout": 7,
        }
    ).parameters
    assert (found["host"], found["port"], found["dbname"], found["user"]) == ("two", "2", "x", "a")
    assert "hostaddr" not in found
    assert (found["sslmode"], found["application_name"], found["connect_timeout"]) == ("require", "mine", "7")


def test_defaults() -> None:
    found = settings({"login_host": "h"}).parameters
    assert found["application_name"] == "llmops.platform"
    assert found["client_encoding"] == "UTF8"
    assert int(found["keepalives_idle"]) <= 30


def test_settings_never_show_themselves() -> None:
    found = settings({"dsn": f"postgresql://u:{quote(SECRET, safe='')}@h/d"})
    assert "c4n" not in repr(found)
    assert "u" not in found.where.replace("default", "").split()
    assert found.where == "database d at h port 5432"


@pytest.mark.parametrize(
    "text",
    [
        f'FATAL: no "{SECRET}" here',
        f"postgresql://u:{quote(SECRET, safe='')}@h/d",
        f"x {quote(SECRET)} {quote_plus(SECRET)}",
        "password='c4n@ry\\'/ \\\\%x'",
        f"{SECRET!r}",
        f"{[SECRET]!r}",
    ],
)
def test_every_form_of_the_password_is_hidden(text: str) -> None:
    found = settings({"login_host": "h", "login_password": SECRET})
    assert "c4n" not in found.clean(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=4, max_size=40))
def test_no_password_survives(password: str) -> None:
    found = settings({"login_host": "h", "login_password": password})
    for form in (password, quote(password, safe=""), repr(password)[1:-1]):
        cleaned = found.clean(f"<{form}>")
        assert cleaned.replace("[hidden]", "").strip("<> ") == ""


def test_nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PlatformError, match="No database is given"):
        settings({"dsn": "", "connect_timeout": 10})
    monkeypatch.setenv("PGHOST", "h")
    assert settings({}).where == "database (default) at h port 5432"


@pytest.mark.parametrize(
    ("sqlstate", "error_class", "retry"),
    [
        ("40001", ErrorClass.INFRASTRUCTURE, True),
        ("40P01", ErrorClass.INFRASTRUCTURE, True),
        ("53300", ErrorClass.INFRASTRUCTURE, True),
        ("55P03", ErrorClass.LOCKED, True),
        ("57P01", ErrorClass.INFRASTRUCTURE, True),
        ("57014", ErrorClass.TIMEOUT, False),
        ("58030", ErrorClass.INFRASTRUCTURE, True),
        ("08006", ErrorClass.INFRASTRUCTURE, True),
        ("25006", ErrorClass.INFRASTRUCTURE, False),
        ("28P01", ErrorClass.AUTH, False),
        ("3D000", ErrorClass.INVALID, False),
        ("42501", ErrorClass.AUTH, False),
        ("42P01", ErrorClass.INVALID, False),
        ("42601", ErrorClass.INVALID, False),
        ("23505", ErrorClass.INVALID, False),
        ("22001", ErrorClass.INVALID, False),
        ("XX000", ErrorClass.INFRASTRUCTURE, False),
    ],
)
def test_classes_of_sqlstates(sqlstate: str, error_class: ErrorClass, retry: bool) -> None:
    found, advice, again = classify(sqlstate)
    assert (found, again) == (error_class, retry)
    assert advice.endswith(".")


@pytest.mark.parametrize(
    ("text", "error_class", "retry"),
    [
        (
            "connection to server at 127.0.0.1, port 1 failed: Connection refused",
            ErrorClass.INFRASTRUCTURE,
            True,
        ),
        (
            "could not translate host name to address: Name or service not known",
            ErrorClass.INFRASTRUCTURE,
            True,
        ),
        ("timeout expired", ErrorClass.INFRASTRUCTURE, True),
        ('FATAL: password authentication failed for user "u"', ErrorClass.AUTH, False),
        ("fe_sendauth: no password supplied", ErrorClass.AUTH, False),
        ('FATAL: role "u" does not exist', ErrorClass.AUTH, False),
        ('FATAL: no pg_hba.conf entry for host "1.2.3.4"', ErrorClass.AUTH, False),
        ('FATAL: database "d" does not exist', ErrorClass.INVALID, False),
        ("FATAL: sorry, too many clients already", ErrorClass.INFRASTRUCTURE, True),
        ("FATAL: remaining connection slots are reserved", ErrorClass.INFRASTRUCTURE, True),
        ("FATAL: the database system is starting up", ErrorClass.INFRASTRUCTURE, True),
        ("SSL error: certificate verify failed", ErrorClass.AUTH, False),
        ("server does not support SSL, but SSL was required", ErrorClass.AUTH, False),
        ('invalid integer value "x" for connection option "port"', ErrorClass.INVALID, False),
        ('invalid sslmode value: "x"', ErrorClass.INVALID, False),
    ],
)
def test_classes_of_failures_to_connect(text: str, error_class: ErrorClass, retry: bool) -> None:
    error = connect_failure(text, "database d at h port 1")
    assert (error.error_class, error.retry) == (error_class, retry)
    assert "database d at h port 1" in error.message


def test_statement_failures() -> None:
    lost = statement_failure(None, "server closed the connection", lost=True)
    assert (lost.error_class, lost.retry) == (ErrorClass.INFRASTRUCTURE, True)
    driver = statement_failure(None, "can't adapt", lost=False)
    assert (driver.error_class, driver.retry) == (ErrorClass.INVALID, False)
    # The server said why before it closed the connection.
    assert statement_failure("57P01", "terminating", lost=True).retry


def test_text_on_one_line() -> None:
    assert Settings({}).clean("a\n\tb\x1b[0m") == "a b[0m"
