# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DSN of a service from the deployer's settings: right for libpq, and nothing of the deployer in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg.conninfo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.login import login_files

FOLDER, PASSWORD = "/etc/service", "s3cret"
HOSTILE = [
    "it's",
    "back\\slash",
    "a 'b\\' c",
    "50%41/@:?#&=",
    ' "quoted" ',
    "\t\n",
    "\\",
    "'",
    "sslmode=disable",
    "jörg\u2003ß",
    "{{ 7*7 }}",
]
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of databases."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("LLMOPS_REGISTRY_DSN", raising=False)


def read(params: dict[str, Any], user: str = "service", password: str = PASSWORD) -> dict[str, Any]:
    """Return what libpq reads from the DSN, as the services do: a file, stripped."""
    return dict(psycopg.conninfo.conninfo_to_dict(login_files(params, user, password, FOLDER)["dsn"].strip()))


@pytest.mark.parametrize("text", HOSTILE)
def test_every_password_and_name_arrives(text: str) -> None:
    place = {"login_host": "db.example.com", "login_port": 5433, "login_db": text}
    assert read(place, text, text) == {
        "host": "db.example.com",
        "port": "5433",
        "dbname": text,
        "user": text,
        "password": text,
    }


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_password_arrives(password: str) -> None:
    assert read({"login_host": "db", "login_db": "x"}, password=password)["password"] == password


def test_nothing_of_the_deployer_is_in_it(tmp_path: Path) -> None:
    dsn = (
        "postgresql://deployer:c4n4ry@db.example.com/registry?sslmode=verify-full&sslcert=/home/me/c.pem"
        "&sslkey=/home/me/k.pem&passfile=/home/me/.pgpass&application_name=me&options=-csearch_path%3Dmodels"
        "&target_session_attrs=read-write&connect_timeout=60"
    )
    assert read({"dsn": dsn, "connect_timeout": 10}, "service", "") == {
        "host": "db.example.com",
        "dbname": "registry",
        "sslmode": "verify-full",
        "options": "-csearch_path=models",
        "target_session_attrs": "read-write",
        "user": "service",
    }
    role = {"dsn": "host=db dbname=x options='-c role=me -c search_path=models,public'"}
    assert read(role)["options"] == "-csearch_path=models,public"
    assert "options" not in read({"dsn": "host=db dbname=x options='-c role=me'"})
    single = {"login_host": "other", "login_user": "me", "login_password": "c4n4ry", "ssl_cert": "/c"}
    assert read({"dsn": dsn, **single})["host"] == "other"
    assert "c4n4ry" not in str(login_files({"dsn": dsn, **single}, "service", "", FOLDER))


def test_authorities_come_along(tmp_path: Path) -> None:
    path = tmp_path / "authorities.pem"
    path.write_text(PEM, encoding="utf-8")
    for params in (
        {"login_host": "db", "login_db": "x", "ssl_mode": "verify-full", "ssl_rootcert": str(path)},
        {"dsn": f"host=db dbname=x sslmode=verify-full sslrootcert={path}"},
    ):
        files = login_files(params, "service", "", FOLDER)
        assert files == {"dsn": files["dsn"], "ca.crt": PEM}
        assert read(params)["sslrootcert"] == f"{FOLDER}/ca.crt"
    system = {"login_host": "db", "login_db": "x", "ssl_rootcert": "system"}
    assert read(system)["sslrootcert"] == "system"
    assert set(login_files(system, "service", "", FOLDER)) == {"dsn"}
    place = {"login_host": "db", "login_db": "x"}
    for content in (b"no certificate", b"-----BEGIN CERTIFICATE-----\n\xff"):
        path.write_bytes(content)
        with pytest.raises(PlatformError, match="ssl_rootcert: ") as caught:
            login_files({**place, "ssl_rootcert": str(path)}, "service", "", FOLDER)
        assert caught.value.error_class is ErrorClass.INVALID
    with pytest.raises(PlatformError, match="cannot be read"):
        login_files({**place, "ssl_rootcert": "/nonexistent"}, "service", "", FOLDER)


def test_a_dsn_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    """It may lead to a pooler that the deployer's settings say nothing of, but for who is trusted."""
    path = tmp_path / "authorities.pem"
    path.write_text(PEM, encoding="utf-8")
    own = "host=pooler sslmode=verify-full"
    given = {"dsn": f"service=prod sslrootcert={path}"}
    assert login_files(given, "", "", FOLDER, own) == {"dsn": own, "ca.crt": PEM}
    for nothing in ({}, {"ssl_rootcert": "system"}, {"login_host": "/var/run"}):
        assert login_files(nothing, "", "", FOLDER, own) == {"dsn": own}


def test_what_is_not_said_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "from-pg")
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("PGPASSWORD", "c4n4ry")
    monkeypatch.setenv("PGDATABASE", "from-pg")
    monkeypatch.setenv("PGCHANNELBINDING", "require")
    assert read({}) == {
        "host": "from-pg",
        "port": "6000",
        "dbname": "from-pg",
        "channel_binding": "require",
        "user": "service",
        "password": PASSWORD,
    }
    monkeypatch.setenv("LLMOPS_REGISTRY_DSN", "host=from-dsn user=me password=c4n4ry")
    assert read({"dsn": ""})["host"] == "from-dsn"
    assert read({"dsn": "host=given"})["host"] == "given"
    assert read({"login_host": "single"})["host"] == "single"
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    assert "hostaddr" not in read({"login_host": "single"})


@pytest.mark.parametrize(
    "params",
    [{}, {"login_db": "x"}, {"login_host": "/var/run"}, {"dsn": "host=@abstract"}, {"dsn": "host=a,/b"}],
)
def test_pods_reach_no_socket_of_this_machine(params: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="that a pod could reach") as caught:
        login_files(params, "service", "", FOLDER)
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details == {"field": "login_host"}


@pytest.mark.parametrize(
    "params",
    [
        {"login_host": "localhost"},
        {"login_host": "LocalHost."},
        {"login_host": "127.0.0.1"},
        {"login_host": "::ffff:127.0.0.1"},
        {"login_host": "0.0.0.0"},  # noqa: S104
        {"login_host": "localhost.localdomain"},
        {"login_host": "::1"},
        {"dsn": "postgresql://a@db.example.com,127.1.2.3/registry"},
        # A tunnel, with the name that the certificate has.
        {"dsn": "host=db.example.com hostaddr=127.0.0.1 dbname=registry"},
        {"dsn": "host=a.example.com,localhost hostaddr=192.0.2.1, dbname=registry"},
    ],
)
def test_pods_are_not_sent_to_themselves(params: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="is this machine, and in a pod the pod") as caught:
        login_files({"login_db": "registry", **params}, "service", "", FOLDER)
    assert caught.value.details == {"field": "login_host"}
    # Who has a proxy beside the service says so in a DSN.
    own = "host=localhost dbname=registry"
    assert login_files({"login_db": "registry", **params}, "", "", FOLDER, own) == {"dsn": own}


def test_a_service_file_of_this_machine_is_no_place_for_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlatformError, match="service file"):
        login_files({"dsn": "service=prod"}, "service", "", FOLDER)
    monkeypatch.setenv("PGHOST", "dev")
    with pytest.raises(PlatformError, match="login_db: None is missing"):
        login_files({}, "service", "", FOLDER)
    monkeypatch.setenv("PGSERVICE", "prod")
    with pytest.raises(PlatformError, match="service file"):
        login_files({"login_host": "db", "login_db": "x"}, "service", "", FOLDER)


def test_a_broken_dsn_is_not_shown() -> None:
    with pytest.raises(PlatformError, match="cannot be parsed") as caught:
        login_files({"dsn": "host=db password='c4n4ry"}, "service", "", FOLDER)
    assert "c4n4ry" not in str(caught.value)
