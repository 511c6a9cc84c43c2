#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module vllm_rollback."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_rollback
short_description: Bring one vLLM model server back to what was proven
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Brings one model in one environment back to a manifest that is on record in the registry. By default it is
    the last one that is known to serve and is not the one that is there. Helm's release, the registry's row
    and the route go together, and a real completion is answered before clients are sent there.
  - The recorded manifest is restored word for word. It need not be in Helm's own history, and its chart need
    not be on this machine.
  - The plan is said before anything is changed. It says what will be restored, which way it goes, whether
    clients are without the model meanwhile, and how many seconds to expect by this model's own operations.
    Check mode says it and stops. See RV(plan).
  - A model that has just gone back stays where it is, so running it twice changes nothing. To go further
    back, name a revision with O(to). A run that was killed needs no repair, run it again.
  - What is given up is marked as revoked, see O(reject).
extends_documentation_fragment:
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
  - llmops.platform.rollout_options
  - llmops.platform.operation_options
  - llmops.platform.gitops_options.delivery
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns the plan. Nothing is written, and nothing waited for.
      - Fails where a run would fail at once, such as for a Secret that is gone, or where there is nothing to
        go back to.
  diff_mode:
    support: full
    details:
      - Shows the manifests and the registry's row before and after, with secrets hidden.
  idempotent:
    support: full
options:
  to:
    description:
      - Where to go. A revision of Helm's release as it is on record, such as V(3), or the beginning of a
        manifest's digest, of 8 hex digits or more.
      - By default the last manifest that is known to serve, but never the one that is there, nor one that was
        found not to serve, nor one that was given up.
    type: str
  reject:
    description:
      - Whether to mark what is given up as revoked. No rollback goes there by itself, and a deployment of the
        very same manifest is refused where M(llmops.platform.vllm_deployment) is told not to retry it.
    type: bool
    default: true
  allow_rejected:
    description: Whether O(to) may name a manifest that was found not to serve, or that was given up.
    type: bool
    default: false
  first_revision:
    description:
      - What to do where no other revision was ever there.
      - V(remove) drains the model and takes it away, from the registry and from the cluster.
    type: str
    choices: [refuse, remove]
    default: refuse
  force_conflicts:
    description:
      - Take fields over that somebody else manages, such as after C(kubectl edit). What was changed by hand
        is a part of what is given up.
    type: bool
    default: true
seealso:
  - module: llmops.platform.vllm_deployment
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Go back to what served last
  llmops.platform.vllm_rollback:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    namespace: llm-production
    reason: answers are cut off
    dsn: "{{ registry_dsn }}"
  register: back

- name: Say how it went
  ansible.builtin.debug:
    msg: "{{ back.line }}"

- name: Only say how it would go, and how long it would take
  llmops.platform.vllm_rollback:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    namespace: llm-production
    to: "3"
    dsn: "{{ registry_dsn }}"
  check_mode: true
  diff: true
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
    http://llama-3-1-8b-instruct-1d30a5c6-staging.llm-staging.svc.cluster.local:8000 is what revision 3
    (5f70bf18a086) was, as revision 5, after 42.9 s (warm, completion 0.3 s)
plan:
  description: How it goes, as it was said before anything was changed.
  returned: success
  type: dict
  contains:
    before:
      description:
        - What is given up. It has C(revision), C(digest), C(chart_version), C(image) and C(model_revision).
      type: dict
    after:
      description: What is restored, with the same keys. V(null) where the model is taken away.
      type: dict
    way:
      description:
        - V(none) where it is there already, V(warm) with new pods whose image and weights are on the cluster,
          V(cold) with new pods that have to fetch them, V(in_place) where no pod is replaced, V(remove) where
          the first revision is taken away.
      type: str
    strategy:
      description: How pods are replaced. Empty where none is.
      type: str
    fetches:
      description: What new pods may have to fetch before they can start. Empty unless it goes V(cold).
      type: list
      elements: str
    interrupts:
      description: Whether clients are without the model meanwhile.
      type: bool
    expected_s:
      description: Seconds to expect, by this model's own operations. V(null) where there are none.
      type: float
    away_s:
      description: For how many seconds of that clients are without the model. V(null) where nobody knows.
      type: float
    based_on:
      description: How many operations the times come from.
      type: int
    same:
      description: Whether those operations made this very manifest.
      type: bool
    differences:
      description: What differs between the two, a line each, with secrets hidden.
      type: list
      elements: str
  sample:
    before:
      revision: 4
      digest: sha256:0b1e8df3a9c1f6d1a3b9f9a1f6c1b6a4b0d7f0f6c3f5a0d8e1c2b3a4958676a5
      chart_version: 0.1.0
      image: vllm/vllm-openai:v0.33.0
      model_revision: null
    after:
      revision: 3
      digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      chart_version: 0.1.0
      image: vllm/vllm-openai:v0.32.0
      model_revision: null
    way: warm
    strategy: surge
    fetches: []
    interrupts: false
    expected_s: 41.5
    away_s: 0.0
    based_on: 2
    same: true
    differences: ["image: vllm/vllm-openai:v0.33.0 -> vllm/vllm-openai:v0.32.0"]
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
failed_step:
  description: The step that failed, as M(llmops.platform.vllm_deployment) names them.
  returned: failure, once the run had begun
  type: str
  sample: rollout
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
    ROLLOUT_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.arguments import check_planned
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.arguments import (
    check_operation,
    checked_model_config,
    checked_waits,
    make_delivery,
    make_tools,
    opened_registry,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.report import (
    release_difference,
    row_difference,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.choice import Wish
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.report import (
    rollback_result,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.rollback import (
    prepared,
    preview_rollback,
    roll_back,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseTarget
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
    "to": {"type": "str"},
    "reject": {"type": "bool", "default": True},
    "allow_rejected": {"type": "bool", "default": False},
    "first_revision": {"type": "str", "choices": ["refuse", "remove"], "default": "refuse"},
    "force_conflicts": {"type": "bool", "default": True},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the model back."""
    names = {key: params[key] for key in ("model", "environment", "namespace", "name")}
    target = ReleaseTarget.named(**names)
    waits = checked_waits(params)
    check_operation(params)
    wish = Wish(params["to"] or "", params["allow_rejected"], params["first_revision"] == "remove")
    tools = make_tools(params, context.progress, None, context.run_folder, context.phase)
    verification = check_planned(
        tools.client,
        params["verification"],
        model=target.model,
        service=target.name,
        namespace=target.namespace,
    )
    with opened_registry(params, context.progress, context.run_pid) as registry:
        this = Run(
            target,
            Wanted(),
            tools,
            waits,
            registry,
            make_delivery(params),
            check_capacity=params["check_capacity"],
            model_config=checked_model_config(params),
            verification=verification,
            check_mode=context.check_mode,
            kind="rollback",
        )
        with prepared(
            this,
            wish,
            strategy=params["strategy"],
            force_conflicts=params["force_conflicts"],
            reason=params["reason"] or "",
            rejects=params["reject"],
        ) as going:
            (preview_rollback if context.check_mode else roll_back)(going)
            done = Outcome(this.changed, rollback_result(going), warnings=this.warnings)
            if context.diff:
                done.diff = release_difference(this)
                done.more_diffs = [row_difference(this)]
            return done


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
