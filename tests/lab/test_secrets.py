# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries in every place where a secret may be turn up nowhere else, whether a run succeeds or fails."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import parse_dsn

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.models import fault
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.processes import command_line
from tests.support.site import Site
from tests.support.tls import write_kubeconfig

PASSWORD = "p@ss/canary-pg %41:'\"#ö"


@dataclass
class Sinks:
    """The texts in which a secret must not be, by the name of the place."""

    texts: dict[str, str] = field(default_factory=dict)

    def search(self, secret: str) -> list[str]:
        """Return the places that hold a secret, plain or in a form that anybody can read."""
        forms = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        forms.add(base64.b64encode(secret.encode()).decode().rstrip("="))
        return [place for place, text in self.texts.items() if any(form in text for form in forms)]


@contextmanager
def _watched_command_lines() -> Iterator[set[str]]:
    """Collect all command lines of the machine that can be seen while the block runs."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    try:
                        seen.add(command_line(folder))
                    except OSError:
                        continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@contextmanager
def _role_with_password(dsn: str) -> Iterator[str]:
    """Make a database role whose password needs every kind of quoting; yield a DSN that says it as a URI."""
    where = parse_dsn(dsn)
    role = f"canary_{time.time_ns()}"
    administrator = psycopg2.connect(dsn)
    administrator.autocommit = True
    name = sql.Identifier(role)
    with administrator.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(name), (PASSWORD,))
        cursor.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(name))
        database = sql.Identifier(where["dbname"])
        cursor.execute(sql.SQL("GRANT ALL ON DATABASE {} TO {}").format(database, name))
    try:
        server = f"{where['host']}:{where['port']}"
        yield f"postgresql://{role}:{quote(PASSWORD, safe='')}@{server}/{where['dbname']}"
    finally:
        with administrator.cursor() as cursor:
            cursor.execute(sql.SQL("DROP OWNED BY {}").format(name))
            cursor.execute(sql.SQL("DROP ROLE {}").format(name))
        administrator.close()


@contextmanager
def _administrator_token(api: ClusterClient, namespace: str) -> Iterator[str]:
    """Make a ServiceAccount that may do anything; yield its token."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    api.create(accounts, {"metadata": {"name": "deployer"}})
    subject = {"kind": "ServiceAccount", "name": "deployer", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    api.create(
        bindings, {"metadata": {"name": f"test-{namespace}"}, "subjects": [subject], "roleRef": reference}
    )
    try:
        answer = api.create(f"{accounts}/deployer/token", {"spec": {"expirationSeconds": 600}})
        yield str(answer["status"]["token"])
    finally:
        api.delete(f"{bindings}/test-{namespace}")


@dataclass
class Run:
    """What was played, which secrets it used, and where they could have gone."""

    site: Site
    secrets: dict[str, str]
    results: list[PlayResult]
    sinks: Sinks


@pytest.fixture(scope="module")
def run(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Deploy a good and a broken model with every kind of secret, loudly; again in check mode; and remove."""
    folder = tmp_path_factory.mktemp("secrets")
    temporary = tmp_path_factory.mktemp("temporary")
    with ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace(api, "secrets"))
        dsn = stack.enter_context(fresh_database(lab))
        token = stack.enter_context(_administrator_token(api, namespace))
        secrets = {
            "hugging-face": "hf-canary-0123456789abcdef",
            "endpoint-key": "sk-canary/endpoint+key==",
            "password": PASSWORD,
            "token": token,
            "token-signature": token.rsplit(".", 1)[-1],
        }
        for name in ("hugging-face", "endpoint-key"):
            data = {"metadata": {"name": name}, "stringData": {"token": secrets[name]}}
            api.create(f"/api/v1/namespaces/{namespace}/secrets", data)
        runner = PlayRunner(
            folder,
            {
                "K8S_AUTH_API_KEY": token,
                "TMPDIR": str(temporary),
                "ANSIBLE_HOME": str(temporary / "ansible"),
                "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
            },
        )
        canary_dsn = stack.enter_context(_role_with_password(dsn))
        site = Site(lab, api, namespace, dsn, runner)
        ca = (lab.folder / "pki" / "ca.crt").read_bytes()
        site.variables = {
            "vllm_kubeconfig": str(write_kubeconfig(folder / "anonymous", str(lab.facts["server"]), ca=ca)),
            "registry_dsn": canary_dsn,
            "vllm_api_key_secret": {"name": "endpoint-key", "key": "token"},
        }
        references = {
            "hfToken": {"existingSecret": "hugging-face", "key": "token"},
            "apiKey": {"existingSecret": "endpoint-key", "key": "token"},
        }
        site.models = {
            "good": {"vllm_values": {"secrets": references}},
            "broken": {"vllm_values": {**fault("crash-at-start"), "secrets": references}},
            "mute": {"vllm_values": {**fault("error-200"), "secrets": references}},
        }
        with _watched_command_lines() as command_lines:
            results = [
                site.deploy("-vvvv", "--diff", "--forks", "3"),
                site.deploy("-vvvv", "--diff", "--check", "--limit", "good"),
                site.deploy("-vvvv", "--diff", vllm_capacity_timeout="soon"),
            ]
        yield Run(site, secrets, results, _collect(site, folder, temporary, results, command_lines))


def _collect(
    site: Site, folder: Path, temporary: Path, results: list[PlayResult], command_lines: set[str]
) -> Sinks:
    sinks = Sinks({"process list": "\n".join(command_lines)})
    for number, result in enumerate(results):
        sinks.texts[f"output {number}"] = result.output
        sinks.texts[f"results {number}"] = json.dumps([task.result for task in result.tasks])
    sinks.texts["log"] = (folder / "ansible.log").read_text(encoding="utf-8")
    sinks.texts["rows"] = repr(site.rows())
    for kind in ("api/v1/events", "apis/apps/v1/deployments", "api/v1/configmaps", "api/v1/pods"):
        sinks.texts[kind] = json.dumps(site.objects(kind))
    for secret in site.objects("api/v1/secrets"):
        if secret["type"] == "helm.sh/release.v1":
            packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
            sinks.texts[f"release {secret['metadata']['name']}"] = gzip.decompress(packed).decode()
    for path in [item for item in temporary.rglob("*") if item.is_file()]:
        sinks.texts[str(path)] = path.read_text(encoding="utf-8", errors="replace")
    return sinks


def test_runs_used_the_secrets(run: Run) -> None:
    first, planned, refused = run.results
    assert first.rc != 0
    planned.check()
    assert refused.rc != 0
    statuses = {name: row["deployment_status"] for name, row in run.site.rows().items()}
    assert statuses == {"good": "ready", "broken": "failed", "mute": "failed"}
    releases = [place for place in run.sinks.texts if place.startswith("release ")]
    assert len(releases) == 3
    assert all("endpoint-key" in run.sinks.texts[place] for place in releases)
    assert any("helm" in line and "upgrade" in line for line in run.sinks.texts["process list"].splitlines())


def test_collector_finds_what_is_there() -> None:
    sinks = Sinks({"plain": f"x {PASSWORD} y", "uri": quote(PASSWORD, safe=""), "clean": "nothing"})
    assert sinks.search(PASSWORD) == ["plain", "uri"]


@pytest.mark.parametrize("name", ["hugging-face", "endpoint-key", "password", "token", "token-signature"])
def test_canary_is_nowhere(run: Run, name: str) -> None:
    assert run.sinks.search(run.secrets[name]) == []


def test_no_key_is_left_in_temporary_files(run: Run) -> None:
    texts: dict[str, Any] = run.sinks.texts
    assert not [place for place, text in texts.items() if "PRIVATE KEY" in text]
