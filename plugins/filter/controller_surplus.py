# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_surplus
short_description: Names of templates of AWX that nobody wants any more
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes templates as AWX lists them and those that are wanted, and returns the names of those that are not.
  - The modules of C(awx.awx) make and change objects, and take none away that are no longer named.
  - A template is of an environment if its name ends in C((ENVIRONMENT)). Others are never named, since they
    may be another site's.
positional: wanted, environments
options:
  _input:
    description: Objects as the API of AWX returns them, with C(name).
    type: list
    elements: dict
    required: true
  wanted:
    description: What is wanted, with C(name).
    type: list
    elements: dict
    required: true
  environments:
    description: Names of the environments that are looked after.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say which job templates have to go
  ansible.builtin.debug:
    msg: "{{ there | llmops.platform.controller_surplus(wanted, ['staging']) }}"
  vars:
    there: [{name: Old (staging)}, {name: New (staging)}, {name: Old (qa)}]
    wanted: [{name: New (staging)}]
"""

RETURN = r"""
_value:
  description: The names.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

from ansible_collections.llmops.platform.plugins.module_utils._core.controller.surplus import (
    surplus,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def controller_surplus(
    existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], environments: Sequence[str]
) -> list[str]:
    """Return the names of these environments' templates that are there and not wanted."""
    return surplus(plain(existing), plain(wanted), plain(environments))


class FilterModule:
    """Filters of the collection about AWX."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"controller_surplus": controller_surplus}
