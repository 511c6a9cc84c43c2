# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: release_name
short_description: Name of a model's release and Service
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Returns C({slug}-{environment}), the name that M(llmops.platform.vllm_release) gives to a model's Helm
    release and Service.
positional: environment
options:
  _input:
    description: The name that clients ask for.
    type: str
    required: true
  environment:
    description: Environment of the deployment.
    type: str
    required: true
seealso:
  - module: llmops.platform.vllm_release
"""

EXAMPLES = r"""
- name: Where the model answers inside the cluster
  ansible.builtin.debug:
    msg: "{{ 'mistral-7b' | llmops.platform.release_name('staging') }}"  # mistral-7b-staging
"""

RETURN = r"""
_value:
  description: The name, a DNS label of at most 53 characters.
  type: str
  sample: mistral-7b-staging
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import check_target

if TYPE_CHECKING:
    from collections.abc import Callable


def name_of_release(model: str, environment: str) -> str:
    """Return the name, or raise for what can name no target."""
    try:
        check_target(model, environment)
    except PlatformError as error:
        raise AnsibleFilterError(f"release_name: {error}") from None
    return release_name(model, environment)


class FilterModule:
    """Filters of the collection about names."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"release_name": name_of_release}
