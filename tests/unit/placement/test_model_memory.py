# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory of GPUs before a deployment: what cannot fit is refused, what may not fit is said."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.capacity import assess
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.memory_demand import (
    demand_of_model,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.model_memory import ModelMemory
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape
from tests.support.kubernetes_objects import Cluster, node

H100, L4, T4 = 81559, 23034, 15360
LLAMA_70B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "hidden_size": 8192,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 131072,
}
FP8 = LLAMA_70B | {"quantization_config": {"quant_method": "fp8"}}
NVFP4 = LLAMA_70B | {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}
NESTED = {"architectures": ["X"], "text_config": LLAMA_70B | {"compression_config": {"bits": 4}}}
AWQ = LLAMA_70B | {"quantization_config": {"quant_method": "awq", "bits": 4}}


def shape(gpus: int) -> PodShape:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    template = {"spec": {"containers": [{"name": "vllm", "resources": resources}]}}
    return PodShape.from_pod_template(template, "llm")


CASES = [
    # values of the model, its configuration, GPUs of a pod, memory of each, verdict, what is said
    ({}, None, 1, T4, "fits", ""),
    ({"sizeBillions": 8}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 8}, None, 1, T4, "fits", "unless they are quantised, weights take 14.9 of 12.6 GiB"),
    ({"sizeBillions": 70}, None, 1, T4, "fits", "unless they are quantised"),
    ({"sizeBillions": 70}, None, 1, H100, "fits", "unless they are quantised"),
    ({"sizeBillions": 70}, None, 2, H100, "fits", ""),
    ({"sizeBillions": 70, "dtype": "float32"}, None, 2, H100, "fits", "unless they are quantised"),
    ({"sizeBillions": 70, "quantization": "awq"}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 70, "quantization": "fp8"}, None, 1, L4, "never", "would hold 65.2 GiB"),
    ({"sizeBillions": 70, "quantization": "of-next-year"}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 405}, None, 1, H100, "never", "would hold 75.4 GiB"),
    ({"sizeBillions": 405, "extraArgs": ["--pipeline-parallel-size", "4"]}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 405, "source": "/models/x.gguf"}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 8}, LLAMA_70B | {"torch_dtype": "float32"}, 1, L4, "never", "would hold 34.9 GiB"),
    ({"sizeBillions": 70, "maxModelLen": 8192}, NVFP4, 1, H100, "fits", ""),
    ({"sizeBillions": 70, "maxModelLen": 8192}, NESTED, 1, H100, "fits", ""),
    ({"sizeBillions": 9}, {"state_size": 16, "hidden_size": 4096}, 1, T4, "fits", "quantised"),
    ({"sizeBillions": 405}, None, 1, 0, "fits", ""),
    ({"sizeBillions": 405, "extraArgs": ["--cpu-offload-gb=200"]}, None, 1, H100, "fits", ""),
    ({"sizeBillions": 70}, LLAMA_70B, 1, H100, "never", "would hold 150.4 GiB"),
    ({"sizeBillions": 70}, LLAMA_70B, 2, H100, "never", "would hold 75.2 GiB"),
    ({"sizeBillions": 70, "maxModelLen": 8192}, LLAMA_70B, 2, H100, "fits", "may be left for the cache"),
    ({"sizeBillions": 70, "maxModelLen": 8192}, LLAMA_70B, 4, H100, "fits", ""),
    ({"sizeBillions": 70}, LLAMA_70B, 4, H100, "fits", ""),
    ({"sizeBillions": 70, "maxModelLen": "auto"}, LLAMA_70B, 2, H100, "fits", ""),
    ({"sizeBillions": 70, "maxModelLen": 8192}, FP8, 1, H100, "fits", "may be left"),
    ({"sizeBillions": 70, "maxModelLen": 8192}, AWQ, 1, H100, "fits", ""),
    ({"sizeBillions": 70, "maxModelLen": 8192}, AWQ, 3, H100, "fits", "do not divide"),
    ({"sizeBillions": 70}, LLAMA_70B | {"sliding_window": 4096}, 2, H100, "fits", ""),
    ({"sizeBillions": 70, "gpuMemoryUtilization": 0.3}, AWQ, 1, H100, "never", "may use 23.9 GiB"),
    # Without the size, the cache alone is judged.
    ({}, LLAMA_70B, 1, L4, "fits", ""),
    ({"maxModelLen": 131072}, LLAMA_70B, 1, T4, "never", "would hold 20.0 GiB"),
]


@pytest.mark.parametrize(("model", "config", "gpus", "memory", "verdict", "said"), CASES)
def test_memory_of_gpus(
    model: dict[str, Any], config: dict[str, Any] | None, gpus: int, memory: int, verdict: str, said: str
) -> None:
    cluster = Cluster(node(labels={"nvidia.com/gpu.memory": str(memory)}))
    demand = ModelMemory.of(model, config, shape(gpus))
    found = assess(cluster, shape(gpus), 1, "llm", node_demand=demand)
    assert ("fits" if found.fits else "never" if found.permanent else "later") == verdict, found.message
    doubts = demand.warnings() if demand else []
    if verdict == "never":
        assert said in str(found.nodes_excluded)
    elif said:
        assert said in doubts[0]
    else:
        assert doubts == []


def test_a_node_that_does_not_tell_its_memory_is_not_refused() -> None:
    demand = ModelMemory.of({"sizeBillions": 405}, None, shape(1))
    assert demand is not None
    assert assess(Cluster(node()), shape(1), 1, "llm", node_demand=demand).fits


def test_one_large_node_among_small_ones_is_enough() -> None:
    small = node("small", labels={"nvidia.com/gpu.memory": str(T4)})
    large = node("large", labels={"nvidia.com/gpu.memory": str(H100)})
    demand = ModelMemory.of({"sizeBillions": 70, "quantization": "awq"}, None, shape(1))
    found = assess(Cluster(small, large), shape(1), 1, "llm", node_demand=demand)
    assert [item["node"] for item in found.nodes_fit] == ["large"]


BESIDE: list[tuple[dict[str, int], list[dict[str, int]], tuple[str, int]]] = [
    # devices of the server, of the containers beside it; the GPUs that hold the model
    ({"nvidia.com/gpu": 1, "vpc.amazonaws.com/efa": 4}, [], ("nvidia.com/gpu", 1)),
    ({"nvidia.com/gpu": 8, "vpc.amazonaws.com/efa": 32}, [], ("nvidia.com/gpu", 8)),
    ({"intel.com/sriov": 1, "nvidia.com/gpu": 1}, [], ("nvidia.com/gpu", 1)),
    ({"intel.com/sriov": 2, "nvidia.com/mig-3g.40gb": 1}, [], ("nvidia.com/mig-3g.40gb", 1)),
    ({"openshift.io/mlx": 2, "habana.ai/gaudi": 1}, [], ("habana.ai/gaudi", 1)),
    ({"rdma/ib": 8, "cambricon.com/mlu": 4}, [], ("cambricon.com/mlu", 4)),
    ({"example.com/a": 1, "example.com/b": 2}, [], ("example.com/b", 2)),
    ({"nvidia.com/gpu": 1}, [{"nvidia.com/gpu": 1}], ("nvidia.com/gpu", 1)),
    ({"nvidia.com/gpu": 2}, [{}, {"nvidia.com/gpu": 1}], ("nvidia.com/gpu", 2)),
    ({"nvidia.com/mig-3g.40gb": 1}, [{"nvidia.com/gpu": 2}], ("nvidia.com/mig-3g.40gb", 1)),
]


@pytest.mark.parametrize(("server", "beside", "holds"), BESIDE)
def test_only_the_servers_own_gpus_hold_the_model(
    server: dict[str, int], beside: list[dict[str, int]], holds: tuple[str, int]
) -> None:
    asked = [*(("log", devices) for devices in beside), ("vllm", server)]
    containers = [{"name": name, "resources": {"limits": devices}} for name, devices in asked]
    pod = PodShape.from_pod_template({"spec": {"containers": containers}}, "llm")
    demand = ModelMemory.of({"sizeBillions": 70}, None, pod)
    assert demand is not None
    assert (demand.resource, demand.gpus) == holds
    options = dict.fromkeys(("max_model_len", "tensor_parallel_size", "activation_gib", "non_torch_gib"))
    fit = {"model_config": LLAMA_70B, "weights_gib": 100, "pipeline_parallel_size": 1, "block_size": 16}
    fit |= {"gpu_memory_utilization": 0.9, "kv_cache_dtype": "auto", "gpu_memory_mib": None}
    fitted = demand_of_model({**options, **fit}, pod)
    assert (fitted.resource, fitted.serving.tensor_parallel) == holds


def test_a_network_card_is_no_gpu() -> None:
    limits = {"nvidia.com/gpu": 1, "vpc.amazonaws.com/efa": 4}
    pod = PodShape.from_pod_template({"spec": {"containers": [{"resources": {"limits": limits}}]}}, "llm")
    assert pod.device_resource() == "nvidia.com/gpu"


def test_a_pod_without_gpus_is_not_judged() -> None:
    assert ModelMemory.of({"sizeBillions": 70}, None, shape(0)) is None


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"num_attention_heads": 8}, "model_config"),
        (LLAMA_70B | {"num_hidden_layers": "many"}, "model_config.num_hidden_layers"),
        (LLAMA_70B | {"quantization_config": "awq"}, "model_config.quantization_config"),
    ],
)
def test_a_configuration_that_is_none_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as caught:
        ModelMemory.of({"sizeBillions": 70}, config, shape(1))
    assert caught.value.details == {"field": field}
