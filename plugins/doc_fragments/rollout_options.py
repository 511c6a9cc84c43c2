# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_arguments.py`` that say how a release is changed."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.rollout_options``."""

    DOCUMENTATION = r"""
options:
  model:
    description:
      - Full name of the model, as clients ask for it, for example V(meta-llama/Llama-3.1-8B-Instruct).
    type: str
    required: true
  environment:
    description:
      - Environment of the release. Part of its name.
      - Any name of at most 30 lower-case letters, digits and hyphens.
    type: str
    required: true
  namespace:
    description: Namespace of the release.
    aliases: [release_namespace]
    type: str
    required: true
  name:
    description:
      - Name of the release and of its Service, at most 53 characters.
      - By default C({slug}-{environment}), where the slug is made from O(model).
    aliases: [release_name]
    type: str
  strategy:
    description:
      - How pods are replaced in an update.
      - V(surge) starts a new pod first and needs a free slot, or one for each pod where a new one cannot take
        the place of an old one, such as with more GPUs. V(unavailable-first) takes one of several pods away
        first. V(recreate) takes all away first.
      - V(auto) is what the chart's values say, if they do. Otherwise it is V(recreate) where the pods have a
        volume that one node holds alone, V(surge) where its slots are free, and else V(unavailable-first).
    type: str
    choices: [auto, surge, unavailable-first, recreate]
    default: auto
  check_capacity:
    description:
      - Whether to check that the pods fit before anything is changed.
      - Turn it off where the cluster makes room in ways that the check does not know, such as a pool of nodes
        that an autoscaler starts from zero. A pod that no node may take is waited for then.
    type: bool
    default: true
  model_config:
    description:
      - The model's C(config.json), as a path on this machine or as data, to judge the memory of the GPUs.
      - On nodes that tell the memory of their GPUs (label C(nvidia.com/gpu.memory)), the weights have to fit,
        and with this option the cache of one request of the longest context beside them. What no engine could
        make fit is refused; what is merely tight is a warning.
      - Without it, the weights alone are judged, from C(model.sizeBillions) in the chart's values. As nobody
        knows then whether they are quantised, only what would not fit with 2 bits a weight is refused.
      - Models that C(model.extraArgs) spread over more than the GPUs of the pod, or offload, are not judged.
    type: raw
  timeout:
    description:
      - Seconds for the whole. What is waited for gets shares of it, which the other options limit.
      - By default, and with V(0), each share counts for itself.
      - A run that fails puts the registry's row right afterwards, within the times of the registry's options.
    type: float
  capacity_timeout:
    description: Seconds to wait for capacity. V(0) fails at once where there is none.
    type: float
    default: 600
  helm_timeout:
    description: Seconds for each command of Helm, at least 1.
    type: float
    default: 300
  rollout_timeout:
    description:
      - Seconds to wait for the new pods.
      - By default, and with V(0), the progress deadline that the chart derives from the model's size, for
        each pod where one starts after the other, and a minute.
    aliases: [wait_timeout]
    type: float
  takeover_after:
    description:
      - A release that Helm holds as pending and that nobody has touched for so many seconds was left by a run
        that died. It is recovered then.
      - One that an operation with an earlier lock has left is recovered at once where this run has the lock.
    type: float
    default: 30
  helm_binary:
    description: Name or path of the Helm binary, 3.20.2 or later, or 4.1.4 or later.
    aliases: [binary_path]
    type: str
    default: helm
requirements:
  - helm >= 3.20.2
  - PyYAML
"""
