# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: http_routes
short_description: Routes of the Gateway API for registry entries
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Returns an HTTPRoute for each entry with status V(ready) whose endpoint is a Service of the namespace.
  - A request with the model's name in a header goes to its Service, if it posts to C(/v1/chat/completions),
    C(/v1/completions) or C(/v1/embeddings).
positional: namespace, parents
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
  parents:
    description: The Gateways, as C(parentRefs) of an HTTPRoute.
    type: list
    elements: dict
    required: true
  header:
    description: Header that has the model's name.
    type: str
    default: x-llmops-model
  hostnames:
    description: Host names that the routes are for. All of the Gateway's if left out.
    type: list
    elements: str
    default: []
  timeout:
    description: Longest time for a whole answer, as the Gateway API writes it.
    type: str
    default: 600s
seealso:
  - module: llmops.platform.registry_info
  - module: llmops.platform.kubernetes_objects
"""

EXAMPLES = r"""
- name: Keep the routes in step with the registry
  llmops.platform.kubernetes_objects:
    set_name: gateway-routes
    namespace: ml-staging
    objects: "{{ registry.entries | llmops.platform.http_routes('ml-staging', [{'name': 'inference'}]) }}"
"""

RETURN = r"""
_value:
  description: The routes, in the order of the entries.
  type: list
  elements: dict
"""

from typing import TYPE_CHECKING

from ansible_collections.llmops.platform.plugins.module_utils._core.exports.http_routes import routes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FilterModule:
    """Filters of the collection about routes."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"http_routes": routes}
