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

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from jinja2.exceptions import UndefinedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any


# Where a host is recorded, and where its release is: sharing either of them is sharing the model.
_RECORDED = ("registry_dsn", "registry_host", "registry_port", "registry_database")
_INSTALLED = ("vllm_kubeconfig", "vllm_context", "vllm_namespace")


def shared_targets(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the hosts that have a model and an environment in common, by what role vllm takes for them.

    A host whose variables cannot be told is left out: it fails by itself, and alone.
    """
    names: dict[tuple[str, ...], list[str]] = {}
    for variables in hosts:
        name = str(variables["inventory_hostname"])
        try:
            targets = list(_targets(name, variables))
        except (AnsibleError, UndefinedError):
            continue
        for target in targets:
            # Before ansible-core 2.19, what cannot be told stays as it was written.
            if not any("{{" in part for part in target):
                names.setdefault(target, []).append(name)
    found = [
        f"hosts {', '.join(hosts[:-1])} and {hosts[-1]} are the same model {target[0]!r} in {target[1]}"
        for target, hosts in names.items()
        if len(hosts) > 1
    ]
    return list(dict.fromkeys(found))


def _targets(name: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    model = (str(variables.get("vllm_model", name)), str(variables.get("vllm_environment", "development")))
    places: list[tuple[str, ...]] = [_INSTALLED]
    if boolean(variables.get("vllm_register", True), strict=False):
        places.append(_RECORDED)
    for place in places:
        yield (*model, place[0], *(str(variables.get(variable) or "") for variable in place))


class FilterModule:
    """Filters of the collection about inventories."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"shared_targets": shared_targets}
