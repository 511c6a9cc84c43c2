# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the registry's entries look as inventory hosts: name, variables, groups. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name

#: Group of all hosts, as in the inventories that models are deployed from.
ALL_MODELS = "models"


def host_name(entry: Mapping[str, Any]) -> str:
    """Return ``{slug}-{environment}``: a model in two environments is two hosts."""
    return release_name(entry["model"], entry["environment"])


def host_variables(entry: Mapping[str, Any], python: str) -> dict[str, Any]:
    """Return the variables of a host: those that playbooks of the collection use, and the row as ``entry_*``.

    ``entry`` is the entry as JSON; ``python`` is the interpreter of the controller.
    """
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": python,
        "vllm_model": entry["model"],
        "vllm_environment": entry["environment"],
        **{f"entry_{name}": value for name, value in entry.items()},
    }
    if entry["namespace"] is not None:
        variables["vllm_namespace"] = entry["namespace"]
    if entry["release_name"] is None and entry["endpoint"] is not None:
        # No release has a Service for it, so role registration verifies it where it is.
        variables["registration_endpoint"] = entry["endpoint"]
    return variables


def host_groups(entry: Mapping[str, Any]) -> list[str]:
    """Return the groups of a host. A prefix keeps a namespace apart from an environment of the same name."""
    groups = [
        ALL_MODELS,
        f"environment_{entry['environment']}",
        f"status_{entry['status']}",
        f"desired_{entry['desired_state']}",
    ]
    if entry["namespace"]:
        groups.append(f"namespace_{entry['namespace']}")
    return groups
