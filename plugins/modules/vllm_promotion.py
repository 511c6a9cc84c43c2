#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module vllm_promotion."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_promotion
short_description: Bring exactly what was proven in one environment to another
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Carries the manifest that runs and was verified in O(source) to another environment, by the digests of its
    chart, its image, its model and its values. Of these only what an environment owns is the target's, such
    as the number of replicas, the nodes and the volumes. What will differ is said first, and anything else
    that differs stops it.
  - Gates are asked before anything is written, and those that decide once more just before the release, see
    O(gates).
  - Afterwards what clients get is watched for a while, see O(watch), and set beside what they got before. A
    breach is undone within the same operation, as a failed deployment is.
  - What is there already passes no gates and is only verified, so running it twice changes nothing. A run
    that was killed needs no repair, run it again.
extends_documentation_fragment:
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
  - llmops.platform.rollout_options
  - llmops.platform.operation_options
  - llmops.platform.gitops_options.delivery
  - llmops.platform.gate_options
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says what would differ, asks all gates, and fails where a run would. Nothing is written, and no
        approval is asked for.
  diff_mode:
    support: full
    details:
      - Shows the manifests and the registry's row before and after, with secrets hidden.
  idempotent:
    support: full
options:
  overrides:
    description:
      - Gates that you take on yourself. They are asked all the same, and what they say is on record, with the
        reason.
      - V(verified) and V(approval) are never overridden.
    type: list
    elements: dict
    default: []
    suboptions:
      gate:
        description: Name of the gate.
        type: str
        required: true
      reason:
        description: Why.
        type: str
        required: true
  watch:
    description:
      - What happens after the promotion. One completion is asked for in each interval, and the metrics of
        O(gates) for what clients got since. Two completions in a row without an answer, or a gate that fails
        with enough samples and is worse than before, undo the promotion. Without samples that is said, and
        nothing is done.
      - The lock is held meanwhile.
    type: dict
    default: {}
    suboptions:
      period_s:
        description: Seconds. By default V(300) where the tier is production, else V(0), which does not watch.
        type: float
      interval_s:
        description: Seconds between two looks.
        type: float
        default: 15
  retry_rejected:
    description:
      - Whether a manifest may be promoted that was found not to serve in the target, or was given up there.
    type: bool
    default: false
seealso:
  - module: llmops.platform.vllm_gate_info
  - module: llmops.platform.registry_approval
  - module: llmops.platform.vllm_rollback
"""

EXAMPLES = r"""
- name: Promote to production
  llmops.platform.vllm_promotion:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    namespace: llm-production
    chart_path: files/chart/vllm-deployment
    chart_values:
      replicas: 2
    source:
      environment: staging
      kubeconfig: ~/.kube/llmops-staging.yaml
    gates:
      soak_s: 3600
      freeze:
        - name: evenings
          days: [mon, tue, wed, thu]
          from: "18:00"
          to: "08:00"
          timezone: Europe/Berlin
        - name: friday
          days: [fri]
          from: "12:00"
          timezone: Europe/Berlin
        - name: weekend
          days: [sat, sun]
          timezone: Europe/Berlin
    prometheus:
      url: https://prometheus.example.com
    dsn: "{{ registry_dsn }}"

- name: Promote though the soak is short
  llmops.platform.vllm_promotion:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    namespace: llm-production
    chart_path: files/chart/vllm-deployment
    source:
      environment: staging
    overrides:
      - gate: soak
        reason: fixes CVE-2026-1234, see OPS-77
    dsn: "{{ registry_dsn }}"
"""

RETURN = r"""
ok:
  description: Whether the model is as wanted; in check mode whether it can be.
  returned: success
  type: bool
  sample: true
line:
  description: What was done, in one line for people.
  returned: success
  type: str
  sample: >-
    http://llama-3-1-8b-instruct-1d30a5c6-production.llm-production.svc.cluster.local:8000 is what staging
    proved (revision 7 (5f70bf18a086)), as revision 5, after 42.9 s (10 gates passed, completion 0.3 s)
gates:
  description:
    - What each gate says, as M(llmops.platform.vllm_gate_info) returns it. Empty where what is promoted was
      there already.
  returned: success
  type: list
  elements: dict
gate_set_digest:
  description: SHA-256 of the gates and their limits, as M(llmops.platform.vllm_gate_info) returns it.
  returned: success
  type: str
source:
  description: What is carried, as M(llmops.platform.vllm_gate_info) returns it.
  returned: success
  type: dict
differences:
  description: What will be other than in the source, as M(llmops.platform.vllm_gate_info) returns it.
  returned: success
  type: list
  elements: str
contradictions:
  description:
    - What O(chart_values) say otherwise than what is carried, as M(llmops.platform.vllm_gate_info) returns
      it.
  returned: success
  type: list
  elements: str
watch:
  description:
    - What the gates said of what clients got, when the watch ended. V(null) where nothing was watched.
  returned: success
  type: list
  elements: dict
release:
  description: The release, as M(llmops.platform.vllm_release) returns it.
  returned: success
  type: dict
verification:
  description:
    - What the server answered, as M(llmops.platform.vllm_endpoint_info) returns it. V(null) if not asked.
  returned: success
  type: dict
entry:
  description:
    - The registry's row, as M(llmops.platform.registry_entry) returns it. V(null) if there is none.
    - In check mode the row as it is. The diff shows what would become of it.
  returned: success
  type: dict
steps:
  description:
    - What the operation noted in the registry, in order, each with its C(name), C(outcome) and C(duration_s).
    - Empty where nothing had to be done.
  returned: success
  type: list
  elements: dict
closed:
  description:
    - Names of the gates that let nothing pass. RV(gates) and RV(gate_set_digest) are returned then, too.
  returned: failures of gates
  type: list
  elements: str
rolled_back:
  description: Where it went back to, as M(llmops.platform.vllm_deployment) returns it.
  returned: failures that were undone
  type: dict
failed_step:
  description: The step that failed, as M(llmops.platform.vllm_deployment) names them.
  returned: failure, once the run had begun
  type: str
  sample: verify
entry_status:
  description: Status of the registry's row after the failure. V(ready) where the model still answers.
  returned: failure, once the run had begun
  type: str
  sample: ready
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: workload
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
capacity:
  description: Verdict of the capacity check in short.
  returned: failures of class V(capacity)
  type: dict
cause:
  description: Kubernetes' reason for the failure. V(Missing) for a Secret or another object that is gone.
  returned: failures of class V(workload)
  type: str
  sample: ImagePullBackOff
events:
  description: The last warning events about the pod.
  returned: failures of class V(workload)
  type: list
  elements: str
log_tail:
  description: End of the log of a container that crashed, at most 4096 characters.
  returned: failures of class V(workload)
  type: str
locked_by:
  description: Who holds the lock, as M(llmops.platform.lock) returns it.
  returned: failures of class V(locked) and V(fenced)
  type: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    DELIVERY_SPEC,
    KUBERNETES_SPEC,
    OPERATION_SPEC,
    POSTGRES_SPEC,
    PROMOTION_SPEC,
    ROLLOUT_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.report import (
    release_difference,
    row_difference,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.arguments import (
    prepared,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.promotion import (
    preview_promotion,
    promote,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.report import (
    promotion_result,
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
    **PROMOTION_SPEC,
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Promote the model."""
    with prepared(
        params,
        context.progress,
        check_mode=context.check_mode,
        run_pid=context.run_pid,
        run_folder=context.run_folder,
        phase=context.phase,
    ) as going:
        (preview_promotion if context.check_mode else promote)(going)
        done = Outcome(going.run.changed, promotion_result(going), warnings=going.run.warnings)
        if context.diff:
            done.diff = release_difference(going.run)
            done.more_diffs = [row_difference(going.run)]
        return done


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
