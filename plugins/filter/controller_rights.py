# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_rights
short_description: Rights on templates of AWX, with the teams that shall have them
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes templates as AWX lists them and the objects that are wanted, and returns each right to start or to
    approve one of these templates, with the teams that shall have it.
  - C(awx.awx.role) gives rights and takes none away that are no longer named. With this a play can ask AWX
    which teams have each right, and take it from the others.
positional: wanted
options:
  _input:
    description: Lists of templates as the API of AWX returns them, as C(job_templates) and C(workflows).
    type: dict
    required: true
  wanted:
    description: What P(llmops.platform.controller_objects#filter) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say which rights to look at
  ansible.builtin.debug:
    msg: "{{ there | llmops.platform.controller_rights(objects) }}"
  vars:
    there:
      job_templates:
        - {id: 7, name: Deploy models (staging), summary_fields: {object_roles: {execute_role: {id: 12}}}}
      workflows: []
    staging: {name: staging, operators: [ML platform]}
    objects: "{{ [staging] | llmops.platform.controller_objects(organization='LLM', project='Site') }}"
"""

RETURN = r"""
_value:
  description: The rights.
  type: list
  elements: dict
  contains:
    role:
      description: The right, as C(awx.awx.role) names it.
      type: str
    role_id:
      description: Its number.
      type: int
    job_templates:
      description: The number of the job template. Missing for a workflow.
      type: list
      elements: str
    workflows:
      description: The number of the workflow. Missing for a job template.
      type: list
      elements: str
    teams:
      description: Names of the teams that shall have it.
      type: list
      elements: str
"""

from typing import TYPE_CHECKING

from ansible_collections.llmops.platform.plugins.module_utils._core.controller.surplus import (
    rights,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def controller_rights(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rights on the templates that are wanted."""
    return [*rights(plain(existing), plain(wanted))]


class FilterModule:
    """Filters of the collection about AWX."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"controller_rights": controller_rights}
