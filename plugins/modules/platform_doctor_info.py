#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_doctor_info
short_description: Find out what stands in the way of deploying models, and what to do about it
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Looks at this machine, the cluster, the environment's namespace, the models of the inventory and the
    registry's database, and says for each how it stands, what was seen and what to do.
  - A check that fails, or cannot be read, hides no other one. What could not be read is V(unknown), which is
    never V(pass).
  - Nothing is written. What is found is an answer and not a failure of the task, see RV(passed).
  - Checks of different servers run side by side, each within O(timeout), so that one that hangs costs that
    and no more. What it had found by then stands.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.attributes.info_module
  - llmops.platform.kubernetes_auth
  - llmops.platform.postgres_auth
options:
  environment:
    description: Name of the environment.
    type: str
    default: development
  tier:
    description: Its tier. By default its name, where that is one.
    type: str
    choices: [development, staging, production]
  namespace:
    description: Namespace of the environment. By default C(llm-) and its name.
    type: str
  models:
    description: Models of the inventory, as the filter C(llmops.platform.doctor_models) makes them of hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Name of the inventory host.
        type: str
        required: true
      model:
        description: Name of the model.
        type: str
      chart_values:
        description: Values of the chart.
        type: dict
        default: {}
      environment:
        description: Its environment, if that is another one, which is a mistake.
        type: str
        default: ""
      elsewhere:
        description: Its namespace or cluster, if that is another one. Nothing is looked at there.
        type: str
        default: ""
      error:
        description: Why its variables cannot be told.
        type: str
        default: ""
  chart_path:
    description: Folder of the chart. Without it nothing is said of models.
    type: path
  migrations_path:
    description: Folder of the registry's migrations. Without it nothing is said of the schema.
    type: path
  deployer:
    description:
      - Roles and ClusterRoles whose rights operations need, as role C(environment) makes them for its
        deployer.
      - Without them nothing is said of rights.
    type: list
    elements: dict
    default: []
  helm_binary:
    description: Name or path of the helm binary.
    type: str
    default: helm
  redis_url:
    description: URL of the router's Redis. Without it nothing is said of Redis.
    type: str
  redis_ca_cert:
    description: File with the authorities of its certificate. By default those of this machine.
    type: path
  timeout:
    description: Seconds for each check; those that ask much have three times that.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Look at an environment
  llmops.platform.platform_doctor_info:
    environment: staging
    kubeconfig: ~/.kube/staging
    dsn: "{{ registry_dsn }}"
  register: doctor

- name: Say what is not as it should be, the worst first
  ansible.builtin.debug:
    var: doctor.worst

- name: Look at all that an inventory says
  ansible.builtin.import_role:
    name: llmops.platform.doctor
  run_once: true
"""

RETURN = r"""
passed:
  description:
    - Whether no check failed. Some may be V(unknown) or V(warn) all the same.
    - A cluster or database that does not answer is a failure, since all that is behind it is unknown.
  returned: success
  type: bool
overall:
  description: The worst verdict of all, V(fail) being worse than V(unknown), V(warn) and V(pass).
  returned: success
  type: str
  sample: warn
failures:
  description: How many checks failed.
  returned: success
  type: int
counts:
  description: How many checks there are of each verdict.
  returned: success
  type: dict
  sample: {"fail": 1, "unknown": 0, "warn": 2, "pass": 17, "skipped": 1}
summary:
  description: The same as a sentence.
  returned: success
  type: str
  sample: 1 of 20 checks failed, 2 warnings
findings:
  description: What each check found, in a fixed order.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: What it is about, such as V(rights).
      type: str
    subject:
      description: Which part of it, where a check has several, such as the name of a model.
      type: str
    verdict:
      description:
        - V(pass), V(warn), V(fail), V(unknown) for what could not be read, or V(skipped) for what nobody
          asks for.
      type: str
    seen:
      description: What was seen.
      type: str
    advice:
      description: What to do; empty where nothing is.
      type: str
lines:
  description: One line a check, aligned, in the order of RV(findings), and below it what to do.
  returned: success
  type: list
  elements: str
worst:
  description: The lines of what is not as it should be or is not known, the worst first.
  returned: success
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.ansible_release import __version__ as ansible_version

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    KUBERNETES_SPEC,
    POSTGRES_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import check_seconds
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import (
    check_environment,
    check_namespace,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.examine import examine
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.report import report
from ansible_collections.llmops.platform.plugins.module_utils._core.doctor.site import Site, Wanted
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    **POSTGRES_SPEC,
    "environment": {"type": "str", "default": "development"},
    "tier": {"type": "str", "choices": ["development", "staging", "production"]},
    "namespace": {"type": "str"},
    "models": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "model": {"type": "str"},
            "chart_values": {"type": "dict", "default": {}},
            "environment": {"type": "str", "default": ""},
            "elsewhere": {"type": "str", "default": ""},
            "error": {"type": "str", "default": ""},
        },
    },
    "chart_path": {"type": "path"},
    "migrations_path": {"type": "path"},
    "deployer": {"type": "list", "elements": "dict", "default": []},
    "helm_binary": {"type": "str", "default": "helm"},
    "redis_url": {"type": "str", "no_log": True},
    "redis_ca_cert": {"type": "path"},
    "timeout": {"type": "float", "default": 5},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Examine what the arguments name; nothing is changed, in check mode and otherwise."""
    check_seconds(params, 1, 300, "timeout")
    environment = check_environment(params["environment"])
    site = Site(
        environment=environment,
        namespace=check_namespace(params["namespace"] or f"llm-{environment}"),
        tier=params["tier"],
        params=params,
        wanted=[
            Wanted(
                item["host"],
                item["model"] or item["host"],
                item["chart_values"],
                item["error"],
                item["environment"],
                item["elsewhere"],
            )
            for item in params["models"]
        ],
        chart=params["chart_path"] or "",
        migrations=params["migrations_path"] or "",
        deployer=params["deployer"],
        helm_binary=params["helm_binary"],
        redis_url=params["redis_url"] or "",
        redis_ca_cert=params["redis_ca_cert"] or "",
        ansible_version=ansible_version,
        limit_s=params["timeout"],
    )
    return Outcome(result=report(examine(site, context.progress)))


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as an Ansible module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
