#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_objects
short_description: Keep a set of Kubernetes objects as given, and remove what left the set
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Applies objects to one namespace by server-side apply, as one set. Each object gets the label
    C(llmops.platform/set) with the name of the set. Those that belong to no namespace (O(cluster_wide)) also
    get C(llmops.platform/set-namespace).
  - An object with this label that is not in O(objects) any more is removed, after the others run. Looked for
    are the kinds in O(objects), and ConfigMap, CronJob, Deployment, HorizontalPodAutoscaler, HTTPRoute,
    Ingress, LimitRange, NetworkPolicy, PodDisruptionBudget, PodMonitor, PrometheusRule, ResourceQuota, Role,
    RoleBinding, Secret, Service, ServiceAccount and ServiceMonitor; with O(cluster_wide) ClusterRole and
    ClusterRoleBinding too.
  - Before anything is written, the API server tries all objects (dry run). Where one is refused, nothing is
    changed.
  - An object that needs nothing is not written.
  - An object that exists and does not belong to the set is not taken over.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.kubernetes_auth
attributes:
  check_mode:
    support: full
    details:
      - The API server tries the objects. Where the namespace is still to be made, it cannot, and all objects
        count as to be created.
  diff_mode:
    support: full
    details:
      - Values of Secrets are hidden; those that change are marked.
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) the set consists of O(objects).
      - With V(absent) all objects of the set are removed. O(objects) then only adds kinds to look for.
    type: str
    choices: [present, absent]
    default: present
  set_name:
    description: Name of the set, unique in its namespace.
    type: str
    required: true
  namespace:
    description: Namespace of all objects. They may leave it out.
    type: str
    required: true
  create_namespace:
    description: Whether to make the namespace if it is missing. It is never removed.
    type: bool
    default: false
  namespace_labels:
    description:
      - Labels of the namespace. Others that it has stay. One that is left out later goes, if it was set here.
      - They stay when the set is removed.
    type: dict
    default: {}
  cluster_wide:
    description:
      - Whether O(objects) may hold what belongs to no namespace, such as a ClusterRole; it is of the set.
      - A Namespace is refused there all the same; O(namespace_labels) say how it is to be.
    type: bool
    default: false
  objects:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name). They are applied in this order.
      - With O(state=present) at least one.
    type: list
    elements: dict
    default: []
  optional_kinds:
    description:
      - Kinds that not every cluster has, such as V(ServiceMonitor). Where the cluster does not know one, its
        objects are left out; for any other kind that is an error.
    type: list
    elements: str
    default: []
  force_conflicts:
    description:
      - Whether to take over fields that somebody else manages, such as C(spec.replicas) after
        C(kubectl scale).
      - Without it such a field is an error that names the field and its manager.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the set's Deployments run, all their pods are ready and listed by the set's
        Services, and what was removed is gone.
      - A pod that cannot start is an error at once, with its cause.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for.
    type: float
    default: 300.0
seealso:
  - module: llmops.platform.vllm_release
"""

EXAMPLES = r"""
- name: Run a service
  llmops.platform.kubernetes_objects:
    set_name: router
    namespace: llm-staging
    context: staging
    objects:
      - apiVersion: v1
        kind: Secret
        metadata:
          name: router
        stringData:
          dsn: "{{ router_dsn }}"
      - "{{ lookup('ansible.builtin.template', 'deployment.yml.j2') | from_yaml }}"

- name: See what would change
  llmops.platform.kubernetes_objects:
    set_name: router
    namespace: llm-staging
    objects: "{{ objects }}"
  check_mode: true
  diff: true

- name: Remove all objects of the set
  llmops.platform.kubernetes_objects:
    set_name: router
    namespace: llm-staging
    state: absent
"""

RETURN = r"""
objects:
  description: The objects of the set, and those that were removed from it.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object.
      type: str
    name:
      description: Name of the object.
      type: str
    action:
      description: V(none), V(create), V(update) or V(delete); in check mode what would be done.
      type: str
  sample:
    - kind: Deployment
      name: router
      action: update
left_out:
  description: Objects of O(optional_kinds) that this cluster has no kind for.
  returned: success
  type: list
  elements: str
  sample: [ServiceMonitor/router]
unread_kinds:
  description: Kinds that these credentials may not list, so that nothing was removed there.
  returned: success
  type: list
  elements: str
  sample: []
timings:
  description: Seconds spent in each part. Empty in check mode.
  returned: success
  type: dict
  sample: {"apply_s": 0.1, "rollout_s": 4.2, "removal_s": 0.0}
conflicts:
  description: Fields that somebody else manages.
  returned: failures of class V(locked) for this cause
  type: list
  elements: dict
  contains:
    field:
      description: Path of the field.
      type: str
    manager:
      description: Who manages it.
      type: str
  sample:
    - field: .spec.replicas
      manager: kubectl
object:
  description: The object that was refused.
  returned: failures that one object caused
  type: str
  sample: Deployment/router
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

import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import KUBERNETES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.object_set import ObjectSet
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.objects import bring
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "set_name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "create_namespace": {"type": "bool", "default": False},
    "namespace_labels": {"type": "dict", "default": {}},
    "cluster_wide": {"type": "bool", "default": False},
    "objects": {"type": "list", "elements": "dict", "default": []},
    "optional_kinds": {"type": "list", "elements": "str", "default": []},
    "force_conflicts": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 300.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the set to the wanted state."""
    if not 0 <= params["timeout"] < math.inf:
        raise invalid("timeout", params["timeout"], "is not a time", "Give seconds, zero or more.")
    present = params["state"] == "present"
    if present and not params["objects"]:
        # A variable that came out empty must not remove a service.
        raise invalid(
            "objects", params["objects"], "is empty", "Give the objects, or state: absent to remove all."
        )
    wanted = ObjectSet.build(
        params["set_name"],
        params["namespace"],
        params["objects"],
        present=present,
        optional_kinds=params["optional_kinds"],
        cluster_wide=params["cluster_wide"],
    )
    done = bring(
        ClusterClient.from_params(params),
        wanted,
        Deadline(params["timeout"]),
        context.progress,
        create_namespace=params["create_namespace"],
        namespace_labels={str(key): str(value) for key, value in params["namespace_labels"].items()},
        force=params["force_conflicts"],
        wait=params["wait"],
        check_mode=context.check_mode,
    )
    result = {
        "objects": done.plan.actions(),
        "left_out": done.plan.left_out,
        "unread_kinds": done.plan.unread,
        "timings": done.timings,
    }
    return Outcome(done.changed, result, done.plan.diff(), done.plan.warnings)


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
