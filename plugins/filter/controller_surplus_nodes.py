# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_surplus_nodes
short_description: Nodes of a workflow of AWX that have to go
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes a workflow's nodes as AWX lists them and those that are wanted, and returns the identifiers of those
    that have to be removed first, since C(awx.awx.workflow_job_template_node) never removes one.
  - A node that waited for somebody and shall start a job, or the other way round, is one of them.
positional: wanted
options:
  _input:
    description: Nodes as the API of AWX returns them.
    type: list
    elements: dict
    required: true
  wanted:
    description: The nodes that are wanted, as arguments of that module.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say which nodes have to go
  ansible.builtin.debug:
    msg: "{{ there | llmops.platform.controller_surplus_nodes(wanted) }}"
  vars:
    there: [{identifier: old}, {identifier: promote}]
    wanted: [{identifier: promote}]
"""

RETURN = r"""
_value:
  description: The identifiers.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

from ansible_collections.llmops.platform.plugins.module_utils._core.controller.surplus import (
    surplus_nodes,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def controller_surplus_nodes(
    existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the identifiers of nodes that have to go."""
    return surplus_nodes(plain(existing), plain(wanted))


class FilterModule:
    """Filters of the collection about AWX."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"controller_surplus_nodes": controller_surplus_nodes}
