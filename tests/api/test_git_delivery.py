# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploy, promote and roll back through Git, with Argo CD's own definition and somebody who plays Argo CD."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import (
    registry_schema,
    vllm_deployment,
    vllm_promotion,
    vllm_rollback,
)
from tests.support.answering_pods import answering_pods
from tests.support.applications import applications
from tests.support.argo_player import ArgoPlayer
from tests.support.argocd import argocd_definitions
from tests.support.argocd_server import running_argocd
from tests.support.chart import CHART
from tests.support.git_server import Bare
from tests.support.lab import Lab
from tests.support.model_server import wait_until
from tests.support.models import QUICK_VALUES, fault
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.postgres import Server, private_server
from tests.support.served_repository import git_repository

MODEL = "org/Model-7B"
MIGRATIONS = ROOT / "roles/registry/files/migrations"
Values = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def definition(api: ClusterClient) -> Iterator[None]:
    """Install Argo CD's own definition of Applications."""
    with argocd_definitions(api):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a database server."""
    with private_server() as running:
        yield running


def defaults(specification: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    assert set(arguments) <= set(specification), "an argument that the module does not have"
    return {name: option.get("default") for name, option in specification.items()} | arguments


def variable(value: str) -> Values:
    """Return values that make another pod."""
    return {"model": {"extraEnv": [{"name": "VARIANT", "value": value}]}}


class World:
    """A registry, a repository, Argo CD's namespace, and one namespace an environment."""

    def __init__(
        self, lab: Lab, api: ClusterClient, dsn: str, bare: Bare, player: ArgoPlayer, argo: str
    ) -> None:
        self.lab, self.api, self.dsn, self.bare, self.player, self.argo = lab, api, dsn, bare, player, argo
        self.namespaces: dict[str, str] = {}
        self.told: list[str] = []
        self.gitops: dict[str, Any] = {"apply_application": True}

    def run(self, module: Any, environment: str, *, check: bool = False, **arguments: Any) -> Outcome:
        """Run a module on the model in an environment."""
        context = Context(check_mode=check, diff=True, progress=self._tell)
        done: Outcome = module.run(self.given(module, environment, **arguments), context)
        return done

    def _tell(self, line: str) -> None:
        self.told.append(line)
        print(line)

    def given(self, module: Any, environment: str, **arguments: Any) -> dict[str, Any]:
        """Return the arguments of a module on the model in an environment."""
        given = {
            "model": MODEL,
            "environment": environment,
            "namespace": self.namespaces[environment],
            "dsn": self.dsn,
            "kubeconfig": str(self.lab.kubeconfig),
            "helm_binary": str(self.lab.binary("helm")),
            "delivery": "argocd",
            "gitops": defaults(
                module.ARGUMENT_SPEC["gitops"]["options"],
                {"repository": self.bare.url, "application_namespace": self.argo, **self.gitops},
            ),
            "verification": {"access": "proxy", "api_key_secret": None, "max_latency_s": 5, "timeout": 30},
            "routers_timeout": 1,
            "drain_timeout": 1,
            "timeout": 60,
            **arguments,
        }
        return defaults(module.ARGUMENT_SPEC, given)

    def deploy(self, environment: str, values: Values, **arguments: Any) -> Outcome:
        """Deploy the model."""
        chart: dict[str, Any] = {"chart_path": str(CHART), "chart_values": {**QUICK_VALUES, **values}}
        return self.run(vllm_deployment, environment, **chart, **arguments)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL in the registry, as an independent witness."""
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def variant(self, environment: str) -> str:
        """Return what the Deployment on the cluster says."""
        name = release_name(MODEL, environment)
        path = f"/apis/apps/v1/namespaces/{self.namespaces[environment]}/deployments/{name}"
        containers = self.api.get(path)["spec"]["template"]["spec"]["containers"]
        return str(next(one["value"] for one in containers[0]["env"] if one["name"] == "VARIANT"))

    def application(self, environment: str) -> dict[str, Any] | None:
        """Return the Application on the cluster."""
        return self.api.find(f"{applications(self.argo)}/{release_name(MODEL, environment)}")


Make = Callable[[Bare, str], World]


@pytest.fixture
def make_world(
    lab: Lab,
    api: ClusterClient,
    server: Server,
    make_namespace: Callable[[str], str],
    model_server_binary: Path,
    tmp_path: Path,
) -> Iterator[Make]:
    """Return a function that makes an empty world of a repository and Argo CD's namespace; pods answer."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    administrator.close()
    dsn = server.dsn(name)
    arguments = {"dsn": dsn, "migrations_path": str(MIGRATIONS)}
    registry_schema.run(defaults(registry_schema.ARGUMENT_SPEC, arguments), Context())
    namespaces = {one: make_namespace(one[:4]) for one in ("staging", "production")}

    def make(bare: Bare, argo: str) -> World:
        player = ArgoPlayer(api, bare, argo, lab.binary("helm"), tmp_path / "commits")
        found = World(lab, api, dsn, bare, player, argo)
        found.namespaces = namespaces
        return found

    address, log = lab.facts["node_address"], tmp_path / "server.log"
    with answering_pods(api, list(namespaces.values()), model_server_binary, MODEL, address, log):
        yield make


@pytest.fixture
def world(make_world: Make, make_namespace: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    """Return an empty world in which somebody plays Argo CD."""
    found = make_world(Bare.empty(tmp_path / "models.git"), make_namespace("argo"))
    with found.player.running():
        yield found


def test_deploy_again_preview_roll_back_and_remove(world: World) -> None:
    planned = world.deploy("staging", variable("a"), check=True)
    assert planned.changed
    assert (world.bare.head(), world.application("staging")) == ("", None)
    first = world.deploy("staging", variable("a"))
    assert (first.result["release"]["action"], first.result["release"]["revision"]) == ("install", 1)
    assert first.result["entry"]["status"] == "ready"
    assert "argocd install" in [step["name"] for step in first.result["steps"]]
    head = world.bare.head()
    again = world.deploy("staging", variable("a"))
    assert (again.changed, world.bare.head()) == (False, head)

    planned = world.deploy("staging", variable("b"), check=True)
    assert (planned.changed, world.bare.head(), world.variant("staging")) == (True, head, "a")
    assert "VARIANT" in str(planned.diff)
    second = world.deploy("staging", variable("b"))
    assert (second.result["release"]["revision"], world.variant("staging")) == (2, "b")

    back = world.run(vllm_rollback, "staging", reason="it is slow")
    assert (back.changed, world.variant("staging")) == (True, "a")
    assert world.bare.subjects()[0].endswith("to revision 1")
    assert back.result["release"]["revision"] == 3
    still = world.run(vllm_rollback, "staging")
    assert (still.changed, world.variant("staging")) == (False, "a")
    kept = world.query("SELECT release_revision FROM deployment_manifests ORDER BY id")
    assert kept == [(1,), (2,), (3,)]

    gone = world.run(vllm_deployment, "staging", state="absent")
    assert gone.changed
    assert world.application("staging") is None
    assert world.api.get(f"/api/v1/namespaces/{world.namespaces['staging']}/pods")["items"] == []
    # Charts stay for others, and the folder that Argo CD follows.
    stays = ("charts/", "applications/.gitkeep")
    assert not [path for path in world.bare.files() if not path.startswith(stays)]
    assert not world.run(vllm_deployment, "staging", state="absent").changed


def test_promote_to_production_where_we_start_the_sync(world: World) -> None:
    world.deploy("staging", variable("a"))
    source = {
        name: option.get("default")
        for name, option in vllm_promotion.ARGUMENT_SPEC["source"]["options"].items()
    } | {"environment": "staging", "access": "proxy"}
    gates = {
        name: option.get("default")
        for name, option in vllm_promotion.ARGUMENT_SPEC["gates"]["options"].items()
    } | {"soak_s": 0, "completions": 1, "max_latency_s": 5, "metrics": "none", "approval": False}
    arguments: dict[str, Any] = {
        "source": source,
        "gates": gates,
        "watch": {"period_s": 0.0, "interval_s": 1.0},
        "chart_path": str(CHART),
        # No volume can be bound here.
        "chart_values": {**QUICK_VALUES, "persistence": {"enabled": False}, "replicas": 1},
    }
    done = world.run(vllm_promotion, "production", **arguments)
    assert (done.changed, world.variant("production")) == (True, "a")
    item = world.application("production")
    assert item is not None
    assert "automated" not in item["spec"]["syncPolicy"]
    assert any("starting a sync" in line for line in world.told)
    rows = world.query(
        "SELECT deployment_environment, deployment_status FROM model_registry_entries ORDER BY 1"
    )
    assert rows == [("production", "ready"), ("staging", "ready")]
    origin = "SELECT source_environment FROM deployment_manifests WHERE deployment_environment = 'production'"
    assert world.query(origin) == [("staging",)]
    head = world.bare.head()
    assert not world.run(vllm_promotion, "production", **arguments).changed
    assert world.bare.head() == head


def test_an_update_that_does_not_serve_goes_back_by_a_commit(world: World) -> None:
    world.deploy("staging", variable("a"))
    with pytest.raises(PlatformError) as caught:
        world.deploy("staging", fault("http-500"), rollback_on_failure=True)
    assert caught.value.error_class is ErrorClass.VERIFICATION
    assert "It was rolled back" in caught.value.message
    assert (caught.value.details["rolled_back"]["revision"], world.variant("staging")) == (3, "a")
    assert [subject.partition(": ")[2].split()[0] for subject in world.bare.subjects()] == [
        "restore",
        "write",
        "write",
    ]
    assert world.query("SELECT deployment_status FROM model_registry_entries") == [("ready",)]
    assert world.query("SELECT outcome FROM operations ORDER BY started_at DESC LIMIT 1") == [
        ("rolled_back",)
    ]


def test_a_rival_s_commits_are_in_the_way_of_a_push_and_no_news_for_the_target(world: World) -> None:
    world.bare.commit("README.md", "models")
    world.bare.race(2)
    first = world.deploy("staging", variable("a"))
    assert first.changed
    assert world.bare.subjects().count("rival") == 2
    # The branch has gone on, and Argo CD with it, by what is not the target's.
    world.bare.commit("another.txt", "x")
    again = world.deploy("staging", variable("a"))
    assert not again.changed


def test_what_was_pushed_and_not_synced_is_gone_on_with(world: World) -> None:
    world.deploy("staging", variable("a"))
    world.player.asleep.set()
    world.gitops["sync_timeout"] = 2
    with pytest.raises(PlatformError) as caught:
        world.deploy("staging", variable("b"))
    assert caught.value.error_class is ErrorClass.TIMEOUT
    head = world.bare.head()
    assert world.variant("staging") == "a"
    assert world.query("SELECT deployment_status FROM model_registry_entries") == [("ready",)]
    world.player.asleep.clear()
    world.gitops["sync_timeout"] = 60
    done = world.deploy("staging", variable("b"))
    assert (done.changed, world.variant("staging"), world.bare.head()) == (True, "b", head)
    assert done.result["release"]["revision"] == 2


def test_a_run_that_was_killed_after_its_push_is_gone_on_with(world: World, tmp_path: Path) -> None:
    world.deploy("staging", variable("a"))
    before = world.bare.head()
    world.player.asleep.set()
    chart = {"chart_path": str(CHART), "chart_values": {**QUICK_VALUES, **variable("b")}, "lock_ttl": 2}
    arguments = tmp_path / "arguments.json"
    arguments.write_text(json.dumps(world.given(vllm_deployment, "staging", **chart)))
    with subprocess.Popen([sys.executable, "-c", _RUN, str(arguments)], env=_PATHS) as process:
        try:
            wait_until(lambda: world.bare.head() != before or process.poll() is not None, 60)
        finally:
            process.kill()
    pushed = world.bare.head()
    assert pushed != before
    assert world.variant("staging") == "a"
    world.player.asleep.clear()
    done = world.deploy("staging", variable("b"), lock_timeout=20)
    assert (world.variant("staging"), world.bare.head()) == ("b", pushed)
    assert done.result["release"]["revision"] == 2
    outcomes = "SELECT outcome FROM operations ORDER BY started_at"
    assert world.query(outcomes) == [("succeeded",), ("interrupted",), ("succeeded",)]


_PATHS = {**os.environ, "PYTHONPATH": str(ROOT / "build/collections")}
_RUN = """
import json, sys
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_deployment
vllm_deployment.run(json.load(open(sys.argv[1])), Context())
"""


def test_a_sync_window_is_waited_for(world: World) -> None:
    world.player.deny.set()
    threading.Timer(8, world.player.deny.clear).start()
    done = world.deploy("staging", variable("a"))
    assert done.changed
    assert any("sync window" in line for line in world.told)


def test_a_change_by_hand_is_told_and_set_back(world: World) -> None:
    world.deploy("staging", variable("a"))
    # Who watches by hand, as in production.
    world.gitops["automated"] = False
    world.deploy("staging", variable("b"))
    name, namespace = release_name(MODEL, "staging"), world.namespaces["staging"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    container = {"name": "vllm", "env": [{"name": "VARIANT", "value": "by hand"}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    world.api.patch(path, body, {"fieldManager": "kubectl-edit"}, "application/strategic-merge-patch+json")
    planned = world.deploy("staging", variable("b"), check=True)
    assert planned.changed
    assert "VARIANT" in str(planned.result["release"]["drift"])
    head = world.bare.head()
    done = world.deploy("staging", variable("b"))
    assert (done.changed, world.variant("staging"), world.bare.head()) == (True, "b", head)


def test_who_brings_the_application_is_waited_for(world: World) -> None:
    world.gitops |= {"apply_application": False, "sync_timeout": 3}
    with pytest.raises(PlatformError, match="the Application to be there") as caught:
        world.deploy("staging", variable("a"))
    assert caught.value.error_class is ErrorClass.TIMEOUT
    world.player.brings.set()
    world.gitops |= {"sync_timeout": 60, "cascade": False}
    assert world.deploy("staging", variable("a")).changed
    # Its objects would stay. Nothing is taken from clients for that.
    with pytest.raises(PlatformError, match="keeps the objects") as caught:
        world.run(vllm_deployment, "staging", state="absent")
    assert caught.value.error_class is ErrorClass.INVALID
    assert world.query("SELECT deployment_status FROM model_registry_entries") == [("ready",)]
    pods = f"/api/v1/namespaces/{world.namespaces['staging']}/pods"
    before = {pod["metadata"]["uid"] for pod in world.api.get(pods)["items"]}
    # What it says to do, done: only the Application is another one.
    world.gitops["cascade"] = True
    assert world.deploy("staging", variable("a")).changed
    assert not world.deploy("staging", variable("a")).changed
    assert {pod["metadata"]["uid"] for pod in world.api.get(pods)["items"]} == before
    assert world.run(vllm_deployment, "staging", state="absent").changed
    assert world.application("staging") is None


def test_one_way_is_refused_where_the_other_one_delivers(world: World) -> None:
    world.deploy("staging", variable("a"))
    for arguments in ({}, {"state": "absent"}):
        with pytest.raises(PlatformError, match="by Argo CD") as caught:
            world.deploy("staging", variable("a"), delivery="helm", **arguments)
        assert caught.value.error_class is ErrorClass.INVALID
    world.run(vllm_deployment, "staging", state="absent")
    world.deploy("staging", variable("a"), delivery="helm")
    with pytest.raises(PlatformError, match="a release of Helm") as caught:
        world.deploy("staging", variable("a"))
    assert caught.value.error_class is ErrorClass.INVALID
    # What it says to do, done: Argo CD takes the objects over as they are.
    secrets = f"/api/v1/namespaces/{world.namespaces['staging']}/secrets"
    for secret in world.api.get(secrets)["items"]:
        if secret["type"] == "helm.sh/release.v1":
            world.api.delete(f"{secrets}/{secret['metadata']['name']}")
    pods = f"/api/v1/namespaces/{world.namespaces['staging']}/pods"
    before = {pod["metadata"]["uid"] for pod in world.api.get(pods)["items"]}
    assert world.deploy("staging", variable("a")).changed
    assert {pod["metadata"]["uid"] for pod in world.api.get(pods)["items"]} == before


def test_playbooks_take_the_variables_of_role_gitops(world: World, play: PlayRunner) -> None:
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_model": MODEL,
        "vllm_environment": "staging",
        "vllm_namespace": world.namespaces["staging"],
        "vllm_kubeconfig": str(world.lab.kubeconfig),
        "vllm_helm_binary": str(world.lab.binary("helm")),
        "vllm_environment_values": QUICK_VALUES,
        "vllm_access": "proxy",
        "vllm_max_latency_s": 5,
        "vllm_delivery": "argocd",
        "gitops_repository": world.bare.url,
        "gitops_path": "models",
        "gitops_application_namespace": world.argo,
        "gitops_apply_application": True,
        "gitops_automated": False,
        "registry_dsn": world.dsn,
    }
    inventory = {"models": {"hosts": {"model-7b": {}}, "vars": shared}}
    for value in ("a", "b"):
        shared["vllm_values"] = variable(value)
        deployed = play.run("playbooks/deploy.yml", inventory=inventory).check()
        assert len(deployed.changed) == 1
    arguments = ["--limit", "model-7b", "-e", "reason='answers are cut off'"]
    back = play.run("playbooks/rollback.yml", inventory=inventory, arguments=arguments).check()
    assert len(back.changed) == 1
    assert world.variant("staging") == "a"
    assert "answers are cut off" in world.bare.git("log", "-1", "--format=%B", "main")
    assert all(path.startswith("models/") for path in world.bare.files())


@pytest.mark.full
def test_a_real_argo_cd_delivers_and_goes_back(
    lab: Lab,
    api: ClusterClient,
    make_world: Make,
    make_namespace: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, argo = tmp_path_factory.mktemp("argocd"), make_namespace("argo")
    with (
        argocd_definitions(api),
        git_repository(folder) as served,
        running_argocd(lab, api, argo, folder),
    ):
        world = make_world(Bare(folder / "served/site.git"), argo)
        world.gitops["source_repository"] = served.url
        assert world.deploy("staging", variable("a")).changed
        assert world.deploy("staging", variable("b")).changed
        assert world.variant("staging") == "b"
        assert not world.deploy("staging", variable("b")).changed
        assert world.run(vllm_rollback, "staging").changed
        assert world.variant("staging") == "a"
        # Nobody but us starts a sync.
        world.gitops["automated"] = False
        assert world.deploy("staging", variable("c")).changed
        assert world.variant("staging") == "c"
        assert world.run(vllm_deployment, "staging", state="absent").changed
        assert world.application("staging") is None
