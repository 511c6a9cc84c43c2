# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and peak memory of ``gpu_capacity_info`` on 100, 1,000 and 5,000 nodes with pods, beside kubectl.

kubectl reads the same objects (``kubectl get nodes,pods -A -o json``) and judges nothing. Both are measured
as whole processes from start to end: time on the wall, and the largest resident set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
    JSONObject,
)
from tests.bench.measure import Row, RunFailedError
from tests.support.playbooks import ROOT

SIZES = (100, 1000, 5000)
PODS_A_NODE = 4
LABEL = "llmops.platform/bench=capacity"
NAMESPACE = "capacity-bench"
PEER = "kubectl get nodes,pods -A -o json"
_SHARD = "llmops.platform/bench-shard"
_CONNECTIONS = 6
_FENCE = {"key": "llmops.platform/capacity-bench", "effect": "NoSchedule"}

# What an action plugin does in the controller's process, in a process of its own to be measured.
_OURS = """
import json, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.llmops.platform.plugins.modules.gpu_capacity_info import CONTRACT
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
validated = ArgumentSpecValidator(dict(CONTRACT.argument_spec)).validate(json.loads(sys.argv[1]))
print(json.dumps(CONTRACT.run(validated.validated_parameters, Context()).result))
"""

# Ten models of one run that ask at the same time, each in a worker of its own; sys.argv[2]: the run's folder.
_TEN = """
import json, multiprocessing, pathlib, sys
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication, ClusterClient)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.shared_lists import SharedLists
from ansible_collections.llmops.platform.plugins.module_utils._core.placement import capacity
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape
question = json.loads(sys.argv[1])
folder = pathlib.Path(sys.argv[2]) if sys.argv[2] else None
container = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": question["gpus"]}}}
spec = {"spec": {"containers": [container], "tolerations": question["tolerations"]}}
def ask():
    client = ClusterClient(Authentication(kubeconfig=question["kubeconfig"]))
    shape = PodShape.from_pod_template(spec, question["namespace"])
    found = capacity.assess(client, shape, 1, question["namespace"], lists=SharedLists(client, folder))
    sys.exit(not found.fits)
workers = [multiprocessing.get_context("fork").Process(target=ask) for _ in range(10)]
for worker in workers: worker.start()
for worker in workers: worker.join()
sys.exit(any(worker.exitcode for worker in workers))
"""

# A process between us and what is measured: a new program inherits the peak memory of the one that starts
# it, and this benchmark is large.
_METER = """
import os, subprocess, sys, time
started = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, time.monotonic() - started, usage.ru_maxrss)
"""


def measure(
    kubeconfig: str,
    kubectl: str,
    say: Callable[[str], None],
    sizes: Sequence[int] = SIZES,
    repeats: int = 3,
) -> list[Row]:
    """Return the rows; the best of ``repeats`` for each figure."""
    rows: list[Row] = []
    place = _Place(kubeconfig)
    try:
        place.prepare(say)
        for size in sizes:
            place.grow_nodes(size, say)
            tolerations = [{**_FENCE, "operator": "Exists"}]
            question = {
                "kubeconfig": kubeconfig,
                "namespace": NAMESPACE,
                "gpus": 2,
                "tolerations": tolerations,
            }
            ours = [sys.executable, "-c", _OURS, json.dumps(question)]
            place.grow_pods(size, say)
            say(f"{size} nodes, {size * PODS_A_NODE} pods: measuring")
            peer = _best(
                [kubectl, "--kubeconfig", kubeconfig, "get", "nodes,pods", "-A", "-o", "json"], repeats
            )
            found = _best(ours, repeats)
            task = _best(_task(question), 1)
            rows += [
                Row(f"capacity_{size}_wall", "s", found[0], peer[0], PEER),
                Row(f"capacity_{size}_peak_memory", "MiB", found[1], peer[1], PEER),
                Row(f"capacity_{size}_task_wall", "s", task[0], peer[0], PEER),
            ]
        rows.append(_ten(question, max(sizes), say))
        place.clear_pods(say)
        say(f"{max(sizes)} nodes without pods: measuring")
        bare = _best(ours, repeats)
        rows.append(
            Row(f"capacity_{max(sizes)}_pods_memory", "MiB", found[1], bare[1], "the same without any pod")
        )
    finally:
        place.clear(say)
    return rows


def _ten(question: JSONObject, size: int, say: Callable[[str], None]) -> Row:
    """Return the time of ten models that ask at once, beside the same ones that share nothing."""
    say(f"{size} nodes: ten at once, with and without one reading")
    command = [sys.executable, "-c", _TEN, json.dumps(question)]
    alone = _best([*command, ""], 1)
    with tempfile.TemporaryDirectory() as folder:
        shared = _best([*command, folder], 1)
    return Row(f"capacity_{size}_ten_wall", "s", shared[0], alone[0], "each of the ten reads for itself")


def _task(question: JSONObject) -> list[str]:
    """Return the command that asks through Ansible, start of Ansible included."""
    ansible = Path(sys.executable).parent / "ansible"
    module = "llmops.platform.gpu_capacity_info"
    return [str(ansible), "localhost", "-c", "local", "-m", module, "-a", json.dumps(question)]


def _best(command: Sequence[str], repeats: int) -> tuple[float, float]:
    """Return the shortest time in seconds and the smallest peak memory in MiB of several runs."""
    runs = [_run(command) for _ in range(repeats)]
    return min(run[0] for run in runs), min(run[1] for run in runs)


def _run(command: Sequence[str]) -> tuple[float, float]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "build/collections"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    meter = [sys.executable, "-c", _METER, *command]
    answer = subprocess.run(
        meter,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    status, elapsed, peak_kib = answer.stdout.split()
    if int(status):
        raise RunFailedError(f"{' '.join(command)} ended with {status}")
    return float(elapsed), int(peak_kib) / 1024


class _Place:
    """Fake nodes and pods of the benchmark. Nobody plays kubelet for them: they only have to be there."""

    def __init__(self, kubeconfig: str) -> None:
        authentication = Authentication(kubeconfig=kubeconfig)
        self._api = ClusterClient(authentication)
        self._clients: SimpleQueue[ClusterClient] = SimpleQueue()
        for _ in range(_CONNECTIONS):
            self._clients.put(ClusterClient(authentication))
        self._nodes = 0
        self._pods = 0

    def prepare(self, say: Callable[[str], None]) -> None:
        """Make the namespace; remove what a killed run has left behind first."""
        self.clear(say)
        self._api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        deadline = time.monotonic() + 60
        while self._api.find(path) is None and time.monotonic() < deadline:
            time.sleep(0.2)

    def grow_nodes(self, size: int, say: Callable[[str], None]) -> None:
        """Create nodes up to ``size``."""
        say(f"creating {size - self._nodes} nodes")
        self._create("/api/v1/nodes", [_node(index) for index in range(self._nodes, size)])
        self._nodes = size

    def grow_pods(self, size: int, say: Callable[[str], None]) -> None:
        """Create pods on the first ``size`` nodes."""
        wanted = size * PODS_A_NODE
        say(f"creating {wanted - self._pods} pods")
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        self._create(path, [_pod(index) for index in range(self._pods, wanted)])
        self._pods = wanted

    def _create(self, path: str, items: Sequence[JSONObject]) -> None:
        def create(item: JSONObject) -> None:
            api = self._clients.get()
            try:
                api.create(path, item)
            finally:
                self._clients.put(api)

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for _ in pool.map(create, items):
                pass

    def clear(self, say: Callable[[str], None]) -> None:
        """Remove everything again and wait until it is gone."""
        self.clear_pods(say)
        say("removing nodes")
        self._clear("/api/v1/nodes")
        self._api.delete(f"/api/v1/namespaces/{NAMESPACE}")
        while self._api.find(f"/api/v1/namespaces/{NAMESPACE}"):
            time.sleep(0.5)

    def clear_pods(self, say: Callable[[str], None]) -> None:
        """Remove the pods."""
        say("removing pods")
        self._clear(f"/api/v1/namespaces/{NAMESPACE}/pods")
        self._pods = 0

    def _clear(self, path: str) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(self._clear_shard, [path] * _CONNECTIONS, range(_CONNECTIONS)))

    def _clear_shard(self, path: str, shard: int) -> None:
        selector = f"{LABEL},{_SHARD}={shard}"
        api = self._clients.get()
        try:
            while api.get(path, {"labelSelector": selector, "limit": 1}).get("items"):
                # A collection is deleted for as long as the server allows one request to take.
                query = {"labelSelector": selector, "gracePeriodSeconds": 0}
                api.request("DELETE", path, query, read_timeout=90)
        finally:
            self._clients.put(api)


def _labels(index: int) -> dict[str, str]:
    """Return the labels by which everything is found again; shards are removed side by side."""
    key, _, value = LABEL.partition("=")
    return {key: value, _SHARD: str(index % _CONNECTIONS)}


def _node(index: int) -> JSONObject:
    name = f"capacity-bench-{index:05d}"
    amounts = {
        "cpu": "128",
        "memory": "1Ti",
        "ephemeral-storage": "2Ti",
        "pods": "110",
        "nvidia.com/gpu": "8",
    }
    labels = {
        **_labels(index),
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{index % 3}",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.count": "8",
    }
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [_FENCE]},
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def _pod(index: int) -> JSONObject:
    """Return a pod as large as those of usual releases."""
    release = f"release-{index // 3}"
    amounts = {"cpu": "8", "memory": "48Gi", "nvidia.com/gpu": "1"}
    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 10, "failureThreshold": 3}
    container = {
        "name": "vllm",
        "image": "registry.example.org/vllm/vllm-openai:v0.11.0",
        "args": ["--model", "/models/llama", "--port", "8000", "--tensor-parallel-size", "1"],
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(12)],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"requests": amounts, "limits": amounts},
        "readinessProbe": probe,
        "livenessProbe": probe,
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "shm", "mountPath": "/dev/shm"}],
    }
    return {
        "metadata": {
            "name": f"pod-{index:06d}",
            "labels": {
                **_labels(index),
                "app.kubernetes.io/instance": release,
                "app.kubernetes.io/name": "vllm",
            },
        },
        "spec": {
            "nodeName": f"capacity-bench-{index // PODS_A_NODE:05d}",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "shm", "emptyDir": {"medium": "Memory"}}],
        },
    }
