# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a survey's model may be called beside the hosts of an inventory, and what the filter returns."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.filter import surveyed_model as plugin

GROUPS = {"all": ["bastion", "listed", "llama"], "models": ["listed", "llama"], "pool_l40s": ["llama"]}
#: One from an inventory file, and one that the registry lists.
HOSTS: list[dict[str, Any]] = [
    {"inventory_hostname": "llama", "vllm_model": "org/Llama"},
    {"inventory_hostname": "listed", "entry_model": "listed"},
]


@pytest.mark.parametrize("name", ["bastion", "llama", "localhost", "all", "models"])
def test_names_that_are_taken(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"would be called {name}"):
        plugin.surveyed_model({"model": name}, GROUPS, HOSTS)


@pytest.mark.parametrize("name", ["new", "listed"])
def test_names_that_are_free(name: str) -> None:
    assert plugin.surveyed_model({"model": name}, GROUPS, HOSTS)["host"] == name


def test_it_returns_what_it_documents() -> None:
    documented = yaml.safe_load(plugin.RETURN)["_value"]["contains"]
    assert list(plugin.surveyed_model({"model": "new"}, GROUPS)) == list(documented)
