# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Could a model's weights, and the cache of one request, fit into a node's GPUs? Certain noes, and doubts.

A deployment is refused only for what no engine can make fit: the weights at the least that they may take,
with nothing else beside them but the cache that the engine insists on. What is merely unlikely is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.errors import invalid
from .memory_fit import GIB, LABEL_MARGIN_GIB, ModelGeometry, Serving, dtype_bytes, memory_fit
from .pod_resources import server_requests
from .scheduling import Misfit, Node, PodShape, computing_device

#: Bytes of one weight by the name of a quantisation. Others are taken for the smallest that are in use.
_QUANTIZED = {"fp8": 1.0, "fbgemm_fp8": 1.0, "ptpc_fp8": 1.0, "awq": 0.5}
#: Less than the 2 bits of the smallest formats, with their scales.
_SMALLEST = 0.2
#: Arguments that spread a model over more than the pod's GPUs, or go by other rules.
_OTHER_RULES = re.compile(r"offload|pipeline|^-pp|data-parallel|expert-parallel|kv-cache-memory|load-format")
_UTILIZATION = 0.9
#: Parts of the names by which configurations say that not all layers keep all tokens.
_LIMITED = (
    *("sliding", "layer_types", "layers_block", "mamba", "chunk", "linear_", "ssm"),
    *("block_configs", "full_attention", "attn_type", "hybrid"),
)


@dataclass
class ModelMemory:
    """The memory that a model needs in each pod. ``least`` and ``likely`` are GiB of weights in all GPUs."""

    resource: str
    gpus: int
    least_gib: float
    likely_gib: float
    utilization: float = _UTILIZATION
    geometry: ModelGeometry | None = None
    context: int | None = None  #: tokens of the longest request, None where the engine may choose
    doubts: dict[int, str] = field(default_factory=dict)  #: by the memory of a GPU in MiB

    @classmethod
    def of(
        cls, model: Mapping[str, Any], config: Mapping[str, Any] | None, shape: PodShape
    ) -> ModelMemory | None:
        """Return what the chart's values of a model, and its ``config.json``, say; None for nothing.

        Raises ``invalid`` for a configuration that is none.
        """
        geometry = _geometry(config)
        devices = server_requests(shape.template["spec"])
        resource = computing_device(devices)
        size = model.get("sizeBillions")
        otherwise = any(_OTHER_RULES.search(str(item)) for item in model.get("extraArgs") or ())
        otherwise = otherwise or str(model.get("source") or "").endswith(".gguf")
        if resource is None or otherwise or not (size or geometry):
            return None
        least, likely = _bytes_of_a_weight(model, config, geometry)
        parameters = float(size or 0) * 1e9
        context = model.get("maxModelLen") or (geometry.max_context if geometry else None)
        return cls(
            resource,
            devices[resource],
            parameters * least / GIB,
            parameters * likely / GIB,
            float(model.get("gpuMemoryUtilization") or _UTILIZATION),
            geometry,
            context if isinstance(context, int) and not _limits_its_cache(config) else None,
        )

    def __call__(self, node: Node) -> Misfit | None:
        """Return why the model cannot run on the node. One that does not tell its memory is not refused."""
        stated = node.labels.get(f"{self.resource}.memory", "")
        if not stated.isdigit() or not int(stated) or not self.gpus:
            return None
        size = int(stated)
        has = self.utilization * size / 1024
        needs = self.least_gib / self.gpus + self._least_cache_gib()
        if needs > has:
            reason = (
                f"has GPUs of {size} MiB, of which the engine may use {has:.1f} GiB, where each of "
                f"{self.gpus} would hold {needs:.1f} GiB"
            )
            return Misfit(
                "gpu_memory",
                reason,
                False,
                resource=self.resource,
                has=f"{has:.1f}GiB",
                needs=f"{needs:.1f}GiB",
            )
        if doubt := self._doubt(size):
            self.doubts[size] = doubt
        return None

    def warnings(self) -> list[str]:
        """Say what may turn out not to fit."""
        return [
            f"Memory is tight on GPUs of {size} MiB: {doubt}" for size, doubt in sorted(self.doubts.items())
        ]

    def _least_cache_gib(self) -> float:
        """Return the cache of the longest request in one GPU, of the smallest numbers that there are."""
        if self.geometry is None or self.context is None:
            return 0.0
        shares = self.geometry.kv_shares(self.gpus, 1)
        return self.context * self.geometry.kv_bytes_per_token(1.0) / shares / GIB

    def _doubt(self, size_mib: int) -> str:
        visible = size_mib / 1024 - LABEL_MARGIN_GIB
        share = self.utilization * visible
        weights = self.likely_gib / self.gpus
        if weights > share:
            return f"unless they are quantised, weights take {weights:.1f} of {share:.1f} GiB."
        if self.geometry is None or self.context is None or not self.likely_gib:
            return ""
        if self.geometry.heads % self.gpus:
            return f"{self.gpus} GPUs do not divide the model's {self.geometry.heads} attention heads."
        serving = Serving(self.likely_gib, self.context, self.gpus, utilization=self.utilization)
        found = memory_fit(self.geometry, serving, visible)
        if found.fits:
            return ""
        return (
            f"{found.kv_gib:.1f} GiB may be left for the cache, where one request of {self.context} tokens "
            f"takes {found.kv_needed_gib:.1f} GiB. {found.suggestion}"
        )


def _limits_its_cache(config: Mapping[str, Any] | None) -> bool:
    """Tell whether some layers keep less than all tokens, by which no formula here goes."""
    text = str(sorted(_keys(config or {})))
    return any(word in text for word in _LIMITED)


def _geometry(config: Mapping[str, Any] | None) -> ModelGeometry | None:
    """Return what a configuration says of attention; None where it knows none, as for state spaces."""
    if config is None:
        return None
    if isinstance(config, Mapping) and not any("head" in key for key in _keys(config)):
        return None
    return ModelGeometry.from_config(config, "model_config")


def _keys(config: Mapping[str, Any]) -> set[str]:
    inner = (value for value in config.values() if isinstance(value, Mapping))
    own = {str(key) for key, value in config.items() if value not in (None, False)}
    return own.union(*(_keys(value) for value in inner))


def _bytes_of_a_weight(
    model: Mapping[str, Any], config: Mapping[str, Any] | None, geometry: ModelGeometry | None
) -> tuple[float, float]:
    """Return the bytes of one weight: the least that it may be, and what is likely."""
    dtype = model.get("dtype")
    if dtype in (None, "auto"):
        dtype = geometry.dtype if geometry else "bfloat16"
    full = dtype_bytes(str(dtype), "model.dtype")
    if model.get("dtype") in (None, "auto"):
        # The engine takes 16 bits of what is stored with 32.
        full = min(full, 2.0)
    name = model.get("quantization")
    stored = _stored(config or {})
    if stored is not None and not isinstance(stored, Mapping):
        advice = "Give the config.json as the model has it."
        raise invalid("model_config.quantization_config", stored, "is not a JSON object", advice)
    if name is None and stored is None:
        # Without its configuration nobody knows whether a checkpoint is quantised.
        return (full if geometry is not None else min(full, _SMALLEST)), full
    if name is None and stored is not None:
        bits = stored.get("bits")
        if isinstance(bits, int) and not isinstance(bits, bool) and bits > 0:
            return bits / 8, bits / 8
        name = str(stored.get("quant_method", ""))
        if "fp8" in str(stored.get("quant_algo", "")).lower():
            name = "fp8"
    least = _QUANTIZED.get(str(name).lower(), _SMALLEST)
    return least, least


def _stored(config: Mapping[str, Any]) -> Any:
    """Return what a configuration says of quantisation, wherever the engine looks for it."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, Mapping) else {}):
        for key in ("quantization_config", "compression_config"):
            if place.get(key) is not None:
                return place[key]
    return None
