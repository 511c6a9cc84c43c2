#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module vllm_deployment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_deployment
short_description: Deploy, verify and register one vLLM model server, or remove it
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Brings one model in one environment to the wanted state. Each round looks at what is there (the lock, the
    registry's row, Helm's record, the objects and pods on the cluster) and takes the next step.
  - The steps are C(lock), C(recover), C(plan), C(announce), C(capacity), C(release), C(rollout), C(verify),
    C(register) and C(finish), or C(lock), C(withdraw), C(uninstall) and C(finish) with O(state=absent). Only
    those that are needed are taken, and each is shown while the task runs.
  - A row of the registry says C(ready) only for an endpoint that answered a real completion. When a run
    fails, the row says afterwards what is true, and a run's own mistake is never held against the model.
  - The release is changed under the registry's lock of the model, which is kept renewed. A run that finds it
    as it should be takes no lock. It verifies the model, and writes the row only if that says something else,
    and nobody has the lock or has written it meanwhile.
  - A run that was killed needs no repair, run it again.
  - The role P(llmops.platform.vllm#role) brings the chart and calls this module once a model.
extends_documentation_fragment:
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
  - llmops.platform.rollout_options
  - llmops.platform.release_options
  - llmops.platform.operation_options
  - llmops.platform.gitops_options.delivery
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns the capacity verdict and what would be done. Nothing is written, and nothing waited for.
      - Fails where a run would fail at once, such as for a pod that no node can take, or a wrong argument of
        O(verification). A model that is as wanted is verified.
  diff_mode:
    support: full
    details:
      - Shows the rendered manifests and the registry's row before and after, with secrets hidden.
  idempotent:
    support: full
options:
  register:
    description:
      - Whether to use the registry, for the lock and for the row that routers read. See O(dsn).
      - Without it there is no lock but Helm's own.
    type: bool
    default: true
  rollback_on_failure:
    description:
      - Whether an upgrade that does not serve is undone at once, within the same operation. The model goes
        back to the last manifest that is known to serve, and the task still fails. See RV(rolled_back).
      - Only what the model server itself did counts, such as a container that crashes or a completion that is
        wrong. Nothing is undone for want of time, of capacity, of an API server or of rights.
      - A manifest is undone once. Where it failed already, and O(retry_rejected) lets it be deployed again,
        it stays as it is.
      - Going back has as much time as the change had.
      - By default only where O(tier) is V(production).
    type: bool
  retry_rejected:
    description:
      - Whether to deploy a manifest that was found not to serve here, or that a rollback has given up.
        Otherwise that is refused while another one is there, before anything is changed.
      - By default one that was given up is refused, and one that did not serve only where
        O(rollback_on_failure) is on.
    type: bool
  promoted:
    description:
      - What to do where the model was promoted, and O(chart_values) would make another model server of it
        than was proven. V(refuse) fails, and says what differs. V(keep) takes of O(chart_values) what the
        environment owns, such as C(replicas), and all else from what was promoted. V(replace) deploys
        O(chart_values).
      - M(llmops.platform.vllm_promotion) says which values an environment owns.
    type: str
    choices: [refuse, keep, replace]
    default: refuse
  environment_keys:
    description:
      - Further keys of the values that this environment owns, as for M(llmops.platform.vllm_promotion). Only
        what was promoted is compared by them.
    type: list
    elements: str
    default: []
seealso:
  - module: llmops.platform.vllm_release
  - module: llmops.platform.vllm_endpoint_info
  - module: llmops.platform.registry_entry
"""

EXAMPLES = r"""
- name: Deploy, verify and register a model
  llmops.platform.vllm_deployment:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    chart_values:
      model:
        sizeBillions: 8
    dsn: "{{ registry_dsn }}"
  register: deployed

- name: Say how it went
  ansible.builtin.debug:
    msg: "{{ deployed.line }}"

- name: Show what would change, and whether it fits
  llmops.platform.vllm_deployment:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    dsn: "{{ registry_dsn }}"
  check_mode: true
  diff: true

- name: Drain a model, remove it from the registry and from the cluster
  llmops.platform.vllm_deployment:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    state: absent
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
    http://llama-3-1-8b-instruct-1d30a5c6-staging.llm-staging.svc.cluster.local:8000 revision 3 upgraded;
    preflight 0.2 s, capacity 0 s, helm 0.5 s, rollout 42.1 s, completion 0.3 s
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
    - Empty where no lock was taken, or without O(register).
  returned: success
  type: list
  elements: dict
  sample:
    - name: helm install
      outcome: succeeded
      duration_s: 1.204
failed_step:
  description: The step that failed.
  returned: failure, once the run had begun
  type: str
  sample: rollout
promotion_differences:
  description: What the values would change of what was promoted, see O(promoted).
  returned: failures that O(promoted) is about
  type: list
  elements: str
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: workload
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
checks:
  description: The checks of the verification, as M(llmops.platform.vllm_endpoint_info) returns them.
  returned: failures of the step C(verify)
  type: list
  elements: dict
conflicts:
  description:
    - Fields that somebody else manages.
    - Each has C(where), C(field), C(manager) and C(since).
  returned: where fields would have to be taken over, see O(force_conflicts)
  type: list
  elements: dict
capacity:
  description: Verdict of the capacity check in short.
  returned: failures of class V(capacity)
  type: dict
cause:
  description: Kubernetes' reason for the failure.
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
rolled_back:
  description:
    - Where the model went back to, if it did. It has C(revision), Helm's of now, C(of_revision), which it was
      before, C(manifest_digest), and C(total_s), the seconds that it took.
  returned: failures that were undone, see O(rollback_on_failure)
  type: dict
  sample:
    revision: 6
    of_revision: 4
    manifest_digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    total_s: 4.2
rollback_error:
  description: Why the model could not go back. What still serves goes on serving.
  returned: failures that could not be undone
  type: str
locked_by:
  description: Who holds the lock, as M(llmops.platform.lock) returns it.
  returned: failures of class V(locked) and V(fenced)
  type: dict
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    DELIVERY_SPEC,
    KUBERNETES_SPEC,
    OPERATION_SPEC,
    POSTGRES_SPEC,
    RELEASE_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.arguments import check_planned
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.arguments import (
    check_operation,
    checked_model_config,
    checked_target,
    checked_waits,
    make_delivery,
    make_tools,
    opened_registry,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.deploy import deploy
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.preview import preview
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.report import (
    deployment_result,
    release_difference,
    row_difference,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.keeping import kept
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.verifications import REJECTED
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
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
    **RELEASE_SPEC,
    **OPERATION_SPEC,
    "register": {"type": "bool", "default": True},
    "rollback_on_failure": {"type": "bool"},
    "retry_rejected": {"type": "bool"},
    "promoted": {"type": "str", "choices": ["refuse", "keep", "replace"], "default": "refuse"},
    "environment_keys": {"type": "list", "elements": "str", "no_log": False, "default": []},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the model to the wanted state."""
    target, waits = checked_target(params), checked_waits(params)
    check_operation(params)
    wanted = Wanted(params["state"] == "present", registers=params["register"])
    tools = make_tools(params, context.progress, None, context.run_folder, context.phase)
    verification = {}
    if wanted.present:
        # A mistake in them is found before anything is changed.
        verification = check_planned(
            tools.client,
            params["verification"],
            model=target.model,
            service=target.name,
            namespace=target.namespace,
        )
    used = params["register"]
    # Production is guarded against what does not serve, unless it says otherwise.
    guarded = _or(
        params["rollback_on_failure"], isinstance(target, ReleaseRequest) and target.tier == "production"
    )
    with opened_registry(params, context.progress, context.run_pid) if used else nullcontext() as registry:
        target, origin = kept(registry, target, params["promoted"], params["environment_keys"])
        this = Run(
            target,
            wanted,
            tools,
            waits,
            registry,
            make_delivery(params),
            check_capacity=params["check_capacity"],
            model_config=checked_model_config(params),
            verification=verification,
            check_mode=context.check_mode,
            kind="deploy" if wanted.present else "remove",
            rollback_on_failure=guarded,
            refuses=_refused(params["retry_rejected"], guarded),
            origin=origin,
        )
        (preview if context.check_mode else deploy)(this)
    done = Outcome(this.changed, deployment_result(this), warnings=this.warnings)
    if context.diff:
        done.diff = release_difference(this)
        done.more_diffs = [row_difference(this)] if params["register"] else []
    return done


def _or(given: bool | None, otherwise: bool) -> bool:
    return otherwise if given is None else given


def _refused(retry: bool | None, guarded: bool) -> tuple[str, ...]:
    """Return the verdicts that keep a manifest from being deployed: by default one that a person gave."""
    if retry is None:
        return REJECTED if guarded else ("revoked",)
    return () if retry else REJECTED


CONTRACT = ModuleContract(ARGUMENT_SPEC, run, required_if=[("state", "present", ("chart_path",))])


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
