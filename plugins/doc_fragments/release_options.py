# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_arguments.py`` that say what is released."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.release_options``."""

    DOCUMENTATION = r"""
options:
  state:
    description: Whether the release is to be there.
    type: str
    choices: [present, absent]
    default: present
  tier:
    description:
      - What the environment is like, which chooses the chart's defaults and guards.
      - By default the environment itself, where it has one of these names; others have to say.
    type: str
    choices: [development, staging, production]
  create_namespace:
    description: Create the namespace where it is missing.
    type: bool
    default: false
  chart_path:
    description:
      - Folder of the chart C(vllm-deployment). The role P(llmops.platform.vllm#role) brings it.
      - Required if O(state=present).
    type: path
  chart_values:
    description:
      - Values of the chart. They win over the chart's C(values.yaml) and over its
        C(values-{tier}.yaml), which is always used.
      - The name of the model, the environment and the slug are set by the module.
      - Secrets have no place here. The chart takes references to existing Secrets only.
    aliases: [release_values]
    type: dict
    default: {}
  force_conflicts:
    description:
      - Take fields over that somebody else manages, such as after C(kubectl scale) or C(kubectl edit).
        Without it they are named, with who has them and since when, before anything is changed.
      - An autoscaler does not want its C(replicas) taken. Leave them out for it, with C(replicas=null) in
        O(chart_values).
      - Helm 3, and releases that it has made, know no such conflicts.
    type: bool
    default: false
"""
