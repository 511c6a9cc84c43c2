# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: surveyed_model
short_description: A model that was asked for in a form, as an inventory host
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the answers of a survey and returns the name, the groups and the values of the host that
    P(llmops.platform.vllm#role) deploys. All answers may be text, and those that are empty count as not
    given.
  - Refuses a name that no model has, a number that is none, a pool that is not in the inventory, a model
    that is, and one that would be called as a group, as another host or as C(localhost).
positional: groups, hosts
options:
  _input:
    description:
      - The answers C(model), C(replicas), C(gpus), C(image_tag), C(revision), C(size_billions), C(pool),
        C(max_model_len), and C(values), which is a mapping or YAML.
    type: dict
    required: true
  groups:
    description:
      - The inventory's groups with the names of their hosts, as in C(groups). Names of pools begin with
        C(pool_).
    type: dict
    required: true
  hosts:
    description: Variables of the hosts that are models, as in C(hostvars).
    type: list
    elements: dict
    default: []
seealso:
  - module: llmops.platform.vllm_deployment
"""

EXAMPLES = r"""
- name: What the host of a model is called
  ansible.builtin.debug:
    msg: "{{ ({'model': 'org/Model-7B', 'gpus': '2'} | llmops.platform.surveyed_model(groups)).host }}"
"""

RETURN = r"""
_value:
  description: The host.
  type: dict
  contains:
    host:
      description: Its name.
      type: str
    groups:
      description: Its groups.
      type: list
      elements: str
    model:
      description: The model's name.
      type: str
    chart_values:
      description: Values of the chart.
      type: dict
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ansible.errors import AnsibleError, AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.release import surveyed_model as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def surveyed_model(
    answers: Mapping[str, Any],
    groups: Mapping[str, Iterable[str]],
    hosts: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the host, or raise for what cannot be one."""
    models = {str(variables["inventory_hostname"]): _model(variables) for variables in hosts}
    known = {name: model for name, model in models.items() if model is not None}
    others = {str(name) for name in groups.get("all", ())} - set(models)
    try:
        return asdict(core.surveyed_model(answers, [str(name) for name in groups], known, others))
    except PlatformError as error:
        raise AnsibleFilterError(str(error)) from None


def _model(variables: Mapping[str, Any]) -> str | None:
    """Return a host's model; None where the registry lists it: that was maybe deployed this way before."""
    if "entry_model" in variables:
        return None
    name = str(variables["inventory_hostname"])
    try:
        return str(variables.get("vllm_model", name))
    except AnsibleError:
        return name


class FilterModule:
    """Filters of the collection about surveys."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"surveyed_model": surveyed_model}
