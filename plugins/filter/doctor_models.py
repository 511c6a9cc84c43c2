# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: doctor_models
short_description: Hosts of an inventory as the models that platform_doctor_info looks at
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes of each host what role P(llmops.platform.vllm#role) takes. A host whose variables cannot be told is
    there all the same, with the reason.
  - The host C(localhost) is no model.
positional: looked_at
options:
  _input:
    description: The variables of hosts, as C(ansible_play_hosts | map('extract', hostvars)) returns them.
    type: list
    elements: dict
    required: true
  looked_at:
    description:
      - The variables of the host whose namespace and cluster are looked at.
      - Of a model that is elsewhere is said where.
      - Without it nothing is compared.
    type: dict
seealso:
  - module: llmops.platform.platform_doctor_info
"""

EXAMPLES = r"""
- name: Look at the models of this play
  llmops.platform.platform_doctor_info:
    models: "{{ ansible_play_hosts | map('extract', hostvars)
                | llmops.platform.doctor_models(hostvars[inventory_hostname]) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: What the option C(models) of the module takes.
  type: list
  elements: dict
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleError
from ansible.utils.vars import merge_hash
from jinja2.exceptions import UndefinedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

# From weak to strong.
_VALUES = ("vllm_environment_values", "vllm_model_values", "vllm_values")


def doctor_models(
    hosts: Iterable[Mapping[str, Any]], looked_at: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the models of hosts, each with its values or with the reason why they cannot be told."""
    return [
        _model(variables, looked_at) for variables in hosts if variables["inventory_hostname"] != "localhost"
    ]


def _model(variables: Mapping[str, Any], looked_at: Mapping[str, Any] | None) -> dict[str, Any]:
    host = str(variables["inventory_hostname"])
    try:
        values: dict[str, Any] = {}
        for name in _VALUES:
            values = merge_hash(values, _told(variables.get(name) or {}))
        found = {
            "host": host,
            "model": str(variables.get("vllm_model", host)),
            "environment": str(variables.get("vllm_environment", "")),
            "chart_values": values,
        }
        elsewhere = _difference(_place(variables), _place(looked_at)) if looked_at is not None else ""
        return {**found, "elsewhere": elsewhere} if elsewhere else found
    except (AnsibleError, UndefinedError) as error:
        return {"host": host, "error": str(error)}


def _place(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return where a host's model is, by what the roles have for it."""
    environment = variables.get("vllm_environment") or "development"
    return {
        "namespace": str(variables.get("vllm_namespace") or f"llm-{environment}"),
        "kubeconfig": str(variables.get("vllm_kubeconfig") or ""),
        "context": str(variables.get("vllm_context") or ""),
    }


def _difference(place: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return in words what a place has that another one has not."""
    differing = [(name, value) for name, value in place.items() if value != other[name]]
    return ", ".join(f"{name} {value}" if value else f"no {name}" for name, value in differing)


def _told(value: Any) -> Any:
    """Return the value with all that is in it, which raises where that cannot be told."""
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_told(item) for item in value]
    # What is not defined is a value of its own until somebody wants to read it.
    str(value)
    return value


class FilterModule:
    """Filters of the collection about what is examined."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"doctor_models": doctor_models}
