# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's arguments: bad ones name themselves, good ones become the pod that is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import gpu_capacity_info
from tests.support.kubernetes_objects import GPU, Cluster, node

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "hidden_size": 4096, "max_position_embeddings": 131072, "dtype": "bfloat16",
}  # fmt: skip


FIT: dict[str, Any] = {"model_config": CONFIG, "weights_gib": 1.0}


def run(cluster: Cluster | None = None, **arguments: Any) -> Outcome:
    """Validate the arguments as Ansible does and run the module on a cluster in memory."""
    contract = gpu_capacity_info.CONTRACT
    validated = ArgumentSpecValidator(
        dict(contract.argument_spec), mutually_exclusive=contract.mutually_exclusive
    ).validate(arguments)
    assert not validated.error_messages, validated.error_messages
    with pytest.MonkeyPatch.context() as patch:
        made = cluster or Cluster(node("a"))
        patch.setattr(ClusterClient, "from_params", lambda params: made)
        return contract.run(validated.validated_parameters, Context())


def errors(**arguments: Any) -> str:
    contract = gpu_capacity_info.CONTRACT
    validator = ArgumentSpecValidator(
        dict(contract.argument_spec), mutually_exclusive=contract.mutually_exclusive
    )
    return " ".join(validator.validate(arguments).error_messages)


def test_defaults_ask_for_one_gpu() -> None:
    result = run().result
    assert result["needs"] == {GPU: "1"}
    assert result["fits"] is True
    assert "memory_fit" not in result


def test_every_option_reaches_the_pod() -> None:
    labels = {"pool": "a", "nvidia.com/gpu.memory": "81559"}
    taint = {"key": "gpu-workload", "effect": "NoSchedule"}
    cluster = Cluster(node("a", labels=labels, taints=[taint]), node("b"))
    result = run(
        cluster, gpus=2, cpu="8", memory="48Gi", ephemeral_storage="10Gi", replicas=2,
        node_selector={"pool": "a"}, namespace="llm",
        tolerations=[{"key": "gpu-workload", "operator": "Exists"}],
    ).result  # fmt: skip
    assert result["needs"] == {"cpu": "8", "memory": "48Gi", "ephemeral-storage": "10Gi", GPU: "2"}
    assert [item["node"] for item in result["nodes_fit"]] == ["a"]
    assert "/api/v1/namespaces/llm/resourcequotas" in cluster.reads
    json.dumps(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"gpus": -1}, "gpus: -1 is negative"),
        ({"replicas": -2}, "replicas: -2 is negative"),
        ({"cpu": "-1"}, "cpu: '-1' is negative"),
        ({"memory": "48GB"}, "memory: '48GB' is not a quantity"),
        ({"ephemeral_storage": "lots"}, "ephemeral_storage: 'lots'"),
        ({"gpu_resource": "gpu; rm -rf /"}, "gpu_resource: 'gpu; rm -rf /'"),
        ({"gpu_resource": "cpu"}, "gpu_resource: 'cpu'"),
        ({"node_selector": {"count": 4}}, "node_selector.count: 4 is not text"),
        ({"namespace": "Not/A/Name"}, "namespace: 'Not/A/Name'"),
        ({"pod_template": {"spec": {}}}, "pod_template: .* has no spec.containers"),
        ({"gpus": 0, "memory_fit": FIT}, "memory_fit: .* needs a pod with GPUs"),
        ({"gpus": 3, "memory_fit": FIT}, "tensor_parallel_size: 3 does not divide"),
        ({"memory_fit": {**FIT, "weights_gib": -1.0}}, "weights: -1.0"),
        ({"memory_fit": {**FIT, "model_config": "/nowhere/c.json"}}, "memory_fit.model_config: '/nowhere"),
        ({"memory_fit": {**FIT, "model_config": 7}}, "memory_fit.model_config: 7 is neither"),
        ({"memory_fit": {**FIT, "gpu_memory_mib": -5}}, "gpu_memory_mib: -5"),
    ],
)  # fmt: skip
def test_bad_values_name_field_and_value(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(PlatformError, match=words) as caught:
        run(**arguments)
    assert caught.value.error_class.value == "invalid"
    assert caught.value.resolution


def test_spec_refuses_contradictions() -> None:
    template: dict[str, Any] = {"spec": {"containers": []}}
    assert "mutually exclusive" in errors(pod_template=template, gpus=2)
    assert "one of the following is required" in errors(memory_fit={"model_config": CONFIG})
    both = {"model_config": CONFIG, "weights_gib": 1.0, "parameters_billion": 8.0}
    assert "mutually exclusive" in errors(memory_fit=both)
    assert "cannot be converted" in errors(gpus="many")


@pytest.mark.parametrize(
    "weights",
    [
        {"weights_gib": 14.9},
        {"weights_bytes": 16_000_000_000},
        {"parameters_billion": 8.0},
        {"weights_index": ""},
    ],
    ids=lambda weights: next(iter(weights)),
)
def test_weights_in_every_way(weights: dict[str, Any], tmp_path: Path) -> None:
    if "weights_index" in weights:
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {"total_size": 16_000_000_000}}))
        weights = {"weights_index": str(index)}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    cluster = Cluster(node("a", labels={"nvidia.com/gpu.memory": "81559"}))
    result = run(cluster, memory_fit={"model_config": str(config), "max_model_len": 16000, **weights}).result
    assert result["fits"] is True
    assert result["memory_fit"][0]["weights_gib"] == pytest.approx(14.9, abs=0.01)
    assert result["memory_fit"][0]["nodes"] == 1


def test_memory_that_is_too_small_is_a_permanent_reason() -> None:
    cluster = Cluster(node("a", labels={"nvidia.com/gpu.memory": "16384"}))
    result = run(
        cluster, memory_fit={"model_config": CONFIG, "weights_gib": 15.0, "max_model_len": 8192}
    ).result
    assert result["permanent"] is True
    assert result["excluded_by"] == {"gpu_memory": 1}
    assert "tensor_parallel_size 2" in result["message"]


def test_memory_fit_refuses_shared_gpus_even_for_one() -> None:
    labels = {"nvidia.com/gpu.memory": "81559", "nvidia.com/gpu.replicas": "4"}
    options = {"model_config": CONFIG, "weights_gib": 15.0, "max_model_len": 8192}
    assert run(Cluster(node("a", labels=labels)), memory_fit=options).result["excluded_by"] == {
        "shared_gpu": 1
    }
    assert run(Cluster(node("a", labels=labels)), memory_fit=options, whole_gpus=False).result["fits"]
