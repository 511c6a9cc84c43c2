# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fake GPU nodes: several products, one with MIG slices, stable by number."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.quantity import parse_quantity
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.gpus import fake_node


def test_twelve_nodes_have_all_products_and_one_with_slices() -> None:
    nodes = [fake_node(number) for number in range(12)]
    products = {node["metadata"]["labels"]["nvidia.com/gpu.product"] for node in nodes}
    assert products == {
        "NVIDIA-H100-80GB-HBM3",
        "NVIDIA-A100-SXM4-40GB",
        "NVIDIA-L40S",
        "Tesla-T4",
        "NVIDIA-A100-SXM4-80GB",
    }
    sliced = [node for node in nodes if "nvidia.com/mig-1g.10gb" in node["status"]["allocatable"]]
    assert [node["metadata"]["name"] for node in sliced] == ["fake-gpu-4"]
    assert sliced[0]["metadata"]["labels"]["nvidia.com/mig.strategy"] == "mixed"


@pytest.mark.parametrize("number", range(12))
def test_ordinary_pods_never_land_on_a_fake_node(number: int) -> None:
    node = fake_node(number)
    assert node["metadata"]["name"] == f"fake-gpu-{number}"
    assert node["metadata"]["labels"]["node-type"] == "gpu"
    assert node["metadata"]["labels"]["type"] == "kwok"
    assert node["spec"]["taints"] == [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
    assert node["status"]["allocatable"] == node["status"]["capacity"]
    for amount in node["status"]["capacity"].values():
        assert parse_quantity(amount) > 0
