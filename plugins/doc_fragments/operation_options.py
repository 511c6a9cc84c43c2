# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_arguments.py`` that operations have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.operation_options``."""

    DOCUMENTATION = r"""
options:
  verification:
    description:
      - How the model server is verified, as by M(llmops.platform.vllm_endpoint_info).
      - These arguments and the Secret are checked before anything is changed, in check mode too.
    type: dict
    default: {}
    suboptions:
      access:
        description: How the endpoint is reached.
        type: str
        choices: [auto, dns, proxy, port_forward]
        default: auto
      api_key_secret:
        description:
          - The Secret in O(namespace) that holds the server's API key. Empty for none.
          - Where a rollback goes to a manifest that names another one, that one counts.
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
        default: 60
  lock_timeout:
    description: Seconds to wait for somebody else who changes the same model. V(0) fails at once.
    type: float
    default: 0
  lock_ttl:
    description:
      - Seconds that the lock lasts from each renewal. It is renewed four times in that time, and a run that
        cannot renew it stops after two thirds of it.
    type: float
    default: 60
  routers_timeout:
    description: Seconds to wait until routers know that a model was taken from them.
    type: float
    default: 15
  drain_timeout:
    description: Seconds for requests in flight to end before a model is removed.
    type: float
    default: 30
  database_timeout:
    description: Seconds for each transaction of the registry.
    type: float
    default: 30
  actor:
    description: On whose behalf. By default the user of the AWX job, or else user and host of the run.
    type: str
  reason:
    description: Why, for the record of the operation and for Helm's history.
    type: str
"""
