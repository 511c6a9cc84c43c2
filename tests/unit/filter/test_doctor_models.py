# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor takes of an inventory's hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.llmops.platform.plugins.filter.doctor_models import doctor_models


class Untold(dict[str, Any]):
    """Variables one of which cannot be told, as ``hostvars`` are."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a variable."""
        if key == "vllm_values":
            raise AnsibleUndefinedVariable("'pool' is undefined")
        return super().get(key, default)


OTHER = {"inventory_hostname": "b", "vllm_model": "org/B", "vllm_environment": "qa"}


def test_values_go_from_weak_to_strong() -> None:
    host = {
        "inventory_hostname": "llama",
        "vllm_environment_values": {"replicas": 1, "gpu": {"count": 1, "resource": "nvidia.com/gpu"}},
        "vllm_model_values": {"replicas": 2, "gpu": {"count": 2}},
        "vllm_values": {"gpu": {"count": 4}},
    }
    values = {"replicas": 2, "gpu": {"count": 4, "resource": "nvidia.com/gpu"}}
    (found,) = doctor_models([host])
    assert found == {"host": "llama", "model": "llama", "environment": "", "chart_values": values}


def test_a_host_whose_variables_cannot_be_told_is_there_all_the_same() -> None:
    hosts = [Untold(inventory_hostname="a"), OTHER]
    first, second = doctor_models(hosts)
    assert first["host"] == "a"
    assert "'pool' is undefined" in first["error"]
    assert second == {"host": "b", "model": "org/B", "environment": "qa", "chart_values": {}}


def host(name: str, **variables: str) -> dict[str, Any]:
    """Return the variables of a host of environment qa."""
    return {"inventory_hostname": name, "vllm_environment": "qa", **variables}


@pytest.mark.parametrize(
    ("looked_at", "other", "elsewhere"),
    [
        ({}, {}, None),
        ({}, {"vllm_namespace": "llm-qa"}, None),
        ({"vllm_namespace": "llm-qa"}, {}, None),
        ({"vllm_namespace": "a"}, {"vllm_namespace": "b"}, "namespace b"),
        ({"vllm_namespace": "a"}, {}, "namespace llm-qa"),
        ({"vllm_kubeconfig": "a"}, {"vllm_kubeconfig": "b"}, "kubeconfig b"),
        ({"vllm_kubeconfig": "a", "vllm_context": "c"}, {"vllm_kubeconfig": "a"}, "no context"),
        ({}, {"vllm_namespace": "b", "vllm_context": "c"}, "namespace b, context c"),
    ],
)
def test_a_model_that_is_elsewhere_says_where(
    looked_at: dict[str, str], other: dict[str, str], elsewhere: str | None
) -> None:
    first = host("a", **looked_at)
    found = doctor_models([first, host("b", **other)], first)
    assert [item.get("elsewhere") for item in found] == [None, elsewhere]


def test_localhost_is_no_model() -> None:
    assert doctor_models([{"inventory_hostname": "localhost"}]) == []
