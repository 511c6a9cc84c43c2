# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running lab keeps what it promises."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.lab import Lab
from tests.support.lab_runs import lab_run, phase, pod, wait
from tests.support.playbooks import PlayRunner


@pytest.mark.usefixtures("lab")
def test_a_second_start_changes_nothing_and_takes_seconds(play: PlayRunner) -> None:
    play.run("playbooks/lab.yml").check()
    again = play.run("playbooks/lab.yml").check()
    assert again.changed == []
    assert again.wall_s < 10


def test_the_role_hands_its_variables_to_the_module(play: PlayRunner, lab: Lab, tmp_path: Path) -> None:
    """As a user gives them: by -e, as text. The other tests call the module's function."""
    given = ["-e", f"lab_kubeconfig={lab.kubeconfig}", "-e", f"lab_dir={tmp_path / 'lab'}"]
    given += ["-e", "lab_helm3=true", "-e", "lab_fake_nodes=3", "-e", "lab_timeout=60", "--check"]
    (task,) = play.run("playbooks/lab.yml", arguments=given).check().find(action="lab_cluster")
    assert task.result["provider"] == "existing"
    assert {change["step"] for change in task.result["changes"]} >= {"binaries", "kubeconfig"}
    assert not (tmp_path / "lab").exists(), "check mode writes nothing"
    passed = task.result["invocation"]["module_args"]
    assert (passed["helm3"], passed["fake_nodes"], passed["timeout"]) == (True, 3, 60)
    assert [service["image"] for service in passed["python_services"]] == [
        "llmops.local/router:0.1.0",
        "llmops.local/health-checker:0.1.0",
    ]
    refused = play.run("playbooks/lab.yml", arguments=["-e", "lab_real_gpus=-1", "--check"])
    (task,) = refused.find(action="lab_cluster")
    assert (task.status, task.result["error_class"]) == ("failed", "invalid")
    assert "real_gpus" in task.result["msg"]


def test_check_mode_of_a_running_lab_sees_nothing_to_do(lab: Lab) -> None:
    result = lab_run(check=True)
    assert result["changes"] == []
    assert result["facts"] == lab.facts


def test_facts_hold_no_secret(lab: Lab) -> None:
    text = (lab.folder / "facts.json").read_text()
    for name in ("postgresql.password", "redis.password", "lab_router.password", "lab_health.password"):
        assert (lab.folder / "pki" / name).read_text().strip() not in text
    for name in ("registry.dsn", "router.dsn", "health.dsn", "redis.url", "kubeconfig"):
        assert (lab.folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("file", "group"), [("router.dsn", "llmops_router"), ("health.dsn", "llmops_health_checker")]
)
def test_services_log_in_at_an_address_of_pods_with_the_rights_of_their_group(
    lab: Lab, file: str, group: str
) -> None:
    dsn = (lab.folder / file).read_text().strip()
    assert f"@{lab.facts['node_address']}:" in dsn
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(parent.rolname::text),"
            " bool_or(own.rolsuper OR own.rolcreaterole OR own.rolcreatedb)"
            " FROM pg_roles AS own JOIN pg_auth_members ON member = own.oid"
            " JOIN pg_roles AS parent ON parent.oid = roleid WHERE own.rolname = current_user"
        )
        assert cursor.fetchone() == ([group], False)


def test_a_login_that_is_gone_is_made_again_with_its_password(lab: Lab) -> None:
    before = (lab.folder / "health.dsn").read_text().strip()
    with closing(psycopg2.connect(lab.registry_dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute("REVOKE llmops_health_checker FROM lab_health")
    assert lab_run(check=True)["changes"] == [
        {"step": "database logins", "reason": "missing: lab_health in llmops_health_checker"}
    ]
    lab_run()
    assert lab_run(check=True)["changes"] == []
    assert (lab.folder / "health.dsn").read_text().strip() == before
    psycopg2.connect(before).close()


def test_the_real_node_is_ready_and_advertises_gpus(api: ClusterClient, lab: Lab) -> None:
    node = api.get("/api/v1/nodes/lab-node")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == str(lab.facts["real_gpus"])
    assert node["metadata"]["labels"]["node-type"] == "gpu"
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert "taints" not in node["spec"]
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"


def test_fake_nodes_run_pods_that_ask_for_them(api: ClusterClient, namespace: str) -> None:
    on_fake = pod("on-fake", resources={"limits": {"nvidia.com/gpu": "8"}})
    on_fake["spec"]["tolerations"] = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]
    on_fake["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "Tesla-T4"}
    api.create(f"/api/v1/namespaces/{namespace}/pods", on_fake)
    wait("pod on a fake node", lambda: phase(api, namespace, "on-fake") == "Running")
    found = api.get(f"/api/v1/namespaces/{namespace}/pods/on-fake")
    assert found["spec"]["nodeName"].startswith("fake-gpu-")


def test_a_pod_finds_a_service_by_name(api: ClusterClient, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api.create(pods, pod("server", "serve", "some/model"))
    service = {
        "metadata": {"name": "here"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 8000}]},
    }
    api.create(f"/api/v1/namespaces/{namespace}/services", service)
    wait("server", lambda: phase(api, namespace, "server") == "Running")
    client = pod("client", "get", f"http://here.{namespace}.svc.cluster.local:8000/v1/models", "--fail")
    client["spec"]["restartPolicy"] = "OnFailure"
    api.create(pods, client)
    wait("client", lambda: phase(api, namespace, "client") == "Succeeded")
    assert "some/model" in api.logs(namespace, "client", "main")


def test_memory_over_the_limit_is_a_real_oom_kill(api: ClusterClient, namespace: str) -> None:
    hungry = pod(
        "hungry",
        "serve",
        "some/model",
        environment={"MODEL_SERVER_FAULT": "oom"},
        resources={"limits": {"memory": "64Mi"}},
    )
    api.create(f"/api/v1/namespaces/{namespace}/pods", hungry)
    wait("end of the hungry pod", lambda: phase(api, namespace, "hungry") == "Failed")
    status = api.get(f"/api/v1/namespaces/{namespace}/pods/hungry")["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"
    assert status["state"]["terminated"]["exitCode"] == 137


def test_custom_resources_of_the_prometheus_operator(api: ClusterClient) -> None:
    kinds = {item["kind"] for item in api.get("/apis/monitoring.coreos.com/v1")["resources"]}
    assert {"ServiceMonitor", "PrometheusRule", "PodMonitor"} <= kinds


def test_provider_existing_only_looks(lab: Lab, tmp_path: Path) -> None:
    extra: dict[str, Any] = {"kubeconfig": str(lab.kubeconfig), "lab_dir": str(tmp_path / "lab")}
    first = lab_run(**extra)
    assert first["provider"] == "existing"
    assert {change["step"] for change in first["changes"]} == {"binaries", "kubeconfig"}
    assert not lab_run(**extra)["changes"]
    assert (tmp_path / "lab" / "bin" / "helm").exists()
    assert not (tmp_path / "lab" / "registry.dsn").exists()
    assert not lab_run(state="absent", **extra)["changes"]


@pytest.mark.parametrize(
    ("extra", "error_class", "words"),
    [
        ({"kubeconfig": "/nonexistent/kubeconfig"}, "invalid", "is not a file"),
        ({"provider": "existing"}, "invalid", "kubeconfig"),
        ({"real_gpus": -1}, "invalid", "real_gpus"),
        ({"lab_dir": "relative/path"}, "invalid", "lab_dir"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, extra: dict[str, Any], error_class: str, words: str) -> None:
    with pytest.raises(PlatformError) as refused:
        lab_run(**{"lab_dir": str(tmp_path / "lab"), **extra})
    assert refused.value.error_class.value == error_class
    assert words in refused.value.message
    assert not (tmp_path / "lab").exists(), "nothing was written"


def test_a_cluster_that_does_not_answer(lab: Lab, tmp_path: Path) -> None:
    kubeconfig = json.loads(lab.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    with pytest.raises(PlatformError, match=r"127\.0\.0\.1:9") as failed:
        lab_run(kubeconfig=str(tmp_path / "kubeconfig"), lab_dir=str(tmp_path / "lab"))
    assert failed.value.error_class is ErrorClass.INFRASTRUCTURE
