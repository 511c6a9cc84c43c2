# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles router and health_check make a DSN for their pods, and it leads to the database."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import pytest
from psycopg2 import sql

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab
from tests.support.playbooks import PlayRunner
from tests.support.postgres import PASSWORD, Server, private_server

USER = "a 'router' \\ of \"ours\""
SECRET = 'own c4n4ry\'\\ "%s" %%'


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """Return a database server with a login user of an odd name and password."""
    with private_server() as running:
        connection = running.connect()
        with connection.cursor() as cursor:
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            cursor.execute(statement.format(sql.Identifier(USER), sql.Literal(SECRET)))
        connection.close()
        yield running


@pytest.mark.parametrize(
    ("role", "name", "folder"),
    [("router", "router", "/etc/llmops-router"), ("health_check", "health-checker", "/etc/llmops-health")],
)
def test_a_login_user_gets_a_dsn_that_works(
    api: ClusterClient,
    lab: Lab,
    namespace: str,
    postgres: Server,
    tmp_path: Path,
    role: str,
    name: str,
    folder: str,
) -> None:
    authorities = (lab.folder / "pki/ca.crt").read_text(encoding="utf-8")
    variables: dict[str, Any] = {
        "ansible_connection": "local",
        "vllm_environment": "staging",
        "vllm_namespace": namespace,
        "vllm_kubeconfig": str(lab.kubeconfig),
        # The port of the DSN is replaced, and the deployer's name and password are not the pods'.
        "registry_dsn": "host=db.example.com port=1 dbname=postgres user=deployer application_name=deployer",
        "registry_port": postgres.port,
        "registry_password": PASSWORD,
        "registry_sslmode": "prefer",
        "registry_sslrootcert": str(lab.folder / "pki/ca.crt"),
        f"{role}_image": "none",
        f"{role}_replicas": 0,
        f"{role}_timeout": 60,
        f"{role}_login_user": USER,
        f"{role}_login_password": SECRET,
    }
    inventory = {"models": {"hosts": {"a-model": {}}, "vars": variables}}
    runner = PlayRunner(tmp_path)
    done = runner.run(f"playbooks/{role}.yml", inventory=inventory, arguments=["--diff", "-vvvv"]).check()
    assert done.changed
    for hidden in ("c4n4ry", "c4n@ry"):
        assert hidden not in done.output
    data = api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")["data"]
    files = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert files["ca.crt"] == authorities
    assert psycopg.conninfo.conninfo_to_dict(files["dsn"]) == {
        "host": "db.example.com",
        "port": str(postgres.port),
        "dbname": "postgres",
        "sslmode": "prefer",
        "sslrootcert": f"{folder}/ca.crt",
        "user": USER,
        "password": SECRET,
    }
    with psycopg.connect(files["dsn"], hostaddr="127.0.0.1") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (USER,)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    container = api.get(path)["spec"]["template"]["spec"]["containers"][0]
    assert f"{folder}/dsn" in [entry.get("value") for entry in container["env"]]
    trusted = {"name": "PGSSLROOTCERT", "value": f"{folder}/ca.crt"}
    assert trusted in container["env"]
    # The way there is open, though the port is no usual one.
    policy = api.get(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}")
    ports = [entry["port"] for rule in policy["spec"]["egress"] for entry in rule["ports"]]
    assert postgres.port in ports
    again = runner.run(f"playbooks/{role}.yml", inventory=inventory).check()
    assert again.changed == []

    # A DSN of its own is left as it is, and finds the authorities all the same.
    variables[f"{role}_dsn"] = "host=pooler sslmode=verify-full"
    runner.run(f"playbooks/{role}.yml", inventory=inventory).check()
    data = api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")["data"]
    files = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert files == {"dsn": "host=pooler sslmode=verify-full", "ca.crt": authorities}
    assert trusted in api.get(path)["spec"]["template"]["spec"]["containers"][0]["env"]

    # So it does in a Secret of the user's, whose name YAML would take for a number.
    variables |= {f"{role}_secret": "2026", f"{role}_secret_keys": ["dsn", "ca.crt"]}
    runner.run(f"playbooks/{role}.yml", inventory=inventory).check()
    assert trusted in api.get(path)["spec"]["template"]["spec"]["containers"][0]["env"]
