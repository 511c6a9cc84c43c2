#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_cluster
short_description: Start and stop a real Kubernetes cluster with advertised GPUs for development and tests
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Starts what is missing of a lab and repairs what is broken. Run again, it changes nothing.
  - A lab is a cluster with one node that runs containers and advertises GPUs, nodes that exist only in the
    API, the command line tools, PostgreSQL, Redis and Prometheus.
  - GPUs are only advertised. Nothing computes on them, so the lab's model server does without.
  - Not for production.
extends_documentation_fragment:
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) all parts of the lab run and answer.
      - With V(absent) nothing of it is left running. Data stays on disk, unless O(purge).
    type: str
    choices: [present, absent]
    default: present
  provider:
    description:
      - V(native) builds Kubernetes from Go modules, or downloads its releases, and runs it as processes. It
        needs root on Linux, and neither Docker nor a registry.
      - V(kind) makes a cluster in Docker with C(kind).
      - V(existing) only checks the cluster of O(kubeconfig), and changes nothing in it.
      - V(auto) is V(existing) if O(kubeconfig) is given, otherwise what O(lab_dir) held before, otherwise
        V(kind) where Docker and C(kind) are there, otherwise V(native).
    type: str
    choices: [auto, native, kind, existing]
    default: auto
  lab_dir:
    description: Folder of everything that the lab writes, except for the cache of its binaries.
    type: path
    default: /var/lib/llmops-lab
  files_dir:
    description: Folder C(files) of the role P(llmops.platform.lab#role), which passes it.
    type: path
    required: true
  real_gpus:
    description: GPUs that the node which runs containers advertises.
    type: int
    default: 32
  fake_nodes:
    description:
      - Number of nodes C(fake-gpu-0) and so on, with eight GPUs each, of several products.
      - They have the taint C(kwok.x-k8s.io/node=fake:NoSchedule). Pods there run only by name.
    type: int
    default: 12
  services:
    description:
      - What runs beside the cluster.
      - Both by default, but nothing with provider V(existing).
    type: list
    elements: str
    choices: [postgresql, redis]
  helm3:
    description:
      - Whether to provide Helm 3 too, as C(helm3), which tests and benchmarks want.
      - One that is there already stays.
    type: bool
    default: false
  network_policies:
    description:
      - Whether NetworkPolicies are enforced. Without it they are stored, and have no effect.
      - For provider V(native). With V(kind) and V(existing) it is ignored, as the cluster's network plugin
        decides.
    type: bool
    default: true
  prometheus:
    description:
      - Whether a Prometheus scrapes what the ServiceMonitors and PodMonitors of all namespaces select, and
        loads their PrometheusRules. C(prometheus_url) of the facts says where it answers.
      - For provider V(native), on Debian and Ubuntu or where Prometheus is installed. Otherwise ignored.
    type: bool
    default: true
  python_services:
    description:
      - Services in Python whose images are built and imported, from this machine's Python and wheels of PyPI.
        No Docker is needed. Ignored with provider V(existing).
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description: Name and tag of the image.
        type: str
        required: true
      path:
        description: Folder with C(requirements.txt) and one package that has C(__main__.py).
        type: path
        required: true
  kubeconfig:
    description: The kubeconfig of an existing cluster.
    type: path
  context:
    description: The context in O(kubeconfig), if not its current one.
    type: str
  purge:
    description: With O(state=absent), remove O(lab_dir) too, databases included.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for everything. A first start of provider V(native) compiles Kubernetes, which takes some ten
        minutes on two cores.
    type: float
    default: 3600.0
seealso:
  - module: llmops.platform.gpu_capacity_info
  - module: llmops.platform.vllm_release
"""

EXAMPLES = r"""
- name: Start a lab
  llmops.platform.lab_cluster:
    files_dir: "{{ role_path }}/files"

- name: Use my own cluster, with a database of the lab
  llmops.platform.lab_cluster:
    files_dir: "{{ role_path }}/files"
    kubeconfig: ~/.kube/config
    context: gpu-development
    services: [postgresql]

- name: Stop the lab and remove its data
  llmops.platform.lab_cluster:
    files_dir: "{{ role_path }}/files"
    state: absent
    purge: true
"""

RETURN = r"""
provider:
  description: The provider in use.
  returned: success
  type: str
  sample: native
changes:
  description: What was done, in check mode what would be done, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    step:
      description: Part of the lab.
      type: str
    reason:
      description: What was seen.
      type: str
  sample:
    - step: kube-scheduler
      reason: died; starting it again
took:
  description: Where the time went; parts of a second or more, the longest first. Empty without any.
  returned: success
  type: str
  sample: binaries 512 s, image of llmops.local/router:0.1.0 21 s, kubelet 12 s
facts:
  description:
    - What the lab is; the file C(facts.json) in O(lab_dir) says the same. No secrets.
    - Empty with O(state=absent), and in check mode before the first start.
  returned: success
  type: dict
  sample:
    provider: native
    kubeconfig: /var/lib/llmops-lab/kubeconfig
    kubernetes_version: v1.37.2
    node_address: 192.0.2.2
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: infrastructure
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.provider import (
    Provider,
    Report,
    check_folder,
    purge,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.selection import choose, provider
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import (
    PythonService,
    Settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.steps import Change, took
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "provider": {"type": "str", "choices": ["auto", "native", "kind", "existing"], "default": "auto"},
    "lab_dir": {"type": "path", "default": "/var/lib/llmops-lab"},
    "files_dir": {"type": "path", "required": True},
    "real_gpus": {"type": "int", "default": 32},
    "fake_nodes": {"type": "int", "default": 12},
    "services": {"type": "list", "elements": "str", "choices": ["postgresql", "redis"]},
    "helm3": {"type": "bool", "default": False},
    "network_policies": {"type": "bool", "default": True},
    "prometheus": {"type": "bool", "default": True},
    "python_services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "image": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
        },
    },
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "purge": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 3600.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Start or stop the lab that the parameters describe."""
    settings = _settings(params)
    lab = provider(params["provider"], settings)
    deadline = Deadline(params["timeout"])
    if params["state"] == "absent":
        return _absent(lab, settings, params["purge"], context, deadline)
    report = lab.status() if context.check_mode else lab.start(context.progress, deadline)
    return _outcome(lab, report)


def _absent(
    lab: Provider, settings: Settings, remove_data: bool, context: Context, deadline: Deadline
) -> Outcome:
    if context.check_mode:
        report = Report([Change(name, "runs") for name in lab.running()])
    else:
        report = lab.stop(context.progress, deadline)
    if remove_data and settings.folder.exists():
        report.changes.append(Change(str(settings.folder), "removed"))
        if not context.check_mode:
            purge(settings.folder)
    return _outcome(lab, report)


def _outcome(lab: Provider, report: Report) -> Outcome:
    changes = [{"step": change.step, "reason": change.reason} for change in report.changes]
    return Outcome(
        changed=bool(changes),
        result={
            "provider": lab.name,
            "changes": changes,
            "took": took(report.changes),
            "facts": report.facts,
        },
    )


def _settings(params: Mapping[str, Any]) -> Settings:
    for name in ("real_gpus", "fake_nodes"):
        if params[name] < 0:
            raise invalid(name, params[name], "is negative", "Give 0 or more.")
    if params["timeout"] <= 0:
        raise invalid("timeout", params["timeout"], "is not positive", "Give a number of seconds.")
    folder = Path(params["lab_dir"])
    if not folder.is_absolute():
        raise invalid("lab_dir", params["lab_dir"], "is not an absolute path", "Give one that starts with /.")
    check_folder(folder)
    settings = Settings(
        folder=folder,
        files=Path(params["files_dir"]),
        real_gpus=params["real_gpus"],
        fake_nodes=params["fake_nodes"],
        helm3=params["helm3"],
        network_policies=params["network_policies"],
        prometheus=params["prometheus"],
        python_services=tuple(
            PythonService(service["image"], Path(service["path"])) for service in params["python_services"]
        ),
        kubeconfig=Path(params["kubeconfig"]) if params["kubeconfig"] else None,
        context=params["context"],
    )
    services = params["services"]
    if services is None:
        services = [] if choose(params["provider"], settings) == "existing" else ["postgresql", "redis"]
    return replace(settings, services=tuple(services))


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
