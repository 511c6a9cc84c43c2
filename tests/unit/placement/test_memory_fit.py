# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory fit: rows that were observed with a real engine, and the cases that must not fit.

Source of the rows: llm-d-planner, docs/empirical-vllm-memory-results.md (H100, vLLM 0.11).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.memory_demand import (
    MemoryDemand,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.memory_fit import (
    GIB,
    MemoryFit,
    ModelGeometry,
    Serving,
    memory_fit,
    weights_bytes_of_index,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import Node
from tests.support.kubernetes_objects import node

H100 = 79.18


def model(
    layers: int = 32, kv_heads: int = 8, head_dim: int = 128, heads: int = 32, **more: Any
) -> ModelGeometry:
    return ModelGeometry("LlamaForCausalLM", layers, heads, kv_heads, head_dim, "bfloat16", **more)


GPT_OSS_20B = model(layers=24, head_dim=64, heads=64, mixture_of_experts=True)
GPT_OSS_120B = model(layers=36, head_dim=64, heads=64, mixture_of_experts=True)
LLAMA_70B = model(layers=80, heads=64)
LLAMA_8B = model()
QWEN_06B = model(layers=28, heads=16)
QWEN_32B = model(layers=64, heads=64)
MISTRAL_24B = model(layers=40, multimodal=True)
DEEPSEEK_R1 = model(layers=61, kv_heads=128, heads=128, latent_width=576, mixture_of_experts=True)


def fit(
    geometry: ModelGeometry,
    tp: int,
    utilization: float,
    weights: float,
    activation: float,
    non_torch: float,
    context: int = 16000,
) -> MemoryFit:
    """Judge with the table's weights for one GPU."""
    serving = Serving(
        weights_gib=weights * tp,
        max_model_len=context,
        tensor_parallel=tp,
        utilization=utilization,
        block_size=128,
        activation_gib=activation,
        non_torch_gib=non_torch,
    )
    return memory_fit(geometry, serving, H100)


@pytest.mark.parametrize(
    ("geometry", "tp", "utilization", "weights", "activation", "non_torch", "observed"),
    [
        pytest.param(GPT_OSS_20B, 1, 0.90, 13.47, 7.38, 0.13, 50.28, id="G1"),
        pytest.param(GPT_OSS_120B, 1, 0.95, 64.38, 7.38, 0.13, 3.33, id="G2"),
        pytest.param(LLAMA_70B, 2, 0.90, 33.88, 4.84, 0.55, 32.00, id="G3"),
        pytest.param(LLAMA_8B, 1, 0.90, 14.99, 4.76, 0.13, 51.38, id="G4"),
        pytest.param(QWEN_06B, 1, 0.90, 1.12, 5.56, 0.13, 64.45, id="G5"),
        pytest.param(QWEN_32B, 1, 0.90, 61.03, 5.64, 0.14, 4.45, id="G6"),
        pytest.param(QWEN_32B, 2, 0.90, 30.59, 5.64, 0.54, 34.49, id="G7"),
        pytest.param(MISTRAL_24B, 1, 0.95, 44.76, 2.12, 0.14, 28.20, id="G8"),
    ],
)
def test_golden_rows(
    geometry: ModelGeometry,
    tp: int,
    utilization: float,
    weights: float,
    activation: float,
    non_torch: float,
    observed: float,
) -> None:
    found = fit(geometry, tp, utilization, weights, activation, non_torch)
    assert found.kv_gib == pytest.approx(observed, abs=0.0101)
    assert found.fits
    assert found.suggestion == ""


def test_n1_70b_on_one_gpu_is_sent_to_two() -> None:
    found = fit(LLAMA_70B, 1, 0.90, 67.72, 4.84, 0.13)
    assert found.kv_gib == pytest.approx(-1.43, abs=0.011)
    assert (found.fits, found.tokens) == (False, 0)
    assert found.suggestion == "Use tensor_parallel_size 2."


def test_n2_and_n3_context_decides() -> None:
    long = fit(QWEN_32B, 1, 0.90, 61.03, 5.64, 0.14, context=32000)
    assert not long.fits
    assert long.kv_needed_gib == pytest.approx(7.81, abs=0.005)
    assert long.suggestion.startswith("Use tensor_parallel_size 2 or max_model_len 18")
    short = fit(QWEN_32B, 1, 0.90, 61.03, 5.64, 0.14, context=16000)
    assert short.fits
    assert short.kv_needed_gib == pytest.approx(3.91, abs=0.005)


def test_n4_weights_alone_exceed_the_gpu() -> None:
    found = memory_fit(DEEPSEEK_R1, Serving(weights_gib=641.0, max_model_len=4096), H100)
    assert not found.fits
    assert found.weights_gib > H100
    assert "tensor_parallel_size 16" in found.suggestion


def test_n5_utilization_decides() -> None:
    found = fit(GPT_OSS_120B, 1, 0.90, 64.38, 7.38, 0.13)
    assert found.kv_gib == pytest.approx(-0.628, abs=0.001)
    assert not found.fits


@pytest.mark.parametrize(
    ("geometry", "tp", "kv_gib", "whole", "each", "tokens", "blocks"),
    [
        pytest.param(MISTRAL_24B, 1, 28.203125, 163840, 163840, 184832, 1444, id="Mistral-Small-24B"),
        pytest.param(LLAMA_8B, 1, 51.38, 131072, 131072, 420904, 3288, id="Llama-3.1-8B"),
        pytest.param(LLAMA_70B, 2, 32.00, 327680, 163840, 209715, 1638, id="Llama-3.3-70B"),
        pytest.param(QWEN_32B, 1, 4.45, 262144, 262144, 18227, 142, id="Qwen3-32B TP1"),
        pytest.param(QWEN_32B, 2, 34.49, 262144, 131072, 282542, 2207, id="Qwen3-32B TP2"),
    ],
)
def test_kv_table(
    geometry: ModelGeometry, tp: int, kv_gib: float, whole: int, each: int, tokens: int, blocks: int
) -> None:
    assert geometry.kv_bytes_per_token(2) == whole
    # Everything but the cache is nothing, so that the cache gets exactly what the table says.
    serving = Serving(
        weights_gib=1e-12, max_model_len=16000, tensor_parallel=tp, utilization=1.0, block_size=128,
        activation_gib=0.0, non_torch_gib=0.0,
    )  # fmt: skip
    found = memory_fit(geometry, serving, kv_gib + 1e-9)
    assert found.kv_bytes_per_token == each
    assert found.tokens == tokens
    assert found.blocks == blocks


def test_concurrency_of_the_observed_row() -> None:
    found = fit(MISTRAL_24B, 1, 0.95, 44.76, 2.12, 0.14)
    assert found.concurrency == pytest.approx(11.55, abs=0.01)


def test_replicated_heads_are_not_split() -> None:
    assert LLAMA_8B.kv_shares(8, 1) == LLAMA_8B.kv_shares(16, 1) == 8
    assert LLAMA_8B.kv_bytes_per_token(2) / LLAMA_8B.kv_shares(16, 1) == 16384
    assert DEEPSEEK_R1.kv_shares(8, 2) == 2


def test_reads_configurations() -> None:
    nested = {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "vision_config": {},
        "text_config": {
            "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "hidden_size": 5120, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
        },
    }  # fmt: skip
    found = ModelGeometry.from_config(nested)
    assert (found.layers, found.kv_heads, found.head_dim, found.multimodal) == (40, 8, 128, True)
    old = {"n_layer": 12, "n_head": 12, "n_embd": 768}
    assert ModelGeometry.from_config(old).head_dim == 64
    assert ModelGeometry.from_config({**old, "multi_query": True}).kv_heads == 1
    latent = {**old, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "n_routed_experts": 256}
    assert ModelGeometry.from_config(latent).latent_width == 576
    assert ModelGeometry.from_config(latent).mixture_of_experts


@pytest.mark.parametrize(
    "config",
    [[], {}, {"num_hidden_layers": 0}, {"num_hidden_layers": "32"}, {"num_hidden_layers": True},
     {"num_hidden_layers": 2, "num_attention_heads": 2}],
)  # fmt: skip
def test_bad_configuration_is_an_invalid_error(config: Any) -> None:
    with pytest.raises(PlatformError, match="model_config"):
        ModelGeometry.from_config(config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tensor_parallel": 3}, "tensor_parallel_size: 3 does not divide the 32 attention heads"),
        ({"tensor_parallel": 0}, "tensor_parallel: 0 is below 1"),
        ({"max_model_len": -1}, "max_model_len: -1 is below 1"),
        ({"utilization": 1.1}, "gpu_memory_utilization: 1.1"),
        ({"weights_gib": 0.0}, "weights: 0.0"),
        ({"kv_dtype": "int3"}, "kv_cache_dtype: 'int3'"),
    ],
)
def test_bad_settings_name_themselves(change: dict[str, Any], words: str) -> None:
    serving = Serving(**{"weights_gib": 15.0, "max_model_len": 4096, **change})
    with pytest.raises(PlatformError, match=words):
        memory_fit(LLAMA_8B, serving, H100)


def test_fp8_cache_halves_a_token() -> None:
    serving = Serving(weights_gib=15.0, max_model_len=4096, kv_dtype="fp8")
    assert memory_fit(LLAMA_8B, serving, H100).kv_bytes_per_token == 65536


@given(st.floats(1, 400), st.sampled_from([1, 2, 4, 8]), st.integers(1, 200_000), st.floats(0.5, 1))
def test_more_memory_never_hurts_and_a_suggestion_holds(
    weights: float, tp: int, context: int, share: float
) -> None:
    serving = Serving(weights_gib=weights, max_model_len=context, tensor_parallel=tp, utilization=share)
    small, large = memory_fit(LLAMA_8B, serving, 40.0), memory_fit(LLAMA_8B, serving, 80.0)
    assert large.tokens >= small.tokens
    assert large.fits or not small.fits
    shorter = small.suggestion.partition("max_model_len ")[2].partition(" ")[0]
    if shorter:
        trial = Serving(weights, int(shorter), tp, utilization=share)
        assert memory_fit(LLAMA_8B, trial, 40.0).fits


def test_weights_from_an_index() -> None:
    assert weights_bytes_of_index({"metadata": {"total_size": 2 * GIB}}) == 2 * GIB
    broken: list[dict[str, Any]] = [{}, {"metadata": {}}, {"metadata": {"total_size": -1}}]
    for bad in broken:
        with pytest.raises(PlatformError, match="weights_index"):
            weights_bytes_of_index(bad)


def test_nodes_are_judged_by_their_label() -> None:
    demand = MemoryDemand(LLAMA_8B, Serving(weights_gib=15.0, max_model_len=16000), "nvidia.com/gpu")
    label = "nvidia.com/gpu.memory"
    assert demand(Node.from_object(node("big", labels={label: "81559"}))) is None
    small = demand(Node.from_object(node("small", labels={label: "23028"})))
    assert small is not None
    assert "GPUs of 23028 MiB" in small.reason
    assert "tensor_parallel_size 2" in small.reason
    unknown = demand(Node.from_object(node("unknown")))
    assert unknown is not None
    assert "no label nvidia.com/gpu.memory" in unknown.reason
    assert demand(Node.from_object(node("cpu", gpus=0))) is None
    rows = demand.as_result()
    assert [(row["gpu_memory_mib"], row["nodes"], row["fits"]) for row in rows] == [
        (81559, 1, True),
        (23028, 1, False),
    ]
    told = MemoryDemand(LLAMA_8B, demand.serving, "nvidia.com/gpu", gpu_memory_mib=81559)
    assert told(Node.from_object(node("unknown"))) is None
