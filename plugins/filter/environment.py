# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: environment
short_description: What an environment is on the cluster, checked
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the name of an environment and what the role P(llmops.platform.environment#role) was told about it.
    Fills in what follows from the name and the tier, and refuses what cannot be.
  - Networks in which clouds keep their metadata services are refused, and cut out of wider ones.
positional: tier
options:
  _input:
    description: Name of the environment, at most 30 lower-case letters, digits and hyphens.
    type: str
    required: true
  tier:
    description:
      - V(development), V(staging) or V(production). If empty, the name itself, where it is one of these.
    type: str
    default: ""
  namespace:
    description: Its namespace. If empty, C(llm-) and the name.
    type: str
    default: ""
  pod_security:
    description: Pod Security level. If empty, V(baseline) for the tier development, else V(restricted).
    type: str
    default: ""
  egress_cidrs:
    description: Networks that model servers may reach.
    type: list
    elements: str
    default: []
  dns_cidrs:
    description: Networks that answer DNS.
    type: list
    elements: str
    default: []
  api_server_cidrs:
    description: Networks of the API server.
    type: list
    elements: str
    default: []
  quota:
    description: Amounts that it may use, by resource.
    type: dict
    default: {}
seealso:
  - module: llmops.platform.kubernetes_objects
"""

EXAMPLES = r"""
- name: Which Pod Security level an environment has
  ansible.builtin.debug:
    msg: "{{ ('prod-eu' | llmops.platform.environment('production')).pod_security }}"  # restricted
"""

RETURN = r"""
_value:
  description: The environment.
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    tier:
      description: Its tier.
      type: str
    namespace:
      description: Its namespace.
      type: str
    pod_security:
      description: Its Pod Security level.
      type: str
    egress_blocks:
      description: Networks that model servers may reach, as C(ipBlock) of a NetworkPolicy.
      type: list
      elements: dict
    dns_blocks:
      description: Networks that answer DNS, likewise.
      type: list
      elements: dict
    api_server_blocks:
      description: Networks of the API server, likewise.
      type: list
      elements: dict
    quota:
      description: Amounts that it may use, as C(hard) of a ResourceQuota.
      type: dict
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.environment import Environment
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def environment(
    name: str,
    tier: str = "",
    *,
    namespace: str = "",
    pod_security: str = "",
    egress_cidrs: Sequence[str] = (),
    dns_cidrs: Sequence[str] = (),
    quota: Mapping[str, Any] | None = None,
    api_server_cidrs: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the environment, or raise for what cannot be one."""
    try:
        checked = Environment.build(
            str(name),
            str(tier),
            str(namespace),
            str(pod_security),
            [str(cidr) for cidr in egress_cidrs],
            [str(cidr) for cidr in dns_cidrs],
            {str(resource): amount for resource, amount in (quota or {}).items()},
            [str(cidr) for cidr in api_server_cidrs],
        )
    except PlatformError as error:
        raise AnsibleFilterError(str(error)) from None
    return asdict(checked)


class FilterModule:
    """Filters of the collection about environments."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Return the filters by name."""
        return {"environment": environment}
