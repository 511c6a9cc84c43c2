# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: chart_values
short_description: A model's values of the chart, from those of the environment and its own
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Merges mappings as the filter P(ansible.builtin.combine#filter) does with C(recursive=true).
  - Each may be YAML or JSON text, as from a survey of AWX, and an empty text counts as an empty mapping.
options:
  _input:
    description: The environment's, C(vllm_environment_values).
    type: raw
    required: true
  model:
    description: The model's wherever it runs, C(vllm_model_values).
    type: raw
    default: {}
  own:
    description: Those of this model in this environment, C(vllm_values), which are the strongest.
    type: raw
    default: {}
seealso:
  - module: llmops.platform.vllm_deployment
"""

EXAMPLES = r"""
- name: What a survey's text adds
  ansible.builtin.debug:
    msg: "{{ {'gpu': {'count': 1}} | llmops.platform.chart_values(own='gpu: {shmSize: 2Gi}') }}"
"""

RETURN = r"""
_value:
  description: The values.
  type: dict
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError
from ansible.utils.vars import merge_hash

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.typed_text import typed_mapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def chart_values(environment: Any, model: Any = None, own: Any = None) -> Any:
    """Return the merged values, or raise for what is no mapping."""
    merged: Any = {}
    for name, given in (
        ("vllm_environment_values", environment),
        ("vllm_model_values", model),
        ("vllm_values", own),
    ):
        try:
            merged = merge_hash(merged, typed_mapping(given, name), recursive=True)
        except PlatformError as error:
            raise AnsibleFilterError(str(error)) from None
    return merged


class FilterModule:
    """Filters of the collection about values of the chart."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"chart_values": chart_values}
