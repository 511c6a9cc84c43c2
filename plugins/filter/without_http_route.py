# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: without_http_route
short_description: Ready models that no route of the Gateway API can lead to
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Returns the names of ready models that P(llmops.platform.http_routes#filter) leaves out,
    because their endpoint is no Service of the namespace.
positional: namespace
options:
  _input:
    description: Entries, as M(llmops.platform.registry_info) returns them.
    type: list
    elements: dict
    required: true
  namespace:
    description: Namespace of the routes and of the Services.
    type: str
    required: true
seealso:
  - plugin: llmops.platform.http_routes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Tell which models cannot be reached through the Gateway
  ansible.builtin.debug:
    msg: "{{ registry.entries | llmops.platform.without_http_route('ml-staging') }}"
"""

RETURN = r"""
_value:
  description: Names of models.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

from ansible_collections.llmops.platform.plugins.module_utils._core.exports.http_routes import left_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FilterModule:
    """Filters of the collection about routes."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"without_http_route": left_out}
