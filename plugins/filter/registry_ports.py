# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_ports
short_description: The ports that a service's network policy has to let it out to
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the settings with which the deployer connects to the registry, and returns the usual ports
    together with those that the settings and further addresses name, each once.
  - What the settings do not say comes from E(LLMOPS_REGISTRY_DSN) and E(PGPORT), as for the modules.
  - Where no port is usual, the list is empty, as whoever names none wants no rule.
positional: usual, addresses
options:
  _input:
    description:
      - The arguments of a module for the registry, such as C(dsn) and C(login_port).
    type: dict
    required: true
  usual:
    description: Ports that are in the list in any case.
    type: list
    elements: int
    required: true
  addresses:
    description: DSNs of PostgreSQL and URLs of Redis; empty ones say nothing.
    type: list
    elements: str
    default: []
seealso:
  - plugin: llmops.platform.registry_login
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show where a service has to get
  ansible.builtin.debug:
    msg: "{{ database | llmops.platform.registry_ports([5432, 6379], ['rediss://redis:6380/0']) }}"
  vars:
    database: {dsn: "{{ registry_dsn }}"}
"""

RETURN = r"""
_value:
  description:
    - The ports.
  type: list
  elements: int
  sample: [5432, 6379, 6380]
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def registry_ports(
    settings: Mapping[str, Any], usual: Sequence[Any], addresses: Sequence[str] = ()
) -> list[int]:
    """Return the ports, or raise for addresses that name none."""
    plain = {str(name): str(value) for name, value in settings.items() if value is not None}
    try:
        return ports.registry_ports(
            plain, [int(port) for port in usual], [str(address) for address in addresses]
        )
    except PlatformError as error:
        raise AnsibleFilterError(f"registry_ports: {error}") from None


class FilterModule:
    """Filters of the collection about the way to the registry."""

    def filters(self) -> dict[str, Callable[..., list[int]]]:
        """Return the filters by name."""
        return {"registry_ports": registry_ports}
