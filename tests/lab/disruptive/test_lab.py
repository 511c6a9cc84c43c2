# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running lab: what it promises, and that each part that is killed comes back by the same command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from tests.support.lab import Lab
from tests.support.playbooks import PlayRunner, TaskResult

IMAGE = "llmops.local/model-server:0.1.0"
PARTS = [
    "containerd",
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "kwok",
    "postgresql",
    "redis",
]

PROGRAMS = {*PARTS, "containerd-shim-runc-v2", "postgres", "redis-check-rdb", "redis-server"}


def _lab_task(play: PlayRunner, *arguments: str, **extra: Any) -> TaskResult:
    (task,) = (
        play.run("playbooks/lab.yml", arguments=arguments, extra_vars=extra)
        .check()
        .find(action="lab_cluster")
    )
    return task


def _pod(name: str, *args: str, environment: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"node-type": "gpu"},
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "args": list(args),
                    "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
                    **spec,
                }
            ],
        },
    }


def _wait(what: str, check: Callable[[], Any], timeout: float = 60) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {timeout:g} s")


def _phase(api: ClusterClient, namespace: str, name: str) -> str:
    pod = api.find(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return str((pod or {}).get("status", {}).get("phase", ""))


def _identity(lab: Lab, part: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((lab.folder / "run" / f"{part}.json").read_text())
    return record


@pytest.mark.usefixtures("lab")
def test_a_second_start_changes_nothing_and_takes_seconds(play: PlayRunner) -> None:
    play.run("playbooks/lab.yml").check()
    again = play.run("playbooks/lab.yml").check()
    assert again.changed == []
    assert again.wall_s < 10


def test_check_mode_of_a_running_lab_sees_nothing_to_do(play: PlayRunner, lab: Lab) -> None:
    task = _lab_task(play, "--check")
    assert not task.changed
    assert task.result["changes"] == []
    assert task.result["facts"] == lab.facts


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


def test_a_login_that_is_gone_is_made_again_with_its_password(play: PlayRunner, lab: Lab) -> None:
    before = (lab.folder / "health.dsn").read_text().strip()
    with closing(psycopg2.connect(lab.registry_dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute("REVOKE llmops_health_checker FROM lab_health")
    assert _lab_task(play, "--check").result["changes"] == [
        {"step": "database logins", "reason": "missing: lab_health in llmops_health_checker"}
    ]
    _lab_task(play)
    assert _lab_task(play, "--check").result["changes"] == []
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
    pod = _pod("on-fake", resources={"limits": {"nvidia.com/gpu": "8"}})
    pod["spec"]["tolerations"] = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]
    pod["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "Tesla-T4"}
    api.create(f"/api/v1/namespaces/{namespace}/pods", pod)
    _wait("pod on a fake node", lambda: _phase(api, namespace, "on-fake") == "Running")
    found = api.get(f"/api/v1/namespaces/{namespace}/pods/on-fake")
    assert found["spec"]["nodeName"].startswith("fake-gpu-")


def test_a_pod_finds_a_service_by_name(api: ClusterClient, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api.create(pods, _pod("server", "serve", "some/model"))
    service = {
        "metadata": {"name": "here"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 8000}]},
    }
    api.create(f"/api/v1/namespaces/{namespace}/services", service)
    _wait("server", lambda: _phase(api, namespace, "server") == "Running")
    client = _pod("client", "get", f"http://here.{namespace}.svc.cluster.local:8000/v1/models", "--fail")
    client["spec"]["restartPolicy"] = "OnFailure"
    api.create(pods, client)
    _wait("client", lambda: _phase(api, namespace, "client") == "Succeeded")
    assert "some/model" in api.logs(namespace, "client", "main")


def test_memory_over_the_limit_is_a_real_oom_kill(api: ClusterClient, namespace: str) -> None:
    pod = _pod(
        "hungry",
        "serve",
        "some/model",
        environment={"MODEL_SERVER_FAULT": "oom"},
        resources={"limits": {"memory": "64Mi"}},
    )
    api.create(f"/api/v1/namespaces/{namespace}/pods", pod)
    _wait("end of the hungry pod", lambda: _phase(api, namespace, "hungry") == "Failed")
    status = api.get(f"/api/v1/namespaces/{namespace}/pods/hungry")["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"
    assert status["state"]["terminated"]["exitCode"] == 137


def test_custom_resources_of_the_prometheus_operator(api: ClusterClient) -> None:
    kinds = {item["kind"] for item in api.get("/apis/monitoring.coreos.com/v1")["resources"]}
    assert {"ServiceMonitor", "PrometheusRule", "PodMonitor"} <= kinds


def test_provider_existing_only_looks(play: PlayRunner, lab: Lab, tmp_path: Path) -> None:
    extra = {"lab_kubeconfig": str(lab.kubeconfig), "lab_dir": str(tmp_path / "lab")}
    first = _lab_task(play, **extra)
    assert first.result["provider"] == "existing"
    assert {change["step"] for change in first.result["changes"]} == {"binaries", "kubeconfig"}
    assert not _lab_task(play, **extra).changed
    assert (tmp_path / "lab" / "bin" / "helm").exists()
    assert not (tmp_path / "lab" / "registry.dsn").exists()
    assert not _lab_task(play, lab_state="absent", **extra).changed


@pytest.mark.parametrize(
    ("extra", "error_class", "words"),
    [
        ({"lab_kubeconfig": "/nonexistent/kubeconfig"}, "invalid", "is not a file"),
        ({"lab_provider": "existing"}, "invalid", "kubeconfig"),
        ({"lab_real_gpus": -1}, "invalid", "real_gpus"),
        ({"lab_dir": "relative/path"}, "invalid", "lab_dir"),
    ],
)
def test_bad_input_is_refused(
    play: PlayRunner, tmp_path: Path, extra: dict[str, Any], error_class: str, words: str
) -> None:
    result = play.run("playbooks/lab.yml", extra_vars={"lab_dir": str(tmp_path / "lab"), **extra})
    (task,) = result.find(action="lab_cluster")
    assert task.status == "failed"
    assert task.result["error_class"] == error_class
    assert words in task.result["msg"]
    assert not (tmp_path / "lab").exists(), "nothing was written"


def test_a_cluster_that_does_not_answer(play: PlayRunner, lab: Lab, tmp_path: Path) -> None:
    kubeconfig = json.loads(lab.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    extra = {"lab_kubeconfig": str(tmp_path / "kubeconfig"), "lab_dir": str(tmp_path / "lab")}
    result = play.run("playbooks/lab.yml", extra_vars=extra)
    (task,) = result.find(action="lab_cluster")
    assert task.result["error_class"] == "infrastructure"
    assert "127.0.0.1:9" in task.result["msg"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_repaired(
    play: PlayRunner, lab: Lab, api: ClusterClient, namespace: str, part: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    server = _pod("survivor", "serve", "some/model", resources={"limits": {"nvidia.com/gpu": "1"}})
    _wait("service account", lambda: api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))
    api.create(pods, server)
    _wait("survivor", lambda: _phase(api, namespace, "survivor") == "Running")

    os.kill(_identity(lab, part)["pid"], signal.SIGKILL)
    planned = _lab_task(play, "--check")
    assert part in {change["step"] for change in planned.result["changes"]}
    repaired = _lab_task(play)
    assert {"step": part, "reason": "died; starting it again"} in repaired.result["changes"]
    assert _lab_task(play).result["changes"] == []

    survivor = api.get(f"{pods}/survivor")
    assert survivor["status"]["phase"] == "Running"
    assert survivor["status"]["containerStatuses"][0]["restartCount"] == 0
    api.create(pods, _pod("newcomer", "serve", "some/model"))
    _wait("newcomer", lambda: _phase(api, namespace, "newcomer") == "Running")


def test_two_starts_at_once_repair_once(play: PlayRunner, lab: Lab) -> None:
    os.kill(_identity(lab, "kwok")["pid"], signal.SIGKILL)
    runs = [play.start("playbooks/lab.yml") for _ in range(2)]
    finished = [run.wait().check() for run in runs]
    assert sorted(len(result.changed) for result in finished) == [0, 1]
    assert _lab_task(play).result["changes"] == []


def test_other_settings_are_brought_in_and_back(play: PlayRunner, api: ClusterClient) -> None:
    def fake() -> set[str]:
        nodes = api.list_pages("/api/v1/nodes", {"labelSelector": "type=kwok,llmops.platform/lab=true"})
        return {node["metadata"]["name"] for node in nodes}

    try:
        assert _lab_task(play, lab_fake_nodes=2, lab_real_gpus=4).changed
        assert fake() == {"fake-gpu-0", "fake-gpu-1"}
        node = api.get("/api/v1/nodes/lab-node")
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    finally:
        _lab_task(play)
    assert len(fake()) == 12


@pytest.mark.full
def test_full_cycle(play: PlayRunner, lab: Lab, api: ClusterClient, namespace: str) -> None:
    """Stop, nothing left, start again; then kill everything at once, as a reboot does, and start again."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    server = _pod("server", "serve", "some/model", resources={"limits": {"nvidia.com/gpu": "1"}})
    server["spec"]["restartPolicy"] = "Always"
    api.create(pods, server)
    _wait("server", lambda: _phase(api, namespace, "server") == "Running")

    planned = _lab_task(play, "--check", lab_state="absent")
    assert planned.changed
    assert traces(lab.folder) != {}, "check mode stops nothing"
    assert _lab_task(play, lab_state="absent").changed
    assert traces(lab.folder) == {}
    assert _lab_task(play, lab_state="absent").result["changes"] == []
    assert _lab_task(play).changed
    _wait("the pod's return", lambda: _answers(api, namespace, "server"))

    for pid in _processes(lab.folder):
        os.kill(pid, signal.SIGKILL)
    started = _lab_task(play)
    assert any(change["step"] == "remains of a hard stop" for change in started.result["changes"])
    _wait("the pod's return", lambda: _answers(api, namespace, "server"))
    assert _lab_task(play).result["changes"] == []


def _answers(api: ClusterClient, namespace: str, pod: str) -> bool:
    """Tell whether the pod's own server answers; right after a restart its old address may be another's."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:8000/proxy/v1/models"
    try:
        return b"some/model" in api.request("GET", path).data
    except PlatformError:
        return False


def traces(folder: Path) -> dict[str, list[str]]:
    """Return everything that the lab has on this machine besides files."""
    mounts = [
        line.split()[1]
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[1].startswith(f"{folder}/")
    ]
    found = {
        "processes": [str(pid) for pid in _processes(folder)],
        "mounts": mounts,
        "network": [path.name for path in Path("/sys/class/net").glob("llmops*")],
        "veths": [path.name for path in Path("/sys/class/net").glob("veth*")],
        "namespaces": [path.name for path in Path("/run/netns").glob("cni-*")],
        "rules": _rules(),
        "control groups": [str(path) for path in Path("/sys/fs/cgroup").glob("*/llmops-lab*")],
        "leases": [path.name for path in (folder / "cni" / "leases").rglob("*.*.*.*")],
    }
    return {what: items for what, items in found.items() if items}


def _rules() -> list[str]:
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    return [line for line in saved.splitlines() if "KUBE-" in line or "CNI-" in line]


def _processes(folder: Path) -> list[int]:
    """Return the processes of the lab: its programs, by their command line, and those of its containers."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_text(errors="replace").split("\0")
            program = (process / "exe").readlink().name
            groups = (process / "cgroup").read_text()
        except OSError:
            continue
        ours = program in PROGRAMS and any(f"{folder}/" in word for word in words)
        if ours or "/llmops-lab-" in groups:
            found.append(int(process.name))
    return found
