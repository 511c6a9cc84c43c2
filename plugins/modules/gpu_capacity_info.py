#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_capacity_info
short_description: Tell whether N replicas of a GPU pod would be placed now, and if not, why
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Counts for every node what kube-scheduler counts. That is allocatable minus the effective requests of all
    unfinished pods (init containers, sidecars and overhead included) for every resource and the number of
    pods, then taints, node selector, node affinity, cordons, host ports, rules between pods, volumes.
  - Also counts what refuses a pod before the scheduler sees it (ResourceQuota, LimitRange, RuntimeClass and
    PriorityClass).
  - Optionally judges whether a model's weights and KV cache fit into the memory of the GPUs, from the model's
    C(config.json) and the nodes' GPU memory label.
  - The answer is about this moment, and nothing is reserved.
  - No room is an answer and not a failure. A right that is missing is a failure of class V(auth), because the
    capacity is unknown then.
  - Reads nodes and pods of the whole cluster, LimitRanges and ResourceQuotas of the namespace, and
    PriorityClasses; also PersistentVolumeClaims, volumes, StorageClasses, CSINodes, CSIDrivers,
    VolumeAttachments, RuntimeClasses, namespaces and DeviceClasses where the pod makes them matter.
  - Fails where it cannot know, as for pods with resource claims or scheduling gates, and for those that
    another scheduler places.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.attributes.info_module
  - llmops.platform.kubernetes_auth
options:
  namespace:
    description: Namespace in which the pods would be created; it need not exist yet.
    type: str
    default: default
  replicas:
    description: How many more pods have to find a place.
    type: int
    default: 1
  gpus:
    description: GPUs that each pod asks for, all on one node.
    type: int
    default: 1
  gpu_resource:
    description:
      - Resource name of the GPUs, such as V(nvidia.com/gpu), V(nvidia.com/mig-1g.10gb) or V(amd.com/gpu).
    type: str
    default: nvidia.com/gpu
  cpu:
    description: CPU request of each pod, as a Kubernetes quantity.
    type: str
  memory:
    description: Memory request of each pod, as a Kubernetes quantity.
    type: str
  ephemeral_storage:
    description: Ephemeral storage request of each pod, as a Kubernetes quantity.
    type: str
  node_selector:
    description: Labels that a node must have.
    type: dict
  tolerations:
    description: Tolerations, as in a pod.
    type: list
    elements: dict
  affinity:
    description:
      - Affinity, as in a pod. Preferences are ignored, because they do not decide whether a pod fits.
    type: dict
  priority_class:
    description: Name of a PriorityClass.
    type: str
  pod_template:
    description:
      - A whole pod template (C(metadata) and C(spec)), as it stands in a Deployment.
      - Replaces the options that describe a pod.
    type: dict
  releasing:
    description:
      - Labels of pods in O(namespace) whose place counts as free, because they go before the new ones come.
      - Use it for an update that does not surge.
    type: dict
  whole_gpus:
    description:
      - Whether to refuse nodes that share one GPU among pods (time-slicing, MPS), and MIG slices.
      - By default only for pods with more than one GPU and with O(memory_fit). Several shared GPUs may be one
        card, and one process cannot use several MIG slices.
    type: bool
  memory_fit:
    description:
      - Judge the memory of the GPUs too. One of O(memory_fit.weights_gib), O(memory_fit.weights_bytes),
        O(memory_fit.weights_index) and O(memory_fit.parameters_billion) is needed.
    type: dict
    suboptions:
      model_config:
        description: The model's C(config.json), as a path or as a dictionary.
        type: raw
        required: true
      weights_gib:
        description: Size of all weights in GiB.
        type: float
      weights_bytes:
        description: Size of all weights in bytes.
        type: int
      weights_index:
        description: Path of C(model.safetensors.index.json), which states the size.
        type: path
      parameters_billion:
        description: Number of parameters in billions; multiplied by the bytes of the model's data type.
        type: float
      max_model_len:
        description: Longest context in tokens. By default what the model's configuration says.
        type: int
      gpu_memory_utilization:
        description: Share of the GPU's memory that the engine may use.
        type: float
        default: 0.9
      tensor_parallel_size:
        description: GPUs that share each layer. By default the GPUs of one pod's server.
        type: int
      pipeline_parallel_size:
        description: Groups of GPUs that share the layers.
        type: int
        default: 1
      kv_cache_dtype:
        description: Data type of the KV cache, such as V(fp8); V(auto) is the model's own.
        type: str
        default: auto
      block_size:
        description: Tokens in one block of the KV cache.
        type: int
        default: 16
      activation_gib:
        description: Memory of one forward pass on each GPU. A conservative constant by default.
        type: float
      non_torch_gib:
        description: Memory taken outside PyTorch on each GPU. A conservative constant by default.
        type: float
      gpu_memory_mib:
        description: Memory of each GPU, for clusters whose nodes have no label C(nvidia.com/gpu.memory).
        type: int
"""

EXAMPLES = r"""
- name: Ask for two replicas with four GPUs each
  llmops.platform.gpu_capacity_info:
    namespace: llm-staging
    replicas: 2
    gpus: 4
    cpu: "8"
    memory: 48Gi
    node_selector:
      nvidia.com/gpu.product: NVIDIA-L40S
    tolerations:
      - key: nvidia.com/gpu
        operator: Exists
  register: capacity

- name: Say why there is no room
  ansible.builtin.debug:
    msg: "{{ capacity.message }} {{ capacity.resolution }}"
  when: not capacity.fits

- name: Would the model fit into the GPUs' memory as well
  llmops.platform.gpu_capacity_info:
    gpus: 2
    memory_fit:
      model_config: "{{ playbook_dir }}/files/config.json"
      weights_gib: 61
      max_model_len: 16000

- name: Ask for the pod of a Deployment, with the room of its present pods
  llmops.platform.gpu_capacity_info:
    namespace: llm-staging
    replicas: "{{ deployment.spec.replicas }}"
    pod_template: "{{ deployment.spec.template }}"
    releasing: "{{ deployment.spec.selector.matchLabels }}"
"""

RETURN = r"""
fits:
  description: Whether all replicas find a place now, without evicting anybody.
  returned: success
  type: bool
permanent:
  description: Whether waiting cannot help, because the configuration or the cluster must change.
  returned: success
  type: bool
verdict:
  description:
    - V(fits), V(no_room), V(never_fits), or what would make room, V(fits_after_termination) (pods that are
      being deleted still hold it) and V(fits_by_preemption) (pods of lower priority hold it).
  returned: success
  type: str
  sample: no_room
message:
  description: What was found, for people.
  returned: success
  type: str
  sample: >-
    No room for 1 replica: 4 nvidia.com/gpu, 8 cpu, 48Gi memory needed on one node. 3 nodes have
    nvidia.com/gpu, most free is 2 on gpu-07, held by team-a/llama (4), team-b/qwen (2).
resolution:
  description: What to do about it; empty where it fits.
  returned: success
  type: str
exact:
  description:
    - Whether the answer is the same whichever node the scheduler prefers. It may not be with several rules
      between pods, while pending pods come first, or where evictions would lift such a rule.
  returned: success
  type: bool
replicas:
  description: Number of pods. It is the one that was asked for.
  returned: success
  type: int
placeable:
  description: How many of them find a place now.
  returned: success
  type: int
resource:
  description: Name of the devices asked for.
  returned: success
  type: str
needs:
  description: What each replica needs, as quantities, with init containers, defaults and overhead.
  returned: success
  type: dict
  sample: {"cpu": "8", "memory": "48Gi", "nvidia.com/gpu": "4"}
api:
  description: Where the number of devices was read from.
  returned: success
  type: dict
  contains:
    resource:
      description: Name of the devices.
      type: str
    source:
      description: V(device-plugin), V(dra) or V(none).
      type: str
    detail:
      description: The same for people.
      type: str
nodes_total:
  description: Number of nodes in the cluster.
  returned: success
  type: int
nodes_fit:
  description: Nodes that have room, at most 50 of them.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node.
      type: str
    free:
      description: What is free of each resource that is needed, and of pods.
      type: dict
    slots:
      description: How many replicas its own resources take.
      type: int
    ready:
      description: Whether the node is Ready.
      type: bool
nodes_excluded:
  description: Nodes without room and why, at most 50 of them.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node.
      type: str
    cause:
      description:
        - One of V(resource), V(host_port), V(node_selector), V(node_affinity), V(node_name), V(cordoned),
          V(taint), V(affinity), V(anti_affinity), V(spread), V(volume), V(shared_gpu), V(gpu_memory).
      type: str
    reason:
      description: The same for people.
      type: str
    resource:
      description: The resource that is short, if that is the cause.
      type: str
    has:
      description: What the node has.
      type: str
    needs:
      description: What the pod needs.
      type: str
excluded_by:
  description: Number of nodes by cause; complete, also where the list of nodes is cut.
  returned: success
  type: dict
  sample: {"resource": 3, "taint": 2}
holders:
  description: Who holds the devices on nodes that may be used, the largest first.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the pods.
      type: str
    release:
      description: Their C(app.kubernetes.io/instance), else their controller, else their name.
      type: str
    amount:
      description: Devices held.
      type: int
quota:
  description: Lines of ResourceQuotas that count this pod, as quantities.
  returned: success
  type: list
  elements: dict
  contains:
    quota:
      description: Name of the ResourceQuota.
      type: str
    resource:
      description: The resource as the quota names it.
      type: str
    hard:
      description: The limit.
      type: str
    used:
      description: What is used of it, without the pods that are being replaced.
      type: str
    need:
      description: What each replica would use.
      type: str
refusals:
  description: Why the namespace would refuse the pod, whatever the room.
  returned: success
  type: list
  elements: str
terminating:
  description: Pods that are being deleted and still hold devices, at most 20 of them.
  returned: success
  type: list
  elements: dict
pending:
  description: Pending pods of equal or higher priority, grouped by what they need.
  returned: success
  type: list
  elements: dict
  contains:
    pods:
      description: Names of some of them.
      type: list
      elements: str
    count:
      description: How many there are.
      type: int
    priority:
      description: Their priority.
      type: int
    ahead:
      description:
        - Whether room was set aside for them. It is not for pods that the scheduler found no place for.
      type: bool
    needs:
      description: What each needs.
      type: dict
preemption:
  description: Nodes that run pods of lower priority, which the scheduler may evict where replicas do not fit.
  returned: success
  type: list
  elements: str
memory_fit:
  description: Judgement for each size of GPU that was met, the largest first.
  returned: when O(memory_fit) is given
  type: list
  elements: dict
  contains:
    gpu_memory_mib:
      description: Memory of the GPU as its label states it.
      type: int
    nodes:
      description: Number of nodes with such GPUs among those that were examined.
      type: int
    fits:
      description: Whether the KV cache holds one request of the longest context.
      type: bool
    gpu_memory_gib:
      description: What the engine is taken to see.
      type: float
    weights_gib:
      description: Weights on each GPU.
      type: float
    activation_gib:
      description: Memory of one forward pass.
      type: float
    non_torch_gib:
      description: Memory outside PyTorch.
      type: float
    kv_gib:
      description: What is left for the KV cache on each GPU; negative where even the rest does not fit.
      type: float
    kv_needed_gib:
      description: KV cache of one request of the longest context, on each GPU.
      type: float
    kv_bytes_per_token:
      description: KV cache of one token, on each GPU.
      type: float
    tokens:
      description: Tokens that the KV cache holds.
      type: int
    blocks:
      description: Blocks of the KV cache.
      type: int
    concurrency:
      description: How many requests of the longest context the KV cache holds.
      type: float
    tensor_parallel:
      description: GPUs that share each layer.
      type: int
    suggestion:
      description: What would fit instead; empty where it fits.
      type: str
"""

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import KUBERNETES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import check_namespace
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.capacity import assess
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.memory_demand import (
    demand_of_model,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import (
    PodShape,
    parse_quantity,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

_WEIGHTS = ("weights_gib", "weights_bytes", "weights_index", "parameters_billion")
_MEMORY_FIT_SPEC: dict[str, Any] = {
    "model_config": {"type": "raw", "required": True},
    "weights_gib": {"type": "float"},
    "weights_bytes": {"type": "int"},
    "weights_index": {"type": "path"},
    "parameters_billion": {"type": "float"},
    "max_model_len": {"type": "int"},
    "gpu_memory_utilization": {"type": "float", "default": 0.9},
    "tensor_parallel_size": {"type": "int"},
    "pipeline_parallel_size": {"type": "int", "default": 1},
    "kv_cache_dtype": {"type": "str", "default": "auto"},
    "block_size": {"type": "int", "default": 16},
    "activation_gib": {"type": "float"},
    "non_torch_gib": {"type": "float"},
    "gpu_memory_mib": {"type": "int"},
}
ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    "namespace": {"type": "str", "default": "default"},
    "replicas": {"type": "int", "default": 1},
    "gpus": {"type": "int", "default": 1},
    "gpu_resource": {"type": "str", "default": "nvidia.com/gpu"},
    "cpu": {"type": "str"},
    "memory": {"type": "str"},
    "ephemeral_storage": {"type": "str"},
    "node_selector": {"type": "dict"},
    "tolerations": {"type": "list", "elements": "dict"},
    "affinity": {"type": "dict"},
    "priority_class": {"type": "str"},
    "pod_template": {"type": "dict"},
    "releasing": {"type": "dict"},
    "whole_gpus": {"type": "bool"},
    "memory_fit": {
        "type": "dict",
        "options": _MEMORY_FIT_SPEC,
        "mutually_exclusive": [_WEIGHTS],
        "required_one_of": [_WEIGHTS],
    },
}
_RESOURCE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_POD_OPTIONS = (
    "gpus",
    "gpu_resource",
    "cpu",
    "memory",
    "ephemeral_storage",
    "node_selector",
    "tolerations",
    "affinity",
    "priority_class",
)


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Judge the capacity; reads only."""
    namespace = check_namespace(params["namespace"])
    template = params["pod_template"] or pod_template(params)
    shape = PodShape.from_pod_template(template, namespace)
    demand = demand_of_model(params["memory_fit"], shape) if params["memory_fit"] else None
    whole = params["whole_gpus"]
    verdict = assess(
        ClusterClient.from_params(params),
        shape,
        params["replicas"],
        namespace,
        releasing=params["releasing"],
        node_demand=demand,
        whole_devices=True if whole is None and demand else whole,
    )
    result = verdict.as_result()
    if demand is not None:
        result["memory_fit"] = demand.as_result()
    return Outcome(result=result, warnings=verdict.warnings)


def pod_template(params: Mapping[str, Any]) -> dict[str, Any]:
    """Build the pod template that the simple options describe."""
    if params["gpus"] < 0:
        raise invalid("gpus", params["gpus"], "is negative", "Give the GPUs of one pod, 0 or more.")
    wanted = {
        "cpu": params["cpu"],
        "memory": params["memory"],
        "ephemeral-storage": params["ephemeral_storage"],
    }
    requests = {name: value for name, value in wanted.items() if value is not None}
    for name, value in requests.items():
        parse_quantity(value, name.replace("-", "_"))
    if params["gpus"]:
        if not _RESOURCE_NAME.fullmatch(params["gpu_resource"]):
            advice = "Give an extended resource such as nvidia.com/gpu or nvidia.com/mig-1g.10gb."
            raise invalid("gpu_resource", params["gpu_resource"], "is not the name of a device", advice)
        requests[params["gpu_resource"]] = str(params["gpus"])
    spec = {
        "containers": [{"name": "model", "resources": {"requests": requests, "limits": requests}}],
        "nodeSelector": _labels(params["node_selector"], "node_selector"),
        "tolerations": params["tolerations"] or [],
        "affinity": params["affinity"] or {},
        "priorityClassName": params["priority_class"] or "",
    }
    return {"metadata": {}, "spec": spec}


def _labels(labels: Mapping[str, Any] | None, field: str) -> dict[str, str]:
    for name, value in (labels or {}).items():
        if not isinstance(value, str):
            advice = "Labels are text: quote the value, such as 'true' or '4'."
            raise invalid(f"{field}.{name}", value, "is not text", advice)
    return dict(labels or {})


CONTRACT = ModuleContract(
    argument_spec=ARGUMENT_SPEC,
    run=run,
    mutually_exclusive=[("pod_template", name) for name in _POD_OPTIONS],
)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
