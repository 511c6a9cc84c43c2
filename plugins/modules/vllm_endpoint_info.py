#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_endpoint_info
short_description: Verify that a model server answers real requests
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Checks in this order that the server is healthy, that it lists the expected model, and that it generates a
    completion for it fast enough.
  - Reaches the server by the Service's DNS name, through the API server's proxy, by a port-forward to a ready
    pod, or at a URL.
  - A connection that is refused or a V(503) is waited for until O(timeout). A wrong answer is not, whatever
    its status. An HTTP V(200) that carries an error, no choices or no text, that names another model, or that
    ends for another reason than V(stop) or V(length), is a failure.
  - A completion changes nothing, so it is asked for in check mode as well.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.attributes.info_module
  - llmops.platform.kubernetes_auth
options:
  model:
    description: The name that clients ask for (the served model name).
    type: str
    required: true
  root:
    description:
      - What the model has to be loaded from, as C(/v1/models) reports it in C(root).
      - Not compared if left out.
    type: str
  service:
    description: Name of the Service. Needed unless O(url) is given.
    type: str
    aliases: [name]
  namespace:
    description: Namespace of the Service. Needed unless O(url) is given.
    type: str
  port:
    description: Port of the Service.
    type: int
    default: 8000
  access:
    description:
      - How to reach the server.
      - V(dns) uses C({service}.{namespace}.svc.cluster.local), which works inside the cluster's network.
      - V(proxy) uses the API server's proxy for Services. It drops the C(Authorization) header, so it cannot
        be used with an API key, and a network policy has to admit the API server.
      - V(port_forward) opens a connection to a ready pod through the API server and the kubelet. It works
        with network policies and API keys.
      - V(url) uses O(url).
      - V(auto) is V(url) where O(url) is given. Otherwise it is V(dns) where the name leads to the Service's
        own address within a second, else V(port_forward).
    type: str
    choices: [auto, dns, proxy, port_forward, url]
    default: auto
  url:
    description:
      - Base URL of a server that is reached directly, such as C(http://10.0.0.7:8000).
      - Certificates are verified against the system's authorities.
    type: str
  api_key_secret:
    description:
      - The Secret in O(namespace) that holds the server's API key. It is read from the cluster when needed.
      - Empty, or with an empty name, for none.
    type: dict
    suboptions:
      name:
        description: Name of the Secret.
        type: str
      key:
        description: Key in the Secret. By default C(api-key).
        type: str
  endpoint_api_key:
    description: The server's API key itself. Prefer O(api_key_secret).
    type: str
  health_path:
    description: Path of the health check.
    type: str
    default: /health
  api:
    description: Which completion API to use. Base models without a chat template serve only V(completions).
    type: str
    choices: [chat, completions]
    default: chat
  stream:
    description: Ask for a stream, which also measures the time to the first token.
    type: bool
    default: true
  prompt:
    description: What to ask.
    type: str
    default: Say hello.
  max_tokens:
    description: Most tokens to generate.
    type: int
    default: 16
  max_latency_s:
    description: Seconds that a completion may take, from sending the request to the last byte.
    type: float
    default: 3.0
  max_first_token_s:
    description: Seconds to the first token. Not judged if left out. Needs O(stream=true).
    type: float
  warmup_s:
    description:
      - Seconds that the very first completion may take, because a server may compile on its first request.
      - If it takes longer than O(max_latency_s), it does not count and another one is asked for.
      - With V(0) the first completion is judged as any other.
    type: float
    default: 30.0
  successes:
    description: Completions in a row that have to succeed.
    type: int
    default: 1
  timeout:
    description: Seconds for everything, including the wait for a server that is not ready.
    type: float
    default: 120.0
requirements:
  - kubernetes >= 29.0.0 (unless O(url) is given)
seealso:
  - module: llmops.platform.vllm_release
  - module: llmops.platform.registry_entry
"""

EXAMPLES = r"""
- name: Verify a deployed model
  llmops.platform.vllm_endpoint_info:
    model: mistral-7b
    service: mistral-7b-staging
    namespace: ml-staging
    max_latency_s: 3
  register: verified

- name: Verify a server that wants an API key, from outside the cluster
  llmops.platform.vllm_endpoint_info:
    model: mistral-7b
    service: mistral-7b-production
    namespace: ml-production
    access: port_forward
    api_key_secret: {name: vllm-api-key, key: token}
    successes: 3

- name: Verify a server that is not in the cluster
  llmops.platform.vllm_endpoint_info:
    model: meta-llama/Llama-3.1-8B-Instruct
    url: http://gpu-box.example.com:8000
"""

RETURN = r"""
endpoint:
  description:
    - URL of the model server inside the cluster.
    - With O(url) it is that.
  returned: whenever the endpoint was tried, also on failure
  type: str
  sample: http://mistral-7b-staging.ml-staging.svc.cluster.local:8000
access:
  description: The way that was used, one of V(dns), V(proxy), V(port_forward) and V(url).
  returned: whenever the endpoint was tried, also on failure
  type: str
  sample: port_forward
healthy:
  description: Whether all checks passed.
  returned: whenever the endpoint was tried, also on failure
  type: bool
served_models:
  description: The names that the server lists.
  returned: whenever the endpoint was tried, also on failure
  type: list
  elements: str
  sample: [mistral-7b]
completion:
  description: The slowest completion that was judged, V(null) if there was none.
  returned: whenever the endpoint was tried, also on failure
  type: dict
  contains:
    text:
      description: The beginning of the generated text.
      type: str
    finish_reason:
      description: Why it ended, V(stop) or V(length).
      type: str
    prompt_tokens:
      description: Tokens of the prompt as counted by the server, V(null) if it did not tell.
      type: int
    completion_tokens:
      description: Tokens that were generated, V(null) if the server did not tell.
      type: int
    first_token_s:
      description: Seconds to the first text, V(null) with O(stream=false).
      type: float
    latency_s:
      description: Seconds to the last byte.
      type: float
warmup_s:
  description: Seconds that the very first completion took, V(null) if there was none.
  returned: whenever the endpoint was tried, also on failure
  type: float
checks:
  description: The checks V(health), V(models) and V(completion) of the last attempt, in this order.
  returned: whenever the endpoint was tried, also on failure
  type: list
  elements: dict
  contains:
    name:
      description: Which check.
      type: str
    ok:
      description: Whether it passed.
      type: bool
    duration_s:
      description: How long the last request of the check took, V(null) if no answer came.
      type: float
    reason:
      description: Why it did not pass, empty if it did.
      type: str
successes:
  description: Completions in a row that succeeded.
  returned: whenever the endpoint was tried, also on failure
  type: int
attempts:
  description: How often the checks were started.
  returned: whenever the endpoint was tried, also on failure
  type: int
waited_s:
  description: How long the task waited. It is the time of the whole verification.
  returned: whenever the endpoint was tried, also on failure
  type: float
failed_check:
  description: Name of the check that failed.
  returned: on a wrong answer
  type: str
error_class:
  description:
    - Kind of failure, for conditions.
    - V(verification) for a server that answers wrongly, too slowly or not at all although it is healthy.
    - V(timeout) for a server that was not ready within O(timeout).
    - V(auth) for a missing or wrong API key or missing rights.
    - V(invalid) for wrong arguments or a Service that does not exist.
    - V(infrastructure) for a host name or an API server that cannot be reached.
  returned: failure
  type: str
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    KUBERNETES_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.arguments import (
    check_arguments,
    named_secret,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.verification import (
    verify_service,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    "model": {"type": "str", "required": True},
    "root": {"type": "str"},
    "service": {"type": "str", "aliases": ["name"]},
    "namespace": {"type": "str"},
    "port": {"type": "int", "default": 8000},
    "access": {
        "type": "str",
        "choices": ["auto", "dns", "proxy", "port_forward", "url"],
        "default": "auto",
    },
    "url": {"type": "str"},
    # A reference, not a secret.
    "api_key_secret": {
        "type": "dict",
        "no_log": False,
        "options": {
            "name": {"type": "str"},
            "key": {"type": "str", "no_log": False},
        },
    },
    "endpoint_api_key": {"type": "str", "no_log": True},
    "health_path": {"type": "str", "default": "/health"},
    "api": {"type": "str", "choices": ["chat", "completions"], "default": "chat"},
    "stream": {"type": "bool", "default": True},
    "prompt": {"type": "str", "default": "Say hello."},
    "max_tokens": {"type": "int", "default": 16, "no_log": False},
    "max_latency_s": {"type": "float", "default": 3.0},
    "max_first_token_s": {"type": "float", "no_log": False},
    "warmup_s": {"type": "float", "default": 30.0},
    "successes": {"type": "int", "default": 1},
    "timeout": {"type": "float", "default": 120.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Verify the endpoint; nothing is written."""
    params = {**params, "api_key_secret": named_secret(params["api_key_secret"])}
    check_arguments(params)
    client = None if params["url"] and not params["api_key_secret"] else ClusterClient.from_params(params)
    return Outcome(result=verify_service(client, params, Deadline(params["timeout"]), context.progress))


CONTRACT = ModuleContract(
    argument_spec=ARGUMENT_SPEC,
    run=run,
    mutually_exclusive=[("api_key_secret", "endpoint_api_key")],
)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
