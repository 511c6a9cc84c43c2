# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each part of the lab that is killed comes back by the same command, and a stop leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from tests.support.lab import Lab
from tests.support.lab_runs import identity, lab_run, phase, pod, wait
from tests.support.playbooks import PlayRunner

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
    "monitors",
    "network-policies",
    "postgresql",
    "prometheus",
    "redis",
]

PROGRAMS = {*PARTS, "containerd-shim-runc-v2", "postgres", "redis-check-rdb", "redis-server"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_repaired(lab: Lab, api: ClusterClient, namespace: str, part: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    server = pod("survivor", "serve", "some/model", resources={"limits": {"nvidia.com/gpu": "1"}})
    wait("service account", lambda: api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))
    api.create(pods, server)
    wait("survivor", lambda: phase(api, namespace, "survivor") == "Running")

    os.kill(identity(lab, part)["pid"], signal.SIGKILL)
    planned = lab_run(check=True)
    assert part in {change["step"] for change in planned["changes"]}
    repaired = lab_run()
    assert {"step": part, "reason": "died; starting it again"} in repaired["changes"]
    assert lab_run()["changes"] == []

    survivor = api.get(f"{pods}/survivor")
    assert survivor["status"]["phase"] == "Running"
    assert survivor["status"]["containerStatuses"][0]["restartCount"] == 0
    api.create(pods, pod("newcomer", "serve", "some/model"))
    wait("newcomer", lambda: phase(api, namespace, "newcomer") == "Running")


def test_two_starts_at_once_repair_once(play: PlayRunner, lab: Lab) -> None:
    os.kill(identity(lab, "kwok")["pid"], signal.SIGKILL)
    runs = [play.start("playbooks/lab.yml") for _ in range(2)]
    finished = [run.wait().check() for run in runs]
    assert sorted(len(result.changed) for result in finished) == [0, 1]
    assert lab_run()["changes"] == []


def test_other_settings_are_brought_in_and_back(api: ClusterClient) -> None:
    def fake() -> set[str]:
        nodes = api.list_pages("/api/v1/nodes", {"labelSelector": "type=kwok,llmops.platform/lab=true"})
        return {node["metadata"]["name"] for node in nodes}

    try:
        assert lab_run(fake_nodes=2, real_gpus=4)["changes"]
        assert fake() == {"fake-gpu-0", "fake-gpu-1"}
        node = api.get("/api/v1/nodes/lab-node")
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    finally:
        lab_run()
    assert len(fake()) == 12


def test_policies_are_let_go_and_enforced_again(lab: Lab) -> None:
    def judged() -> list[str]:
        return [line for line in _rules() if "NFQUEUE" in line]

    before = judged()
    assert before
    try:
        changes = lab_run(network_policies=False)["changes"]
        assert changes == [{"step": "network policies", "reason": "are enforced"}]
        assert judged() == []
        assert not (lab.folder / "run/network-policies.json").exists()
        assert lab_run(network_policies=False)["changes"] == []
    finally:
        lab_run()
    assert judged() == before


def test_prometheus_is_taken_away_and_comes_back(lab: Lab, api: ClusterClient) -> None:
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/llmops-lab-prometheus"
    assert api.find(role)
    try:
        without = lab_run(prometheus=False)
        assert without["changes"] == [{"step": "prometheus", "reason": "is not wanted"}]
        assert "prometheus_url" not in without["facts"]
        names = ("prometheus", "prometheus.url", "run/prometheus.json", "run/monitors.json")
        assert [name for name in names if (lab.folder / name).exists()] == []
        assert api.find(role) is None
        assert lab_run(prometheus=False)["changes"] == []
    finally:
        again = lab_run()
    assert again["facts"]["prometheus_url"] == (lab.folder / "prometheus.url").read_text().strip()
    assert lab_run()["changes"] == []


@pytest.mark.full
def test_full_cycle(lab: Lab, api: ClusterClient, namespace: str) -> None:
    """Stop, nothing left, start again; then kill everything at once, as a reboot does, and start again."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    server = pod("server", "serve", "some/model", resources={"limits": {"nvidia.com/gpu": "1"}})
    server["spec"]["restartPolicy"] = "Always"
    api.create(pods, server)
    wait("server", lambda: phase(api, namespace, "server") == "Running")

    planned = lab_run(check=True, state="absent")
    assert planned["changes"]
    assert traces(lab.folder) != {}, "check mode stops nothing"
    assert lab_run(state="absent")["changes"]
    assert traces(lab.folder) == {}
    assert lab_run(state="absent")["changes"] == []
    assert lab_run()["changes"]
    wait("the pod's return", lambda: _answers(api, namespace, "server"))

    for pid in _processes(lab.folder):
        os.kill(pid, signal.SIGKILL)
    started = lab_run()
    assert any(change["step"] == "remains of a hard stop" for change in started["changes"])
    wait("the pod's return", lambda: _answers(api, namespace, "server"))
    assert lab_run()["changes"] == []


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
