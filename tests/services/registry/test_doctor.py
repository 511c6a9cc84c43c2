# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor with a real PostgreSQL and a real Redis: each fault is made on purpose, and named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import platform_doctor_info
from tests.services.registry.conftest import MIGRATIONS, Run
from tests.services.registry.test_database_roles import NO_ROLE, PASSWORD, Logins
from tests.support.listeners import closed_port, silent_port
from tests.support.module_arguments import with_defaults
from tests.support.postgres import Server
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy
from tests.support.tls import Pair
from tests.support.tls_database import tls_database

_READS_MIGRATIONS = b"FROM registry_schema_migrations"

Findings = dict[str, dict[str, str]]
Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def logins(server: Server, database_name: str) -> Iterator[Logins]:
    """Return what makes login users."""
    made = Logins(server, database_name)
    yield made
    made.close()


def examine(**arguments: Any) -> Findings:
    """Return what is found of database and Redis; there is no cluster."""
    given = {
        "kubeconfig": "/nowhere/kubeconfig",
        "environment": "staging",
        "migrations_path": str(MIGRATIONS),
        "helm_binary": "/nowhere/helm",
        # The machine may be busy with other tests.
        "timeout": 30,
        **arguments,
    }
    found = platform_doctor_info.run(with_defaults(platform_doctor_info.ARGUMENT_SPEC, **given), Context())
    return {f"{item['check']} {item['subject']}".rstrip(): item for item in found.result["findings"]}


def test_the_owner_is_told_that_a_deployer_needs_less(dsn: str) -> None:
    found = examine(dsn=dsn)
    told = {name: item["verdict"] for name, item in found.items() if name.startswith("database")}
    assert told == {
        "database access": "pass",
        "database tls": "pass",
        "database schema": "pass",
        "database login": "warn",
        "database isolation": "pass",
    }


def test_a_question_that_hangs_hides_no_other_one(server: Server, dsn: str, database_name: str) -> None:
    """Behind a lock a link dies: nobody says a word on it any more, not even that time is over."""
    with TcpProxy(server.port) as proxy, psycopg2.connect(dsn) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE registry_schema_migrations IN ACCESS EXCLUSIVE MODE")
        through = server.dsn(database_name, port=str(proxy.port), sslmode="disable")
        with ThreadPoolExecutor(1) as pool:
            examined = pool.submit(examine, dsn=through, timeout=4)
            while not examined.done() and not proxy.swallow(_READS_MIGRATIONS):
                time.sleep(0.05)
            found = examined.result(60)
        other.rollback()
    told = {name: item["verdict"] for name, item in found.items() if name.startswith("database")}
    assert told == {
        "database access": "pass",
        "database tls": "pass",
        "database schema": "unknown",
        "database login": "warn",
        "database isolation": "pass",
    }


@pytest.mark.parametrize(
    ("group", "verdict"),
    [
        ("llmops_deployer_staging", "pass"),
        ("llmops_deployer_production", "fail"),
        ("llmops_deployer", "pass"),
        (NO_ROLE, "fail"),
    ],
)
def test_logins(schema: Run, logins: Logins, group: str, verdict: str) -> None:
    schema(environments=["staging", "production"])
    found = examine(dsn=logins.dsn(group))
    assert found["database login"]["verdict"] == verdict
    # Who may not read what was applied does not know it.
    assert found["database schema"]["verdict"] == ("unknown" if group == NO_ROLE else "pass")
    assert PASSWORD not in str(found["database access"])


@pytest.mark.parametrize(
    ("mode", "authority", "verdict"),
    [
        ("disable", False, "fail"),
        ("require", False, "fail"),
        # For libpq an authority makes it the same as verify-ca.
        ("require", True, "pass"),
        ("verify-ca", True, "pass"),
    ],
)
def test_the_way_to_a_database_of_production(
    server: Server, database_name: str, tmp_path: Path, mode: str, authority: bool, verdict: str
) -> None:
    """It is told by libpq's end of it: the server itself speaks no TLS, and sees a client on its machine."""
    pem = Pair.issue("registry").write(tmp_path, "registry")
    # Another name than that of this machine, as a database elsewhere has.
    where = {"host": "registry.example", "hostaddr": "127.0.0.1", "sslmode": mode}
    where["sslrootcert"] = str(pem if authority else tmp_path / "nothing")
    with tls_database("127.0.0.1", server.port, pem) as tls_port:
        port = server.port if mode == "disable" else tls_port
        found = examine(dsn=server.dsn(database_name, port=str(port), **where), environment="production")
    assert found["database access"]["verdict"] == "pass"
    assert found["database tls"]["verdict"] == verdict
    # What is wrong with the way hides nothing.
    assert found["database schema"]["verdict"] == "pass"


def test_a_schema_that_is_behind(dsn: str, query: Query) -> None:
    newest = "(SELECT max(version) FROM registry_schema_migrations)"
    query(f"DELETE FROM registry_schema_migrations WHERE version = {newest}")  # noqa: S608
    found = examine(dsn=dsn)["database schema"]
    assert found["verdict"] == "fail"
    assert "llmops.platform.registry" in found["advice"]


def test_a_database_without_a_schema(server: Server) -> None:
    found = examine(dsn=server.dsn("postgres"))
    assert found["database schema"]["verdict"] == "fail"
    assert "none yet" in found["database schema"]["seen"]


def test_others_may_create_in_the_schema(dsn: str, query: Query) -> None:
    query("GRANT CREATE ON SCHEMA public TO PUBLIC")
    found = examine(dsn=dsn)["database isolation"]
    assert found["verdict"] == "fail"
    assert "REVOKE CREATE" in found["advice"]


def test_a_password_that_is_wrong(server: Server, logins: Logins, database_name: str) -> None:
    user = logins.make(NO_ROLE)
    found = examine(dsn=server.dsn(database_name, user=user, password="hunter2"))
    assert found["database access"]["verdict"] == "fail"
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("silent", [False, True])
def test_a_database_that_is_away_costs_its_time_and_no_more(silent: bool) -> None:
    """Nothing listens there, or somebody takes connections and says nothing."""
    with silent_port() as port:
        began = time.monotonic()
        found = examine(
            dsn=f"postgresql://u@127.0.0.1:{port if silent else closed_port()}/registry", timeout=5
        )
        assert time.monotonic() - began < 8
    assert found["database access"]["verdict"] == "fail"
    assert found["tools Python"]["verdict"] == "pass"


def test_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        found = examine(redis_url=server.url)
        assert found["redis"]["verdict"] == found["redis protection"]["verdict"] == "pass"
        # It has no password, and says so.
        refused = examine(redis_url=f"redis://:hunter2@127.0.0.1:{server.port}")["redis"]
        assert refused["verdict"] == "fail"
        assert "hunter2" not in str(refused)
    gone = examine(redis_url=f"redis://127.0.0.1:{closed_port()}")["redis"]
    # Routers are elsewhere, and may reach what this machine does not.
    assert gone["verdict"] == "unknown"


def test_a_redis_that_anybody_reaches() -> None:
    found = examine(redis_url="redis://redis.invalid", tier="production")
    assert found["redis"]["verdict"] == "unknown"
    assert found["redis protection"]["verdict"] == "fail"
