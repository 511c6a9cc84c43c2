# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_targets
short_description: Hosts of an inventory that mean the same model in the same environment
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Two hosts that deploy one model to one environment would wait for each other's lock, and then undo what
    the other did. The playbook C(llmops.platform.deploy) refuses such an inventory.
options:
  _input:
    description: The variables of hosts, as C(ansible_play_hosts | map('extract', hostvars)) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: See that each model is deployed by one host
  ansible.builtin.assert:
    that: shared == []
    fail_msg: "{{ shared | join('; ') }}"
  vars:
    shared: "{{ ansible_play_hosts | map('extract', hostvars) | llmops.platform.shared_targets }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: A sentence for each target that more than one host means; empty where there is none.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def shared_targets(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the hosts that have a model and an environment in common, by what role vllm takes for them."""
    names: dict[tuple[str, str], list[str]] = {}
    for variables in hosts:
        name = str(variables["inventory_hostname"])
        target = (
            str(variables.get("vllm_model", name)),
            str(variables.get("vllm_environment", "development")),
        )
        names.setdefault(target, []).append(name)
    return [
        f"hosts {', '.join(hosts[:-1])} and {hosts[-1]} are the same model {model!r} in {environment}"
        for (model, environment), hosts in names.items()
        if len(hosts) > 1
    ]


class FilterModule:
    """Filters of the collection about inventories."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"shared_targets": shared_targets}
