#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module vllm_gate_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_gate_info
short_description: Ask the gates of a promotion
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Tells whether a model could be promoted from one environment to another, and what each gate says to that,
    see M(llmops.platform.vllm_promotion). Nothing is written, and no approval is asked for.
  - A gate that is closed does not fail the task. See RV(open).
extends_documentation_fragment:
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
  - llmops.platform.rollout_options
  - llmops.platform.operation_options
  - llmops.platform.gitops_options.delivery
  - llmops.platform.gate_options
  - llmops.platform.attributes
  - llmops.platform.attributes.info_module
seealso:
  - module: llmops.platform.vllm_promotion
"""

EXAMPLES = r"""
- name: Could it go to production?
  llmops.platform.vllm_gate_info:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    namespace: llm-production
    chart_path: files/chart/vllm-deployment
    source:
      environment: staging
      kubeconfig: ~/.kube/llmops-staging.yaml
    prometheus:
      url: https://prometheus.example.com
    dsn: "{{ registry_dsn }}"
  register: asked

- name: Say what is closed
  ansible.builtin.debug:
    msg: "{{ asked.gates | rejectattr('verdict', 'eq', 'pass') }}"
"""

RETURN = r"""
open:
  description: Whether a promotion would be let pass.
  returned: success
  type: bool
  sample: true
there:
  description: Whether what would be promoted is there already. No gate is asked then.
  returned: success
  type: bool
  sample: false
closed:
  description: Names of the gates that let nothing pass.
  returned: success
  type: list
  elements: str
  sample: []
gates:
  description:
    - What each gate says, in the order in which they are asked. Empty where it is there already.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description:
        - One of V(verified), V(soak), V(idle), V(freeze), V(capacity), V(completions), V(errors), V(latency),
          V(queue), V(approval).
      type: str
    verdict:
      description:
        - V(pass), V(fail), V(inconclusive) where there is not enough to tell, or V(error) where it could not
          be asked.
      type: str
    reason:
      description: What was seen, in one line. The worst series is named.
      type: str
    value:
      description: What was measured, a number or a word. V(null) where nothing was.
      type: raw
    limit:
      description: What it may be at most, or has to be.
      type: raw
    unit:
      description: Unit of value and limit.
      type: str
    samples:
      description: From how many requests, completions or readings. V(null) where that says nothing.
      type: int
    window_s:
      description: Over how many seconds.
      type: float
    source:
      description: Who was asked, V(registry), V(endpoint), V(prometheus), V(router), V(cluster) or V(clock).
      type: str
    query:
      description: How it was asked, such as the PromQL expression.
      type: str
    since:
      description: Begin of the window.
      type: str
    until:
      description: End of the window.
      type: str
    overridden:
      description: Why it lets pass though it has not passed. V(null) where nobody took that on himself.
      type: str
  sample:
    - name: completions
      verdict: pass
      reason: p95 of 10 completions is 0.412 s, the slowest 0.412 s
      value: 0.412
      limit: 3.0
      unit: s
      samples: 10
      window_s: null
      source: endpoint
      query: null
      since: null
      until: null
      overridden: null
gate_set_digest:
  description: SHA-256 of the gates and their limits. An approval is for these.
  returned: success
  type: str
  sample: sha256:7c211433f02071597741e6ff5a8ea34789abbf43f07e52a0dbe4e5dbf5b8a1cb
source:
  description: What is carried.
  returned: success
  type: dict
  contains:
    environment:
      description: Where it was proven.
      type: str
    revision:
      description: Revision of the release there.
      type: int
    manifest_digest:
      description: SHA-256 of the manifest there.
      type: str
    chart_version:
      description: Version of the chart.
      type: str
    chart_digest:
      description: SHA-256 of the chart's files.
      type: str
    image:
      description: Image as it was asked for there.
      type: str
    image_digest:
      description: Digest of the image that ran there.
      type: str
    model_revision:
      description: Commit or tag of the weights.
      type: str
  sample:
    environment: staging
    revision: 7
    manifest_digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    chart_version: 0.1.0
    chart_digest: sha256:0b1e8df3a9c1f6d1a3b9f9a1f6c1b6a4b0d7f0f6c3f5a0d8e1c2b3a4958676a5
    image: vllm/vllm-openai:v0.33.0
    image_digest: sha256:9b2a1c4e7f3d5a6b8c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b
    model_revision: 5206a32e0bd3067aef1ce90f5528ade7d866253f
differences:
  description: What will be other than in the source, a line each. All of it belongs to the environment.
  returned: success
  type: list
  elements: str
  sample: ["environment: staging -> production", "values.replicas: 1 -> 2"]
contradictions:
  description:
    - What O(chart_values) say otherwise than what is carried, a line each. Who deploys by them undoes the
      promotion, so write there what was carried.
  returned: success
  type: list
  elements: str
  sample: ["values.image.tag: v0.32.0 -> v0.33.0"]
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: invalid
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    DELIVERY_SPEC,
    GATES_SPEC,
    KUBERNETES_SPEC,
    OPERATION_SPEC,
    POSTGRES_SPEC,
    ROLLOUT_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.arguments import (
    prepared,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.promotion import ask
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.report import (
    gates_result,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **DELIVERY_SPEC,
    **KUBERNETES_SPEC,
    **POSTGRES_SPEC,
    **ROLLOUT_SPEC,
    **OPERATION_SPEC,
    **GATES_SPEC,
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Ask the gates."""
    with prepared(
        params,
        context.progress,
        check_mode=True,
        run_pid=context.run_pid,
        run_folder=context.run_folder,
    ) as going:
        ask(going)
        return Outcome(False, gates_result(going), warnings=going.run.warnings)


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
