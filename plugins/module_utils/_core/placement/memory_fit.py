# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Do a model's weights and its KV cache fit into GPU memory? Formulas only, GiB = 2^30 bytes, per GPU.

The constants were observed with vLLM 0.11 on H100. The estimate is for planning: the engine profiles the
real numbers when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..common.errors import invalid

GIB = 2**30
#: The engine sees less than the label says (79.18 of 79.65 GiB on an H100 with 80 GB).
LABEL_MARGIN_GIB = 1.0

_DTYPE_BYTES = {
    "float32": 4.0, "float": 4.0, "float16": 2.0, "half": 2.0, "bfloat16": 2.0,
    "float8_e4m3fn": 1.0, "float8_e5m2": 1.0, "fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "int8": 1.0,
}  # fmt: skip
#: GiB that one forward pass takes; independent of context length and batch.
_ACTIVATION_DENSE = 5.5
_ACTIVATION_MOE = 8.0
_ACTIVATION_MULTIMODAL = 2.5
_ACTIVATION_BY_ARCHITECTURE = {"LlamaForCausalLM": 4.8, "Qwen2ForCausalLM": 5.6, "Qwen3ForCausalLM": 5.6}
#: CUDA context and communication buffers.
_NON_TORCH_ALONE = 0.15
_NON_TORCH_PARALLEL = 0.6
_LARGEST_TENSOR_PARALLEL = 64

_ADVICE_CONFIG = "Give the config.json of a transformer language model."


@dataclass(frozen=True)
class ModelGeometry:
    """What a model's ``config.json`` says about attention and size."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    dtype: str
    mixture_of_experts: bool = False
    multimodal: bool = False
    #: Multi-head latent attention caches this many numbers a layer and token instead of keys and values.
    latent_width: int | None = None
    max_context: int | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], field: str = "model_config") -> ModelGeometry:
        """Read a ``config.json``; multimodal ones keep the language model under ``text_config``."""
        if not isinstance(config, Mapping):
            raise invalid(field, config, "is not a JSON object", _ADVICE_CONFIG)
        text = next(
            (config[key] for key in ("text_config", "llm_config") if isinstance(config.get(key), Mapping)),
            config,
        )
        layers = _positive(text, field, "num_hidden_layers", "n_layer", "n_layers")
        heads = _positive(text, field, "num_attention_heads", "n_head", "n_heads")
        default_kv = 1 if text.get("multi_query") else heads
        kv_heads = _positive(
            text, field, "num_key_value_heads", "num_kv_heads", "multi_query_group_num", default=default_kv
        )
        if text.get("head_dim"):
            head_dim = _positive(text, field, "head_dim")
        else:
            head_dim = _positive(text, field, "hidden_size", "n_embd", "d_model") // heads
        latent = None
        if text.get("kv_lora_rank"):
            latent = _positive(text, field, "kv_lora_rank") + _positive(text, field, "qk_rope_head_dim")
        architectures = config.get("architectures") or ["unknown"]
        experts = any(text.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts"))
        dtype = text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype") or "bfloat16"
        return cls(
            architecture=str(architectures[0]),
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            dtype=str(dtype).removeprefix("torch."),
            mixture_of_experts=experts,
            multimodal="vision_config" in config or "audio_config" in config,
            latent_width=latent,
            max_context=text.get("max_position_embeddings"),
        )

    def kv_bytes_per_token(self, bytes_per_number: float) -> float:
        """Return the KV cache of one token for the whole model, in bytes."""
        if self.latent_width is not None:
            return self.layers * self.latent_width * bytes_per_number
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_number

    def kv_shares(self, tensor_parallel: int, pipeline_parallel: int) -> int:
        """Return among how many GPUs the cache is split: heads that are replicated are not split."""
        if self.latent_width is not None:
            return pipeline_parallel
        return min(tensor_parallel, self.kv_heads) * pipeline_parallel

    def activation_gib(self) -> float:
        """Return the conservative activation memory for this kind of model."""
        if self.multimodal:
            return _ACTIVATION_MULTIMODAL
        if self.mixture_of_experts:
            return _ACTIVATION_MOE
        return _ACTIVATION_BY_ARCHITECTURE.get(self.architecture, _ACTIVATION_DENSE)


def _positive(config: Mapping[str, Any], field: str, *names: str, default: int | None = None) -> int:
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise invalid(f"{field}.{name}", value, "is not a whole number above zero", _ADVICE_CONFIG)
        return value
    if default is None:
        raise invalid(field, sorted(config), f"has no {names[0]}", _ADVICE_CONFIG)
    return default


def dtype_bytes(dtype: str, field: str = "dtype") -> float:
    """Return the bytes of one number of a torch or vLLM type name."""
    try:
        return _DTYPE_BYTES[dtype]
    except KeyError:
        raise invalid(field, dtype, "is not a known type", f"Use one of {', '.join(_DTYPE_BYTES)}.") from None


@dataclass(frozen=True)
class Serving:
    """How the engine is started. ``None`` for a constant means the conservative one."""

    weights_gib: float
    max_model_len: int
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    utilization: float = 0.9
    block_size: int = 16
    kv_dtype: str = "auto"
    activation_gib: float | None = None
    non_torch_gib: float | None = None

    def checked(self, model: ModelGeometry) -> Serving:
        """Return itself, or raise an ``invalid`` error that names the setting."""
        for name in ("max_model_len", "tensor_parallel", "pipeline_parallel", "block_size"):
            if getattr(self, name) < 1:
                raise invalid(name, getattr(self, name), "is below 1", "Give a whole number of 1 or more.")
        if self.weights_gib <= 0:
            raise invalid("weights", self.weights_gib, "is not above zero", "Give the size of the weights.")
        if not 0 < self.utilization <= 1:
            advice = "Give a share above 0 and up to 1, such as 0.9."
            raise invalid("gpu_memory_utilization", self.utilization, "is not a share", advice)
        if model.heads % self.tensor_parallel:
            divisors = [str(n) for n in range(1, _LARGEST_TENSOR_PARALLEL + 1) if model.heads % n == 0]
            raise invalid(
                "tensor_parallel_size",
                self.tensor_parallel,
                f"does not divide the {model.heads} attention heads of the model",
                f"Use one of {', '.join(divisors)}.",
            )
        return self


@dataclass(frozen=True)
class MemoryFit:
    """Where the memory of one GPU goes, and what is left for the KV cache."""

    fits: bool
    gpu_memory_gib: float
    weights_gib: float
    activation_gib: float
    non_torch_gib: float
    kv_gib: float
    kv_needed_gib: float
    kv_bytes_per_token: float
    tokens: int
    blocks: int
    concurrency: float
    tensor_parallel: int
    suggestion: str

    def as_result(self) -> dict[str, Any]:
        """Return JSON types, GiB rounded to thousandths."""
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in shown.items()}


def memory_fit(model: ModelGeometry, serving: Serving, gpu_memory_gib: float) -> MemoryFit:
    """Judge one model on GPUs that show ``gpu_memory_gib`` to the engine.

    Fits when the cache holds one request of ``max_model_len`` tokens. Where it does not, the suggestion is
    the smallest larger tensor parallelism that divides the heads and fits, and the context that would fit.
    """
    found = _evaluate(model, serving.checked(model), gpu_memory_gib)
    if found.fits:
        return found
    return replace(found, suggestion=_suggest(model, serving, found))


def _evaluate(model: ModelGeometry, serving: Serving, gpu_memory_gib: float) -> MemoryFit:
    tp, pp = serving.tensor_parallel, serving.pipeline_parallel
    weights = serving.weights_gib / (tp * pp)
    activation = serving.activation_gib if serving.activation_gib is not None else model.activation_gib()
    non_torch = serving.non_torch_gib
    if non_torch is None:
        non_torch = _NON_TORCH_PARALLEL if tp > 1 else _NON_TORCH_ALONE
    kv_gib = serving.utilization * gpu_memory_gib - weights - activation - non_torch
    kv_dtype = model.dtype if serving.kv_dtype == "auto" else serving.kv_dtype
    per_token = model.kv_bytes_per_token(dtype_bytes(kv_dtype, "kv_cache_dtype")) / model.kv_shares(tp, pp)
    tokens = max(0, int(kv_gib * GIB // per_token))
    return MemoryFit(
        fits=tokens >= serving.max_model_len,
        gpu_memory_gib=gpu_memory_gib,
        weights_gib=weights,
        activation_gib=activation,
        non_torch_gib=non_torch,
        kv_gib=kv_gib,
        kv_needed_gib=serving.max_model_len * per_token / GIB,
        kv_bytes_per_token=per_token,
        tokens=tokens,
        blocks=tokens // serving.block_size,
        concurrency=tokens / serving.max_model_len,
        tensor_parallel=tp,
        suggestion="",
    )


def _suggest(model: ModelGeometry, serving: Serving, found: MemoryFit) -> str:
    ways: list[str] = []
    for tp in range(serving.tensor_parallel + 1, _LARGEST_TENSOR_PARALLEL + 1):
        if model.heads % tp == 0:
            # What was measured for the present parallelism says nothing about another one.
            wider = replace(serving, tensor_parallel=tp, non_torch_gib=None)
            if _evaluate(model, wider, found.gpu_memory_gib).fits:
                ways.append(f"tensor_parallel_size {tp}")
                break
    context = found.tokens // serving.block_size * serving.block_size
    if context > 0:
        ways.append(f"max_model_len {context} or less")
    if not ways:
        return "Use GPUs with more memory, or a smaller or quantised model."
    return f"Use {' or '.join(ways)}."


def weights_bytes_of_index(index: Mapping[str, Any], field: str = "weights_index") -> int:
    """Return the size of all tensors from a ``model.safetensors.index.json``."""
    size = (index.get("metadata") or {}).get("total_size") if isinstance(index, Mapping) else None
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        advice = "Give a model.safetensors.index.json, or weights_gib."
        raise invalid(field, size, "is no metadata.total_size of a safetensors index", advice)
    return size
