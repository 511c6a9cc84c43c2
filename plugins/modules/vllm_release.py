#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module vllm_release."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_release
short_description: Install, upgrade or remove the Helm release of one vLLM model server
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Renders the chart C(vllm-deployment) for one model and compares the result with what Helm stored last.
    Where nothing differs on record or on the cluster, nothing is done and no Helm revision is made.
  - Otherwise checks node by node whether the pods fit, waits for capacity with jittered exponential backoff,
    installs or upgrades with Helm, and follows the rollout until exactly the new pods are ready and listed
    by the Service.
  - Fails as soon as waiting cannot help (an image that does not exist, a crash loop, an OOM kill, a quota,
    a missing Secret, a node selection that no node meets) with the cause, the events and the log's tail.
  - A run that was killed needs no repair, run it again. A release that was left pending is recovered, a
    rollout that goes on is followed, and pods that crashed before are replaced once.
  - With O(lock), nothing is changed after the operation lost its lock. Helm is stopped then. What an
    earlier holder of the lock left pending is recovered without a wait. The lock is written on the Helm
    release, and needs the registry's database to be kept, see O(dsn).
  - How pods are replaced is decided from capacity, so that an update never waits for a GPU that it holds
    itself.
extends_documentation_fragment:
  - llmops.platform.lock
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
  - llmops.platform.rollout_options
  - llmops.platform.release_options
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns the capacity verdict and the next action. Nothing is waited for.
      - Fails where a run would fail at once, such as for a pod that no node can take.
  diff_mode:
    support: full
    details:
      - Shows the rendered manifests before and after, with secrets hidden.
  idempotent:
    support: full
seealso:
  - module: llmops.platform.vllm_deployment
  - module: llmops.platform.lock
  - module: llmops.platform.gpu_capacity_info
  - module: llmops.platform.vllm_endpoint_info
"""

EXAMPLES = r"""
- name: Deploy a model
  llmops.platform.vllm_release:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    chart_values:
      model:
        sizeBillions: 8
        revision: 0e9e39f249a16976918f6564b8830bc894c89659
      secrets:
        hfToken:
          existingSecret: hugging-face

- name: Show what a deployment would change and whether it fits
  llmops.platform.vllm_release:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
  check_mode: true
  diff: true

- name: Remove a model server
  llmops.platform.vllm_release:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    state: absent
"""

RETURN = r"""
name:
  description: Name of the release and of its Service.
  returned: success
  type: str
  sample: llama-3-1-8b-instruct-1d30a5c6-staging
namespace:
  description: Namespace of the release.
  returned: success
  type: str
  sample: llm-staging
environment:
  description: Environment of the release.
  returned: success
  type: str
  sample: staging
model:
  description: Full name of the model.
  returned: success
  type: str
  sample: meta-llama/Llama-3.1-8B-Instruct
endpoint:
  description: URL of the model server inside the cluster.
  returned: success and O(state=present)
  type: str
  sample: http://llama-3-1-8b-instruct-1d30a5c6-staging.llm-staging.svc.cluster.local:8000
action:
  description: V(none), V(install), V(upgrade) or V(uninstall); in check mode what would be done.
  returned: success
  type: str
  sample: install
strategy:
  description: How pods are replaced.
  returned: success and O(state=present)
  type: str
  sample: surge
interrupts:
  description: Whether the model is away while the action runs.
  returned: success and O(state=present)
  type: bool
  sample: false
revision:
  description: Revision of the Helm release. In check mode the one that would be made.
  returned: success and O(state=present)
  type: int
  sample: 3
chart:
  description: Name of the chart.
  returned: success and O(state=present)
  type: str
  sample: vllm-deployment
chart_version:
  description: Version of the chart.
  returned: success and O(state=present)
  type: str
  sample: 0.1.0
chart_digest:
  description: SHA-256 of the chart's files.
  returned: success and O(state=present)
  type: str
  sample: sha256:0c1d4f7f7e8a1f0d2b8d6d34f4b3c2a1908070605040302010f0e0d0c0b0a090
image:
  description: Image of the model server.
  returned: success and O(state=present)
  type: str
  sample: vllm/vllm-openai:v0.33.0
image_digest:
  description: Digest of the image that all pods run. V(null) if there are no pods, or if they differ.
  returned: success and O(state=present)
  type: str
  sample: sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730
chart_values:
  description: Values that the chart is rendered with, with secrets hidden.
  returned: success and O(state=present)
  type: dict
values_digest:
  description: SHA-256 of the values as they are, secrets among them.
  returned: success and O(state=present)
  type: str
  sample: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
values_redacted:
  description: Whether secrets were hidden in RV(chart_values).
  returned: success and O(state=present)
  type: bool
  sample: false
replicas:
  description: Number of pods.
  returned: success and O(state=present)
  type: int
  sample: 1
manifest_digest:
  description: SHA-256 of the rendered manifest.
  returned: success and O(state=present)
  type: str
  sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
ready:
  description: Whether all pods are ready. In check mode also V(false) where that was not looked at.
  returned: success and O(state=present)
  type: bool
  sample: true
drift:
  description: What somebody had changed on the cluster since the last deployment, one line a field.
  returned: success and O(state=present)
  type: list
  elements: str
  sample: []
capacity:
  description:
    - Verdict of the capacity check in short. M(llmops.platform.gpu_capacity_info) tells all about each node.
    - V(null) where no pod had to be placed.
  returned: success and O(state=present), and failures of class V(capacity)
  type: dict
timings:
  description: Seconds spent in each part.
  returned: success and O(state=present)
  type: dict
  sample: {"plan_s": 0.2, "capacity_s": 0.0, "helm_s": 0.5, "rollout_s": 42.1, "total_s": 42.8}
failed_step:
  description: The step that failed, see M(llmops.platform.vllm_deployment).
  returned: failure, once the run had begun
  type: str
  sample: rollout
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: workload
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
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
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    KUBERNETES_SPEC,
    LOCK_SPEC,
    POSTGRES_SPEC,
    RELEASE_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.arguments import (
    checked_model_config,
    checked_target,
    checked_waits,
    make_tools,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.deploy import deploy
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.preview import preview
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.report import (
    release_difference,
    release_result,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import permit
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {**KUBERNETES_SPEC, **POSTGRES_SPEC, **LOCK_SPEC, **RELEASE_SPEC}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the release to the wanted state."""
    target, waits = checked_target(params), checked_waits(params)
    wanted = Wanted(params["state"] == "present", verifies=False, registers=False)
    # The lock is the operation's, if there is one: it is neither taken nor given back here.
    given = permit(
        params,
        context.progress,
        target=(target.model, target.environment),
        check_mode=context.check_mode,
    )
    with given as held:
        tools = make_tools(params, context.progress, held, context.run_folder, context.phase)
        this = Run(
            target,
            wanted,
            tools,
            waits,
            check_capacity=params["check_capacity"],
            model_config=checked_model_config(params),
            check_mode=context.check_mode,
        )
        (preview if context.check_mode else deploy)(this)
    diff = release_difference(this) if context.diff else None
    return Outcome(this.changed, release_result(this), diff, this.warnings)


CONTRACT = ModuleContract(ARGUMENT_SPEC, run, required_if=[("state", "present", ("chart_path",))])


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
