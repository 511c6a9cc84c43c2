# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries as inventory hosts: names that no two share, groups and variables; and the filter for names."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.filter.release_name import name_of_release
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    Entry,
    as_json,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._registry_hosts import (
    host_groups,
    host_name,
    host_variables,
)

MODELS = [
    "org/Model-7B",
    "org/model-7b",
    "other/Model-7B",
    "model-7b",
    "Model.7B",
    "{{ 7 * 7 }}",
    "大模型",
    " ",
    "-",
]


def test_every_target_has_a_host_of_its_own() -> None:
    names = {
        host_name(as_json(Entry(model, environment)))
        for model in MODELS
        for environment in ("development", "staging", "production")
    }
    assert len(names) == 3 * len(MODELS)
    assert all(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) for name in names)


def test_variables_without_a_namespace_are_left_to_the_playbooks() -> None:
    variables = host_variables(as_json(Entry("m", "staging", endpoint="http://h:1")), "/python")
    assert variables["ansible_python_interpreter"] == "/python"
    assert variables["registration_endpoint"] == "http://h:1"
    assert "vllm_namespace" not in variables
    released = Entry("m", "staging", endpoint="http://h:1", namespace="ns", release_name="m-staging")
    variables = host_variables(as_json(released), "/python")
    assert variables["vllm_namespace"] == "ns"
    assert "registration_endpoint" not in variables
    assert {f"entry_{name}" for name in as_json(released)} < set(variables)


def test_groups_do_not_collide() -> None:
    entry = as_json(Entry("m", "production", status="ready", namespace="production"))
    assert host_groups(entry) == [
        "models",
        "environment_production",
        "status_ready",
        "desired_enabled",
        "namespace_production",
    ]


def test_filter_names_the_release_or_says_what_is_wrong() -> None:
    assert name_of_release("mistral-7b", "staging") == "mistral-7b-staging"
    for model, environment in (("", "staging"), ("m", "Q A"), ("{{ x }}", "staging")):
        with pytest.raises(AnsibleFilterError, match="release_name"):
            name_of_release(model, environment)
