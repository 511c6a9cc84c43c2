# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_objects
short_description: Objects of AWX that follow from environments
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the environments and returns the inventories, job templates, surveys, workflows, rights and
    schedules for them, as arguments of the modules of C(awx.awx). The role
    P(llmops.platform.controller#role) makes them.
  - Surveys are made from the argument specs of the roles of this collection.
options:
  _input:
    description:
      - Environments, as O(llmops.platform.controller#role:main:controller_environments) describes them.
    type: list
    elements: dict
    required: true
  organization:
    description: The organization that owns them.
    type: str
    required: true
  project:
    description: Name of the project with the inventories and playbooks.
    type: str
    required: true
  execution_environment:
    description: Name of the execution environment. If empty, what the organization or AWX chooses.
    type: str
    default: ""
  schedules:
    description: Schedules, as O(llmops.platform.controller#role:main:controller_schedules) describes them.
    type: list
    elements: dict
    default: []
  forks:
    description: Models that one job works on at a time.
    type: int
    default: 20
  lock_timeout:
    description: Seconds that a job waits for somebody else who changes the same model.
    type: float
    default: 90
  timeouts:
    description: Seconds that jobs may take, by verb.
    type: dict
    default: {}
  started_by_alerts:
    description: Verbs whose job templates take any variable.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Which job templates there will be
  ansible.builtin.debug:
    msg: "{{ objects.job_templates | map(attribute='name') }}"
  vars:
    staging: {name: staging}
    objects: "{{ [staging] | llmops.platform.controller_objects(organization='LLM', project='Site') }}"
"""

RETURN = r"""
_value:
  description: The objects, by what they are.
  type: dict
  contains:
    inventories:
      description: One for each environment.
      type: list
      elements: dict
    inventory_sources:
      description: Likewise.
      type: list
      elements: dict
    job_templates:
      description: One for each verb of each environment.
      type: list
      elements: dict
    workflows:
      description: One for each environment that is promoted to.
      type: list
      elements: dict
    nodes:
      description: The nodes of all workflows, with their links.
      type: list
      elements: dict
    teams:
      description: Teams that the environments name.
      type: list
      elements: dict
    roles:
      description: What the teams may start and approve.
      type: list
      elements: dict
    schedules:
      description: The schedules.
      type: list
      elements: dict
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.job_templates import Settings
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.objects import objects
from ansible_collections.llmops.platform.plugins.plugin_utils._plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_ROLES = Path(__file__).resolve().parents[2] / "roles"


@cache
def argument_specs() -> dict[str, dict[str, Any]]:
    """Return the options of every entry point of every role of this collection."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(_ROLES.glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        found[path.parts[-3]] = {entry: spec.get("options") or {} for entry, spec in specs.items()}
    return found


def controller_objects(
    environments: Sequence[Mapping[str, Any]],
    *,
    organization: str,
    project: str,
    execution_environment: str = "",
    schedules: Sequence[Mapping[str, Any]] = (),
    forks: int = 20,
    lock_timeout: float = 90,
    timeouts: Mapping[str, int] | None = None,
    started_by_alerts: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the objects, or raise for environments that cannot be."""
    settings = Settings(
        organization=str(organization),
        project=str(project),
        execution_environment=str(execution_environment),
        forks=int(forks),
        lock_timeout=float(lock_timeout),
        timeouts={str(verb): int(seconds) for verb, seconds in (timeouts or {}).items()},
        started_by_alerts=tuple(str(verb) for verb in started_by_alerts),
    )
    try:
        return objects(plain(environments), plain(schedules), settings, argument_specs())
    except PlatformError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters of the collection about AWX."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"controller_objects": controller_objects}
