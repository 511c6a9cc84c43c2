# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: all_absent
short_description: Whether all of several models are to be removed
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - The playbooks C(llmops.platform.deploy) and C(llmops.platform.gitops) refuse to remove all models of an
    inventory because nobody named one. An inventory that wants some models and others not has named them, and
    so has one with a single model.
positional: variables
options:
  _input:
    description: The variables of hosts, as C(ansible_play_hosts | map('extract', hostvars)) returns them.
    type: list
    elements: dict
    required: true
  variables:
    description: Names of the variables that say a host's state. The first that is not empty counts.
    type: list
    elements: str
    default: [vllm_state]
"""

EXAMPLES = r"""
- name: See that somebody named what is to be removed
  ansible.builtin.assert:
    that: ansible_limit is defined or not all_go
  vars:
    all_go: "{{ ansible_play_hosts | map('extract', hostvars) | llmops.platform.all_absent }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: Whether there are several hosts, and all of them say V(absent).
  type: bool
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleError
from jinja2.exceptions import UndefinedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any


def all_absent(hosts: Iterable[Mapping[str, Any]], variables: Sequence[str] = ("vllm_state",)) -> bool:
    """Tell whether several hosts are all to be removed.

    A host whose state cannot be told is left out: it fails by itself, and alone.
    """
    given = list(hosts)
    states = [state for host in given if (state := _state(host, variables))]
    return len(given) > 1 and bool(states) and set(states) == {"absent"}


def _state(host: Mapping[str, Any], variables: Sequence[str]) -> str:
    """Return the state of a host, nothing where it cannot be told."""
    try:
        state = next((str(host[name]) for name in variables if host.get(name)), "present")
    except (AnsibleError, UndefinedError):
        return ""
    # Before ansible-core 2.19, what cannot be told stays as it was written.
    return "" if "{{" in state else state


class FilterModule:
    """Filters of the collection about inventories."""

    def filters(self) -> dict[str, Callable[..., bool]]:
        """Return the filters by name."""
        return {"all_absent": all_absent}
