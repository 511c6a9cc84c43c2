#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check_rules
short_description: Say what health checks mean in an environment
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Writes into the registry how many checks make a model degraded or ready again, and how long a manifest has
    to serve before it has passed.
  - The database counts by these rules whatever the health checker says. Its user cannot change them.
  - What is left out stays as it is. With none of them the module only reads.
  - Needs a database user that may deploy in the environment.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.postgres_auth
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  environment:
    description: Environment that the rules are for.
    type: str
    required: true
  failures:
    description: Failed checks in a row that make a ready entry degraded. 3 where nobody said otherwise.
    type: int
  successes:
    description: Good checks in a row that make a degraded entry ready. 2 where nobody said otherwise.
    type: int
  soak_s:
    description:
      - Seconds for which an entry has to stay ready before its manifest has passed. 900 where nobody said
        otherwise.
      - A pause of more than a fifth of it between two checks begins it anew.
    type: float
  soak_failures:
    description:
      - Failed checks within one soak, in a row or not, after which the verdict on the manifest is revoked. 10
        where nobody said otherwise.
    type: int
  actor:
    description: On whose behalf the rules are changed. The user and host of the run if left out.
    type: str
  timeout:
    description: Seconds for the database's work.
    type: float
    default: 30.0
seealso:
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Be quicker to take a model out in production, and slower to trust it
  llmops.platform.health_check_rules:
    dsn: "{{ registry_dsn }}"
    environment: prod-eu
    failures: 2
    soak_s: 3600

- name: See which rules hold
  llmops.platform.health_check_rules:
    dsn: "{{ registry_dsn }}"
    environment: staging
"""

RETURN = r"""
rules:
  description: The rules that hold, in check mode those that would.
  returned: success
  type: dict
  contains:
    failures:
      description: Failed checks in a row that make a ready entry degraded.
      type: int
    successes:
      description: Good checks in a row that make a degraded entry ready.
      type: int
    soak_s:
      description: Seconds for which an entry has to stay ready.
      type: float
    soak_failures:
      description: Failed checks within one soak that revoke the verdict.
      type: int
  sample:
    failures: 2
    successes: 2
    soak_s: 3600.0
    soak_failures: 10
error_class:
  description: Kind of failure, for conditions. V(auth) means that the user may not write this environment.
  returned: failure
  type: str
  sample: auth
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import POSTGRES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import (
    Deadline,
    check_seconds,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import check_environment
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import health_check_rules
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
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
    "environment": {"type": "str", "required": True},
    "failures": {"type": "int"},
    "successes": {"type": "int"},
    "soak_s": {"type": "float"},
    "soak_failures": {"type": "int"},
    "actor": {"type": "str"},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Write the rules of an environment, or only read them."""
    environment = check_environment(params["environment"])
    health_check_rules.check(params)
    check_seconds(params, 0.1, 86400, "timeout")
    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        if context.check_mode:
            change, warning = health_check_rules.preview(database, environment, params)
        else:
            change, warning = health_check_rules.bring(database, environment, params, params["actor"]), None
    where = f"health check rules of {environment}"
    return Outcome(
        changed=change.changed,
        result={"rules": change.after},
        diff={
            "before_header": where,
            "after_header": where,
            "before": _listing(change.before),
            "after": _listing(change.after),
        },
        warnings=[warning] if warning else [],
    )


def _listing(rules: Mapping[str, Any]) -> str:
    return "".join(f"{name}: {value:g}\n" for name, value in rules.items())


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
