#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_models
short_description: Keep the models of a LiteLLM proxy as the registry has them
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Reads which models of an environment are routable, and makes a LiteLLM proxy serve these through its model
    API.
  - The proxy needs a database (C(DATABASE_URL) and C(STORE_MODEL_IN_DB=True)).
  - Models that this module made say so in their C(model_info), by which they are found again. It changes no
    others.
  - A model whose endpoint or parameters changed is created anew before the old one is deleted, so that it can
    be reached all the time.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.postgres_auth
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Keys are not part of it.
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) the proxy serves the routable models.
      - With V(absent) all models of the environment that this module made are deleted. The registry is not
        read.
    type: str
    choices: [present, absent]
    default: present
  environment:
    description: Environment whose models the proxy serves.
    type: str
    required: true
  url:
    description: Address of the proxy.
    type: str
    required: true
  api_key:
    description:
      - Key of an administrator of the proxy.
      - If the value is not specified, the environment variable E(LITELLM_MASTER_KEY) is used.
    type: str
    required: true
  ca_cert:
    description: File with the certificates of the authorities to trust, in place of the system's.
    type: path
  validate_certs:
    description: Whether to check the proxy's certificate.
    type: bool
    default: true
  upstream_api_key:
    description: Key that the model servers ask for.
    type: str
  provider:
    description: What LiteLLM calls the kind of model server.
    type: str
    default: hosted_vllm
  litellm_params:
    description: Further C(litellm_params) of each model, such as C(timeout) or C(rpm).
    type: dict
    default: {}
  timeout:
    description: Seconds for everything.
    type: float
    default: 60.0
seealso:
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Serve what is routable in staging
  llmops.platform.litellm_models:
    dsn: "{{ registry_dsn }}"
    environment: staging
    url: https://litellm.staging.example.com
    api_key: "{{ litellm_master_key }}"
    litellm_params:
      timeout: 600

- name: Take the models of staging from the proxy
  llmops.platform.litellm_models:
    environment: staging
    url: https://litellm.staging.example.com
    api_key: "{{ litellm_master_key }}"
    state: absent
"""

RETURN = r"""
models:
  description: The models of the environment, and what was (or would be) done with each.
  returned: success
  type: list
  elements: dict
  contains:
    model:
      description: The name that clients ask for.
      type: str
    endpoint:
      description: Base URL of its server.
      type: str
    id:
      description: Id in the proxy. It changes with the endpoint and the parameters.
      type: str
    action:
      description: One of V(create), V(update), V(delete) and V(none).
      type: str
  sample:
    - model: meta-llama/Llama-3.1-8B-Instruct
      endpoint: http://llama-3-1-8b-instruct-0ab31ad5-staging.ml-staging.svc.cluster.local:8000
      id: staging-llama-3-1-8b-instruct-0ab31ad5-5e9c1f0d2b7a
      action: create
foreign:
  description:
    - Names that models of somebody else in the proxy have too. The proxy spreads requests over both.
  returned: success
  type: list
  elements: str
  sample: []
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

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import env_fallback

from ansible_collections.llmops.platform.plugins.module_utils._arguments import POSTGRES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.exports.litellm_api import ModelAPI
from ansible_collections.llmops.platform.plugins.module_utils._core.exports.litellm_export import (
    export,
    routable,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.exports.litellm_models import (
    Plan,
    wanted_models,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import settings
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT_SPEC: dict[str, Any] = {
    **POSTGRES_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "environment": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "api_key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["LITELLM_MASTER_KEY"]),
    },
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "upstream_api_key": {"type": "str", "no_log": True},
    "provider": {"type": "str", "default": "hosted_vllm"},
    "litellm_params": {"type": "dict", "default": {}},
    "timeout": {"type": "float", "default": 60.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Export the environment's routable models to the proxy."""
    deadline = Deadline(params["timeout"])
    environment = params["environment"]
    routes: dict[str, str] = {}
    if params["state"] == "present":
        routes = routable(settings(params), environment, deadline)
    wanted = wanted_models(
        routes, environment, params["provider"], params["upstream_api_key"], params["litellm_params"]
    )
    with ModelAPI(
        params["url"],
        params["api_key"],
        deadline,
        ca_cert=params["ca_cert"],
        validate_certs=params["validate_certs"],
        secrets=(params["upstream_api_key"] or "",),
    ) as api:
        done = export(api, wanted, environment, deadline, context.progress, check_mode=context.check_mode)
    return Outcome(
        changed=done.changed,
        result={"models": done.actions(), "foreign": list(done.foreign)},
        diff=_diff(done),
        warnings=[
            f"The proxy has a model {name!r} of somebody else too and spreads requests over both."
            for name in done.foreign
        ],
    )


def _diff(done: Plan) -> dict[str, Any]:
    before = {model.id: model.shown() for model in (*done.unchanged, *done.delete)}
    after = {model.id: model.shown() for model in (*done.unchanged, *done.create)}
    return {"before": before, "after": after}


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
