# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router as pods: two replicas behind a Service, in a namespace that admits only restricted pods.

Everything is made by the collection's own playbooks; requests go to the Service's address, as clients' do.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.load import Answer, Load
from tests.support.playbooks import PlayResult, PlayRunner, RunningPlay
from tests.support.promtool import promtool
from tests.support.site import Site

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
PODS = "app.kubernetes.io/name=llmops-router"
#: Seconds within which every request succeeds again after a replica was killed.
KILL_WINDOW_S = 4.0


class RouterSite(Site):
    """A namespace with one model and the router, which has the rights of its own database role only."""

    def play(self, playbook: str, *arguments: str, **extra_vars: Any) -> PlayResult:
        """Play one of the collection's playbooks to its end."""
        return self.begin(playbook, *arguments, **extra_vars).wait(120)

    def begin(self, playbook: str, *arguments: str, **extra_vars: Any) -> RunningPlay:
        """Start one of the collection's playbooks."""
        return self.runner.start(
            f"playbooks/{playbook}.yml",
            inventory=self.inventory(),
            arguments=arguments,
            extra_vars=extra_vars,
        )

    def url(self) -> str:
        """Return the address of the router's Service."""
        service = self.api.get(f"/api/v1/namespaces/{self.namespace}/services/router")
        return f"http://{service['spec']['clusterIP']}"

    def pods(self) -> list[dict[str, Any]]:
        """Return the router's pods that are not on their way out."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        pods = self.api.get(path, {"labelSelector": PODS})["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self) -> list[dict[str, Any]]:
        """Return those of them that are ready."""
        return [
            pod
            for pod in self.pods()
            if any(
                item["type"] == "Ready" and item["status"] == "True" for item in pod["status"]["conditions"]
            )
        ]


def router_dsn(lab: Lab, dsn: str) -> str:
    """Return the lab's DSN of the router, for another database of the server."""
    own = urlsplit((lab.folder / "router.dsn").read_text().strip())
    (name,) = [word.removeprefix("dbname=") for word in dsn.split() if word.startswith("dbname=")]
    return urlunsplit(own._replace(path=f"/{name}"))


@pytest.fixture(scope="module")
def site(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterSite]:
    """Deploy a model and the router, whose image is that of this checkout."""
    runner = PlayRunner(tmp_path_factory.mktemp("router"))
    runner.run("playbooks/lab.yml").check()
    with fresh_namespace(api, "router") as namespace, fresh_database(lab) as dsn:
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
        made = RouterSite(lab, api, namespace, dsn, runner)
        made.models = {"llama": {"vllm_model": MODEL}}
        made.variables = {
            "router_image": "llmops.local/router:0.1.0",
            "router_image_pull_policy": "Never",
            "router_dsn": router_dsn(lab, dsn),
            "router_redis_url": (lab.folder / "redis.url").read_text().strip(),
            "router_registry_ports": [15432, 16379],
            "router_drain_delay_s": 3,
            "router_settings": {"redis_prefix": namespace},
            "router_resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }
        made.deploy().check()
        made.play("router").check()
        yield made


def ask(url: str, model: str = MODEL, key: str = "") -> tuple[int, dict[str, Any]]:
    """Ask for a completion over a connection of its own; return status and body."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=4)) as connection:
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


class FreshConnections:
    """Asks again and again, each time over a new connection, which is where a Service may send it wrong."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answers: list[Answer] = []

    def __enter__(self) -> FreshConnections:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(0.03):
            started = time.monotonic()
            try:
                status, _body = ask(self._url)
                detail = ""
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, detail = 0, repr(error)
            self.answers.append(Answer("fresh", MODEL, started, time.monotonic(), status, detail))


def process_of(pod: dict[str, Any]) -> int:
    """Return the process of the router in a pod of the lab's real node, which is this machine."""
    marks = {pod["metadata"]["uid"], pod["metadata"]["uid"].replace("-", "_")}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = b"llmops_router" in (folder / "cmdline").read_bytes()
            if ours and any(mark in (folder / "cgroup").read_text() for mark in marks):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"{pod['metadata']['name']} has no process")


def wait_until(what: str, check: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until the check holds."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.1)


def test_two_replicas_serve_the_model_by_name(site: RouterSite) -> None:
    pods = site.pods()
    assert len(pods) == 2
    for url in (site.url(), *(f"http://{pod['status']['podIP']}:8080" for pod in pods)):
        status, answer = ask(url)
        assert status == 200
        assert answer["model"] == MODEL
    status, answer = ask(site.url(), "nobody/has-this")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


def test_a_pod_that_does_not_work_holds_no_node(site: RouterSite) -> None:
    path = f"/apis/policy/v1/namespaces/{site.namespace}/poddisruptionbudgets/router"
    assert site.api.get(path)["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_again_changes_nothing(site: RouterSite) -> None:
    assert site.play("router").check().changed == []


def test_check_mode_foretells_and_nothing_shows_a_password(site: RouterSite) -> None:
    dsn = site.variables["router_dsn"]
    password = urlsplit(dsn).password
    assert password
    # The Secret would change too, so that its values are in the diff, if they were shown.
    planned = site.play(
        "router", "--check", "--diff", "-vvvv", router_replicas=3, router_dsn=f"{dsn}?application_name=router"
    )
    planned.check()
    (task,) = [task for task in planned.find(action="kubernetes_objects") if task.status == "ok"]
    assert [entry for entry in task.result["objects"] if entry["action"] != "none"] == [
        {"kind": "Secret", "name": "router", "action": "update"},
        {"kind": "Deployment", "name": "router", "action": "update"},
    ]
    assert password not in planned.output
    assert base64.b64encode(dsn.encode()).decode()[:-4] not in planned.output
    deployment = site.api.get(f"/apis/apps/v1/namespaces/{site.namespace}/deployments/router")
    assert deployment["spec"]["replicas"] == 2
    assert password not in json.dumps(deployment)


def test_the_api_server_takes_every_option(site: RouterSite) -> None:
    team = {"namespaceSelector": {"matchLabels": {"team": "search"}}}
    elsewhere = {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 8000}]}
    planned = site.play(
        "router",
        "--check",
        "--diff",
        router_client_peers=[team],
        router_image_pull_secrets=["pull"],
        router_node_selector={"pool": "cpu"},
        router_tolerations=[{"key": "cpu", "operator": "Exists"}],
        router_priority_class="system-cluster-critical",
        router_allowed_endpoints=[".models.example.com", "192.0.2.0/24"],
        router_egress=[elsewhere],
        router_listen_dsn="postgresql://direct/registry",
        router_monitoring_labels={"release": "prometheus"},
        router_alert_labels={"team": "platform"},
        router_settings={"access_log": True, "idle_timeout_s": 300},
    ).check()
    (task,) = [task for task in planned.find(action="kubernetes_objects") if task.status == "ok"]
    after = {item["kind"]: item for item in yaml.safe_load_all(task.result["diff"]["after"])}
    pod = after["Deployment"]["spec"]["template"]["spec"]
    variables = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
    assert variables["LLMOPS_ROUTER_ACCESS_LOG"] == "True"
    assert variables["LLMOPS_ROUTER_ALLOWED_ENDPOINTS"] == ".models.example.com,192.0.2.0/24"
    assert variables["LLMOPS_ROUTER_LISTEN_DSN_FILE"] == "/etc/llmops-router/listen_dsn"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["nodeSelector"] == {"pool": "cpu"}
    assert pod["tolerations"] == [{"key": "cpu", "operator": "Exists"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    admitted = after["NetworkPolicy"]["spec"]["ingress"][0]["from"]
    assert team in admitted
    assert len(admitted) == 3, "clients, Prometheus, the health checker"
    assert after["NetworkPolicy"]["spec"]["egress"][-1] == {
        "to": elsewhere["to"],
        "ports": [{"port": 8000, "protocol": "TCP"}],
    }
    assert after["ServiceMonitor"]["metadata"]["labels"]["release"] == "prometheus"
    assert {rule["labels"]["team"] for rule in after["PrometheusRule"]["spec"]["groups"][0]["rules"]} == {
        "platform"
    }


def test_alerts_are_valid_and_use_metrics_that_there_are(site: RouterSite, tmp_path: Path) -> None:
    path = f"/apis/monitoring.coreos.com/v1/namespaces/{site.namespace}/prometheusrules/router"
    groups = site.api.get(path)["spec"]["groups"]
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": groups}))
    judged = subprocess.run(
        [promtool(), "check", "rules", "--lint=all", "--lint-fatal", rules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr + judged.stdout
    pod = f"{site.pods()[0]['status']['podIP']}:8080"
    # Series come with the first request.
    assert ask(f"http://{pod}")[0] == 200
    with closing(http.client.HTTPConnection(pod, timeout=5)) as connection:
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
    used = {name for rule in groups[0]["rules"] for name in re.findall(r"llmops_router_\w+", rule["expr"])}
    there = set(re.findall(r"^(llmops_router_\w+)[ {]", metrics, re.MULTILINE))
    assert used
    assert used <= there


def test_a_rolling_restart_under_load_loses_no_request(site: RouterSite) -> None:
    before = {pod["metadata"]["name"] for pod in site.pods()}
    url = site.url()
    with Load({"service": url}, [MODEL]) as load, FreshConnections(url) as fresh:
        restarted = site.play("router", router_pod_annotations={"restarted": "once"}).check()
        assert restarted.changed

        def replaced() -> bool:
            path = f"/api/v1/namespaces/{site.namespace}/pods"
            names = {pod["metadata"]["name"] for pod in site.api.get(path, {"labelSelector": PODS})["items"]}
            return len(names) == 2 and not names & before

        wait_until("the old pods are gone", replaced)
    answers = load.answers + fresh.answers
    assert len(answers) > 100
    assert [answer for answer in answers if answer.status != 200] == []


def test_requests_recover_after_a_replica_was_killed(site: RouterSite) -> None:
    victim = site.pods()[0]
    url = site.url()
    with Load({"service": url}, [MODEL]) as load, FreshConnections(url) as fresh:
        time.sleep(0.5)
        killed = time.monotonic()
        # Nobody is told: no readiness that ends first, no port that closes in order.
        os.kill(process_of(victim), signal.SIGKILL)
        time.sleep(KILL_WINDOW_S + 1)
    answers = load.answers + fresh.answers
    failed = [answer for answer in answers if answer.status != 200]
    late = [answer for answer in failed if answer.started > killed + KILL_WINDOW_S]
    assert late == []
    assert [answer for answer in failed if answer.ended < killed] == []
    assert any(answer.started > killed + KILL_WINDOW_S for answer in answers)


def test_a_disabled_model_is_gone_from_both_replicas(site: RouterSite) -> None:
    wait_until("two replicas", lambda: len(site.ready_pods()) == 2)
    disabled = site.play("disable", registration_all=True).check()
    (task,) = disabled.find(action="registry_entry")
    pods = site.ready_pods()
    text = json.dumps(task.result)
    for pod in pods:
        assert pod["metadata"]["name"] in text, "each replica confirmed"
        status, answer = ask(f"http://{pod['status']['podIP']}:8080")
        assert (status, answer["error"]["code"]) == (404, "model_disabled")
    # A deployment does not give back what a person took away.
    site.deploy().check()
    assert ask(site.url())[0] == 404
    site.play("enable").check()
    wait_until("the model is back", lambda: ask(site.url())[0] == 200, 5)


@pytest.mark.full
@pytest.mark.parametrize("missing", ["router_image", "router_dsn"])
def test_what_nobody_can_guess_is_asked_for(site: RouterSite, missing: str) -> None:
    refused = site.play("router", "--check", **{missing: ""})
    assert refused.rc != 0
    assert f"{missing}: is empty." in refused.output


@pytest.mark.full
def test_keys_of_clients_are_asked_for(site: RouterSite) -> None:
    digest = hashlib.sha256(b"our-key").hexdigest()
    keys = [{"name": "team", "sha256": digest, "models": [MODEL]}]
    site.play("router", router_api_keys=keys, router_upstream_keys={"*": "engine-key"}).check()
    assert ask(site.url())[0] == 401
    assert ask(site.url(), key="another")[0] == 401
    assert ask(site.url(), key="our-key")[0] == 200
    assert ask(site.url(), "nobody/has-this", key="our-key")[0] == 403


@pytest.mark.full
def test_a_secret_of_ones_own_is_used(site: RouterSite) -> None:
    secrets = f"/api/v1/namespaces/{site.namespace}/secrets"
    data = {"dsn": site.variables["router_dsn"]}
    site.api.create(secrets, {"metadata": {"name": "own"}, "stringData": data})
    site.play("router", router_secret="own", router_dsn="", router_redis_url="").check()
    assert ask(site.url())[0] == 200
    assert site.api.find(f"{secrets}/router") is None
    assert site.api.find(f"{secrets}/own") is not None


def test_absent_removes_all_and_leaves_what_is_not_its_own(site: RouterSite) -> None:
    secrets = f"/api/v1/namespaces/{site.namespace}/secrets"
    site.api.create(secrets, {"metadata": {"name": "foreign"}})
    site.play("router", router_state="absent").check()
    for path in ("apis/apps/v1/deployments", "api/v1/services", "apis/networking.k8s.io/v1/networkpolicies"):
        assert "router" not in {item["metadata"]["name"] for item in site.objects(path)}
    assert "foreign" in {item["metadata"]["name"] for item in site.objects("api/v1/secrets")}
    assert site.play("router", router_state="absent").check().changed == []
