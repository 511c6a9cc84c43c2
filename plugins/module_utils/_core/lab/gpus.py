# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs that are not there: on the real node by its status, and nodes that exist only in the API."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..common.deadline import Deadline
from .cluster_objects import FIELD_MANAGER, JSONObject, LabClient, apply, hash_of, with_hash
from .settings import NODE_NAME
from .steps import Progress, Step, wait_for

FAKE_NAME = re.compile(r"fake-gpu-(\d+)")
FAKE_ANNOTATION = "kwok.x-k8s.io/node"
_GPU = "nvidia.com/gpu"
_LEASE_LIMIT_S = 30.0


@dataclass(frozen=True)
class Machine:
    """A kind of GPU server, as NVIDIA's feature discovery labels it. Memory: MiB of one GPU, GiB of RAM."""

    product: str
    family: str
    gpu_memory: int
    cpus: int
    memory: int
    resources: dict[str, int] = field(default_factory=lambda: {_GPU: 8})
    mig_strategy: str = "none"

    def labels(self) -> dict[str, str]:
        """Return the node's labels."""
        gpus = self.resources.get(_GPU, 0)
        labels = {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.product,
            "nvidia.com/gpu.family": self.family,
            "nvidia.com/gpu.memory": str(self.gpu_memory),
            "nvidia.com/gpu.count": str(gpus or 8),
            "nvidia.com/gpu.replicas": "1",
            "nvidia.com/mig.strategy": self.mig_strategy,
            "nvidia.com/mig.capable": str(self.family in {"hopper", "ampere"}).lower(),
        }
        for resource, count in self.resources.items():
            if resource != _GPU:
                labels[f"{resource}.count"] = str(count)
        return labels


H100 = Machine("NVIDIA-H100-80GB-HBM3", "hopper", 81559, 192, 2048)
MACHINES = (
    H100,
    Machine("NVIDIA-A100-SXM4-40GB", "ampere", 40960, 96, 1024),
    Machine("NVIDIA-L40S", "ada-lovelace", 46068, 128, 1024),
    Machine("Tesla-T4", "turing", 15360, 96, 384),
    Machine(
        "NVIDIA-A100-SXM4-80GB",
        "ampere",
        81920,
        128,
        1024,
        # One GPU in seven slices beside seven whole ones: strategy "mixed".
        {_GPU: 7, "nvidia.com/mig-1g.10gb": 7},
        "mixed",
    ),
)


def fake_node(number: int) -> JSONObject:
    """Return the ``number``-th fake node, counted from 0. Node 4 is the first with MIG slices."""
    # The sliced machine comes once, then the others in turn.
    machine = MACHINES[4] if number == 4 else MACHINES[(number - (number > 4)) % 4]
    name = f"fake-gpu-{number}"
    capacity = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory}Gi",
        "ephemeral-storage": "2Ti",
        "pods": "250",
        **{resource: str(count) for resource, count in machine.resources.items()},
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {FAKE_ANNOTATION: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "type": "kwok",
                "node-type": "gpu",
                "llmops.platform/lab": "true",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                **machine.labels(),
            },
        },
        "spec": {"taints": [{"key": FAKE_ANNOTATION, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": capacity, "capacity": capacity},
    }


class FakeNodesStep(Step):
    """As many fake nodes as wanted, Ready; others that the lab made earlier go away."""

    name = "fake GPU nodes"
    needs_api = True

    def __init__(self, client: LabClient, count: int) -> None:
        self._client = client
        self._wanted = [with_hash(fake_node(number)) for number in range(count)]

    def pending(self) -> str:
        """Count what is missing, different, not ready or too many."""
        present = self._present()
        different = sum(hash_of(present.get(_name(node))) != hash_of(node) for node in self._wanted)
        surplus = len(present.keys() - {_name(node) for node in self._wanted})
        if different or surplus:
            return f"{different} of {len(self._wanted)} missing or different, {surplus} too many"
        waiting = sum(not _ready(node) for node in present.values())
        return f"{waiting} not Ready" if waiting else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Create, replace, delete; wait until all are Ready."""
        client = self._client()
        present = self._present()
        for name in present.keys() - {_name(node) for node in self._wanted}:
            client.delete(f"/api/v1/nodes/{name}")
        for node in self._wanted:
            if hash_of(present.get(_name(node))) != hash_of(node):
                apply(client, {key: value for key, value in node.items() if key != "status"})
                client.patch(f"/api/v1/nodes/{_name(node)}/status", {"status": node["status"]})
        wait_for("fake GPU nodes", self.pending, deadline.share(60), progress)

    def _present(self) -> dict[str, JSONObject]:
        nodes = self._client().list_pages(
            "/api/v1/nodes", {"labelSelector": "type=kwok,llmops.platform/lab=true"}
        )
        return {_name(node): node for node in nodes if FAKE_NAME.fullmatch(_name(node))}


class RealNodeStep(Step):
    """The real node is Ready, is alive, has GPU labels and advertises GPUs."""

    name = "real node"
    needs_api = True

    def __init__(
        self,
        client: LabClient,
        gpus: int,
        node: str = NODE_NAME,
        kubelet_started: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """``kubelet_started`` returns a Unix time: what the node said of itself before does not count."""
        self._client = client
        self._node = node
        self._kubelet_started = kubelet_started
        self._machine = Machine(
            H100.product, H100.family, H100.gpu_memory, H100.cpus, H100.memory, {_GPU: gpus} if gpus else {}
        )
        self._gpus = gpus

    def pending(self) -> str:
        """Say what the node lacks."""
        return self._not_alive() or self._not_dressed()

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Wait for the node and write labels and capacity."""
        wait_for("real node", self._not_alive, deadline.share(120), progress)
        client = self._client()
        path = f"/api/v1/nodes/{self._node}"
        labels = {**self._machine.labels(), "nvidia.com/gpu.count": str(self._gpus), "node-type": "gpu"}
        client.patch(path, {"metadata": {"labels": labels}}, {"fieldManager": FIELD_MANAGER})
        amount = {_GPU: str(self._gpus)}
        client.patch(f"{path}/status", {"status": {"capacity": amount, "allocatable": amount}})
        # The kubelet writes the status too: stay until ours is seen in what it keeps.
        wait_for("GPUs of the real node", self._not_dressed, deadline.share(30), progress)

    def _not_alive(self) -> str:
        client = self._client()
        node = client.find(f"/api/v1/nodes/{self._node}")
        if node is None:
            return f"{self._node} has not registered"
        if not _ready(node):
            condition = _condition(node)
            return f"{self._node} is not Ready: {condition.get('message', 'no condition yet')}"
        lease = client.find(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self._node}")
        renewed = (lease or {}).get("spec", {}).get("renewTime")
        if renewed is None:
            return f"{self._node} has no lease"
        seen = dt.datetime.fromisoformat(renewed).timestamp()
        if seen < self._kubelet_started():
            return f"{self._node} has not been seen since its kubelet started"
        age = time.time() - seen
        return f"{self._node} was last seen {age:.0f} s ago" if age > _LEASE_LIMIT_S else ""

    def _not_dressed(self) -> str:
        node = self._client().get(f"/api/v1/nodes/{self._node}")
        allocatable = node["status"].get("allocatable", {}).get(_GPU, "0")
        if allocatable != str(self._gpus):
            return f"{self._node} advertises {allocatable} GPUs, wanted are {self._gpus}"
        product = node["metadata"]["labels"].get("nvidia.com/gpu.product")
        return "" if product == self._machine.product else f"{self._node} has no GPU labels"


def _name(node: JSONObject) -> str:
    return str(node["metadata"]["name"])


def _condition(node: JSONObject) -> JSONObject:
    conditions: list[JSONObject] = node.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == "Ready"), {})


def _ready(node: JSONObject) -> bool:
    return _condition(node).get("status") == "True"
