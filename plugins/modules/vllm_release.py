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
  - With O(operation), nothing is changed after the operation lost its lock. Helm is stopped then. What an
    earlier holder of the lock left pending is recovered without a wait.
  - How pods are replaced is decided from capacity, so that an update never waits for a GPU that it holds
    itself.
extends_documentation_fragment:
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
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
options:
  state:
    description: Whether the release is to be there.
    type: str
    choices: [present, absent]
    default: present
  model:
    description:
      - Full name of the model, as clients ask for it, for example V(meta-llama/Llama-3.1-8B-Instruct).
    type: str
    required: true
  environment:
    description: Environment of the release. Part of its name.
    type: str
    choices: [development, staging, production]
    required: true
  namespace:
    description: Namespace of the release.
    type: str
    required: true
  create_namespace:
    description: Create the namespace where it is missing.
    type: bool
    default: false
  name:
    description:
      - Name of the release and of its Service, at most 53 characters.
      - By default C({slug}-{environment}), where the slug is made from O(model).
    type: str
  chart_path:
    description:
      - Folder of the chart C(vllm-deployment). The role P(llmops.platform.vllm#role) brings it.
      - Required if O(state=present).
    type: path
  chart_values:
    description:
      - Values of the chart. They win over the chart's C(values.yaml) and over its
        C(values-{environment}.yaml), which is always used.
      - The name of the model, the environment and the slug are set by the module.
      - Secrets have no place here. The chart takes references to existing Secrets only.
    type: dict
    default: {}
  strategy:
    description:
      - How pods are replaced in an update.
      - V(surge) starts a new pod first and needs a free slot, or one for each pod where a new one cannot take
        the place of an old one, such as with more GPUs. V(unavailable-first) takes one of several pods away
        first. V(recreate) takes all away first.
      - V(auto) is what O(chart_values) say, if they do. Otherwise it is V(recreate) where the pods have a
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
  capacity_timeout:
    description: Seconds to wait for capacity. V(0) fails at once where there is none.
    type: float
    default: 600
  rollout_timeout:
    description:
      - Seconds to wait for the new pods.
      - By default the progress deadline that the chart derives from the model's size, for each pod where one
        starts after the other, and a minute.
    type: float
  takeover_after:
    description:
      - A release that Helm holds as pending and that nobody has touched for so many seconds was left by a run
        that died. It is recovered then.
      - One that an operation with an earlier lock has left is recovered at once if O(operation) is given.
    type: float
    default: 30
  verification:
    description:
      - How the model server will be verified after the change, by M(llmops.platform.vllm_endpoint_info).
      - These arguments and the Secret are checked before anything is changed, in check mode too. The
        verification itself is not made here.
    type: dict
    suboptions:
      access:
        description: How the endpoint is reached.
        type: str
        choices: [auto, dns, proxy, port_forward]
        default: auto
      api_key_secret:
        description: The Secret in O(namespace) that holds the server's API key. Empty for none.
        type: dict
        suboptions:
          name:
            description: Name of the Secret.
            type: str
          key:
            description: Key in it. By default C(api-key).
            type: str
      max_latency_s:
        description: Seconds that a completion may take.
        type: float
        default: 3
      timeout:
        description: Seconds for the whole verification.
        type: float
        default: 120
  operation:
    description:
      - The operation that this change is part of, as the module M(llmops.platform.operation) returned it. It
        is written on the Helm release.
      - The registry's database is needed to keep its lock, see O(dsn).
      - Fails with RV(error_class=fenced) when the operation does not hold the lock of the target.
    type: dict
    suboptions:
      id:
        description: Id of the operation.
        type: str
        required: true
      fence:
        description: Number of the lock that it got.
        type: int
        required: true
  helm_binary:
    description: Name or path of the Helm binary, 3.20.2 or later, or 4.1.4 or later.
    type: str
    default: helm
requirements:
  - helm >= 3.20.2
  - PyYAML
seealso:
  - module: llmops.platform.operation
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
  description: Seconds spent in each phase.
  returned: success and O(state=present)
  type: dict
  sample: {"plan_s": 0.2, "capacity_s": 0.0, "helm_s": 0.5, "rollout_s": 42.1, "total_s": 42.8}
error_class:
  description: Class of the failure, to branch on.
  returned: failure
  type: str
  sample: workload
resolution:
  description: What to do about the failure.
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

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    KUBERNETES_SPEC,
    OPERATION_SPEC,
    POSTGRES_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import (
    check_model,
    check_namespace,
    check_release_name,
    release_name,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.permit import Permit
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.arguments import check_planned
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import permit
from ansible_collections.llmops.platform.plugins.module_utils._core.release.apply import (
    apply_release,
    remove_release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.plan import ReleaseRequest
from ansible_collections.llmops.platform.plugins.module_utils._core.release.recovery import (
    Tools,
    Waits,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    **POSTGRES_SPEC,
    **OPERATION_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "choices": ["development", "staging", "production"], "required": True},
    "namespace": {"type": "str", "required": True},
    "create_namespace": {"type": "bool", "default": False},
    "name": {"type": "str"},
    "chart_path": {"type": "path"},
    "chart_values": {"type": "dict", "default": {}},
    "strategy": {
        "type": "str",
        "choices": ["auto", "surge", "unavailable-first", "recreate"],
        "default": "auto",
    },
    "check_capacity": {"type": "bool", "default": True},
    "capacity_timeout": {"type": "float", "default": 600},
    "rollout_timeout": {"type": "float"},
    "takeover_after": {"type": "float", "default": 30},
    "verification": {
        "type": "dict",
        "options": {
            "access": {"type": "str", "choices": ["auto", "dns", "proxy", "port_forward"], "default": "auto"},
            # A reference, not a secret.
            "api_key_secret": {
                "type": "dict",
                "no_log": False,
                "options": {"name": {"type": "str"}, "key": {"type": "str", "no_log": False}},
            },
            "max_latency_s": {"type": "float", "default": 3},
            "timeout": {"type": "float", "default": 120},
        },
    },
    "helm_binary": {"type": "str", "default": "helm"},
}

_REMOVAL_TIMEOUT_S = 600.0


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the release to the wanted state."""
    for name in ("capacity_timeout", "rollout_timeout", "takeover_after"):
        if params[name] is not None and not 0 <= params[name] < math.inf:
            raise invalid(name, params[name], "is not a time", "Give seconds, zero or more.")
    if params["state"] == "absent":
        return _absent(params, context)
    if not params["chart_path"]:
        raise invalid("chart_path", params["chart_path"], "is missing", "Give the folder of the chart.")
    request = ReleaseRequest.build(
        model=params["model"],
        environment=params["environment"],
        namespace=params["namespace"],
        chart=params["chart_path"],
        name=params["name"],
        values=params["chart_values"],
        strategy=params["strategy"],
        create_namespace=params["create_namespace"],
    )
    waits = Waits(params["capacity_timeout"], params["rollout_timeout"], params["takeover_after"])
    with _permit(params, context) as given:
        tools = _tools(params, context, given)
        if params["verification"] is not None:
            check_planned(
                tools.client,
                params["verification"],
                model=request.model,
                service=request.name,
                namespace=request.namespace,
            )
        done = apply_release(
            tools,
            request,
            waits,
            check_mode=context.check_mode,
            check_capacity=params["check_capacity"],
        )
    diff = done.diff() if context.diff else None
    return Outcome(done.changed, done.result, diff, done.warnings)


def _permit(params: Mapping[str, Any], context: Context) -> AbstractContextManager[Permit]:
    """Return the permission to change the release: the lock of the operation, if there is one."""
    target = (params["model"], params["environment"])
    return permit(params, context.progress, target=target, check_mode=context.check_mode)


def _tools(params: Mapping[str, Any], context: Context, given: Permit) -> Tools:
    """Return what the release is changed with, as long as it is permitted."""
    authentication = Authentication.from_params(params)
    helm = Helm(params["helm_binary"], authentication, given)
    return Tools(ClusterClient(authentication, given), helm, context.progress, given)


def _absent(params: Mapping[str, Any], context: Context) -> Outcome:
    model = check_model(params["model"])
    name = check_release_name(params["name"] or release_name(model, params["environment"]))
    namespace = check_namespace(params["namespace"])
    with _permit(params, context) as given:
        changed = remove_release(
            _tools(params, context, given),
            name,
            namespace,
            model,
            Deadline(_REMOVAL_TIMEOUT_S),
            check_mode=context.check_mode,
        )
    result = {
        "name": name,
        "namespace": namespace,
        "environment": params["environment"],
        "model": model,
        "action": "uninstall" if changed else "none",
    }
    state = f"{name}: deployed\n" if changed else ""
    return Outcome(changed, result, {"before": state, "after": ""})


CONTRACT = ModuleContract(ARGUMENT_SPEC, run, required_if=[("state", "present", ("chart_path",))])


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
