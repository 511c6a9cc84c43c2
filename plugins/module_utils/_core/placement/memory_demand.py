# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory fit as a demand on nodes: each node is judged by the memory that its GPU label states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.errors import invalid
from .document import read_document
from .memory_fit import (
    GIB,
    LABEL_MARGIN_GIB,
    MemoryFit,
    ModelGeometry,
    Serving,
    dtype_bytes,
    memory_fit,
    weights_bytes_of_index,
)
from .pod_resources import server_requests
from .scheduling import Misfit, Node, PodShape, computing_device


@dataclass
class MemoryDemand:
    """A model that has to fit into the GPUs of a node. Remembers one judgement for each size of GPU."""

    model: ModelGeometry
    serving: Serving
    resource: str
    #: Memory of every GPU in MiB, for clusters whose nodes carry no label
    gpu_memory_mib: int | None = None
    judged: dict[int, MemoryFit] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)
    unlabelled: int = 0

    def __post_init__(self) -> None:
        if self.gpu_memory_mib is not None and self.gpu_memory_mib <= 0:
            advice = "Give the memory of one GPU in MiB, such as 81559."
            raise invalid("gpu_memory_mib", self.gpu_memory_mib, "is not above zero", advice)

    @property
    def label(self) -> str:
        """Label that states the memory of one device, in MiB."""
        return f"{self.resource}.memory"

    def __call__(self, node: Node) -> Misfit | None:
        """Return why the model does not fit into the node's GPUs."""
        if not node.capacity.get(self.resource) and not node.allocatable.get(self.resource):
            return None
        stated = node.labels.get(self.label, "")
        if self.gpu_memory_mib is None and not stated.isdigit():
            self.unlabelled += 1
            reason = f"has no label {self.label}, so that memory fit is unknown"
            return Misfit("gpu_memory", reason, False, resource=self.resource, needs=self.label)
        size = self.gpu_memory_mib or int(stated)
        self.nodes[size] = self.nodes.get(size, 0) + 1
        found = self.judge(size)
        if found.fits:
            return None
        reason = (
            f"has GPUs of {size} MiB, which leave {found.kv_gib:.2f} GiB for the KV cache where "
            f"{found.kv_needed_gib:.2f} GiB are needed. {found.suggestion}"
        ).rstrip(".")
        has, needs = f"{found.kv_gib:.2f}GiB", f"{found.kv_needed_gib:.2f}GiB"
        return Misfit("gpu_memory", reason, False, resource=self.resource, has=has, needs=needs)

    def judge(self, size_mib: int) -> MemoryFit:
        """Judge one size of GPU; the engine sees less than the label says."""
        if size_mib not in self.judged:
            visible = size_mib / 1024 - LABEL_MARGIN_GIB
            self.judged[size_mib] = memory_fit(self.model, self.serving, visible)
        return self.judged[size_mib]

    def as_result(self) -> list[dict[str, Any]]:
        """Return one row for each size of GPU that was met, the largest first."""
        return [
            {"gpu_memory_mib": size, "nodes": self.nodes.get(size, 0), **found.as_result()}
            for size, found in sorted(self.judged.items(), reverse=True)
        ]


def demand_of_model(options: Mapping[str, Any], shape: PodShape) -> MemoryDemand:
    """Return what the model asks of each node; ``options`` are those of ``memory_fit``."""
    devices = server_requests(shape.template["spec"])
    resource = computing_device(devices)
    if resource is None:
        raise invalid("memory_fit", "given", "needs a pod with GPUs", "Set gpus to 1 or more.")
    model = ModelGeometry.from_config(read_document(options["model_config"], "memory_fit.model_config"))
    context = options["max_model_len"] or model.max_context
    if not context:
        advice = "Give max_model_len: the model's configuration has no max_position_embeddings."
        raise invalid("memory_fit.max_model_len", options["max_model_len"], "is unknown", advice)
    serving = Serving(
        weights_gib=_weights_gib(options, model),
        max_model_len=context,
        tensor_parallel=options["tensor_parallel_size"] or devices[resource],
        pipeline_parallel=options["pipeline_parallel_size"],
        utilization=options["gpu_memory_utilization"],
        block_size=options["block_size"],
        kv_dtype=options["kv_cache_dtype"],
        activation_gib=options["activation_gib"],
        non_torch_gib=options["non_torch_gib"],
    )
    return MemoryDemand(model, serving.checked(model), resource, options["gpu_memory_mib"])


def _weights_gib(options: Mapping[str, Any], model: ModelGeometry) -> float:
    if options["weights_gib"] is not None:
        return float(options["weights_gib"])
    if options["weights_bytes"] is not None:
        return float(options["weights_bytes"]) / GIB
    if options["weights_index"] is not None:
        index = read_document(options["weights_index"], "memory_fit.weights_index")
        return weights_bytes_of_index(index) / GIB
    return float(options["parameters_billion"]) * 1e9 * dtype_bytes(model.dtype, "model_config.dtype") / GIB
