#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_entry
short_description: Record a deployed model in the registry
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Creates, changes or removes the registry's row for one model in one environment. Routers send requests to
    the endpoints of rows whose status is V(ready).
  - Options that are left out keep what the row says. An empty string removes the value.
  - Every change names the version of the row that it saw. If somebody else changed the row in between,
    nothing is written, and the task fails with RV(error_class=fenced) and says who changed what.
  - Where nothing changes, nothing is written.
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
  model:
    description: The name that clients ask for (the served model name).
    type: str
    required: true
  environment:
    description: Environment of the deployment.
    type: str
    required: true
    choices: [development, staging, production]
  state:
    description: Whether there should be a row. V(absent) deletes it.
    type: str
    choices: [present, absent]
    default: present
  endpoint:
    description:
      - Base URL of the model server, without C(/v1), a user or a query. A slash at its end is left out.
      - Needed for O(status=ready), unless the row has it already.
    type: str
  status:
    description:
      - Status of the deployment. A new row without one is V(pending).
      - Set V(ready) only for an endpoint that answered a real completion.
    type: str
    choices: [pending, deploying, ready, degraded, draining, disabled, failed]
  status_reason:
    description:
      - Why the entry has its status. Passwords of URLs and bearer tokens are hidden, long texts shortened.
      - When the status changes and this is left out, the old reason is removed.
    type: str
  namespace:
    description: Kubernetes namespace of the release.
    type: str
  release_name:
    description: Helm release.
    type: str
  release_revision:
    description: Revision of the Helm release.
    type: int
  manifest_digest:
    description: SHA-256 of the rendered manifest, in hex, with or without C(sha256:).
    type: str
  chart_version:
    description: Version of the Helm chart.
    type: str
  image:
    description: Container image of the model server.
    type: str
  model_source:
    description: Where the weights come from.
    type: str
  model_revision:
    description: Commit or tag of the weights.
    type: str
  health_checked:
    description:
      - Set C(last_health_check_at) to the database's clock, because the endpoint was just seen to serve.
      - It is set when the row is written for another reason. On its own it does not cause a write, so that a
        second run with the same options stays unchanged.
    type: bool
    default: false
  expected_version:
    description:
      - The RV(entry.version) that the change is based on. Fails with RV(error_class=fenced) if the row has
        another one and a change is needed. V(0) means that there must be no row.
      - Without it, the version that this task itself read counts.
    type: int
  actor:
    description: On whose behalf the row is changed. The user and host of the run if left out.
    type: str
  timeout:
    description: Seconds for everything, including the wait for a database that restarts.
    type: float
    default: 30.0
seealso:
  - module: llmops.platform.registry_info
  - module: llmops.platform.registry_schema
  - module: llmops.platform.vllm_endpoint_info
"""

EXAMPLES = r"""
- name: Record a verified deployment
  llmops.platform.registry_entry:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: ml-staging
    endpoint: http://llama-3-1-8b-instruct-0ab31ad5-staging.ml-staging.svc.cluster.local:8000
    status: ready
    release_revision: 3
    health_checked: true

- name: Disable it, unless somebody changed the entry since it was looked at
  llmops.platform.registry_entry:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    status: disabled
    status_reason: Answers are wrong, see incident 4711
    expected_version: "{{ looked_at.entries[0].version }}"

- name: Remove the row
  llmops.platform.registry_entry:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    state: absent
"""

RETURN = r"""
entry:
  description:
    - The row after the task, V(null) if there is none. In check mode, the row as it would be, with the times
      that it has now.
  returned: success
  type: dict
  contains:
    model:
      description: The name that clients ask for.
      type: str
    environment:
      description: Environment of the target.
      type: str
    status:
      description: Status; routers use V(ready) only.
      type: str
    endpoint:
      description: Base URL of the model server.
      type: str
    namespace:
      description: Kubernetes namespace.
      type: str
    release_name:
      description: Helm release.
      type: str
    release_revision:
      description: Revision of the Helm release.
      type: int
    manifest_digest:
      description: SHA-256 of the rendered manifest.
      type: str
    chart_version:
      description: Version of the chart.
      type: str
    image:
      description: Container image of the model server.
      type: str
    model_source:
      description: Where the weights come from.
      type: str
    model_revision:
      description: Commit or tag of the weights.
      type: str
    status_reason:
      description: Why the entry has its status.
      type: str
    last_health_check_at:
      description: When the endpoint last answered a check well. RFC 3339 in UTC, as all times.
      type: str
    created_at:
      description: When the row was written first.
      type: str
    updated_at:
      description: When the row was changed last, health checks left aside.
      type: str
    updated_by:
      description: Who changed it last.
      type: str
    version:
      description: Grows with every change. Give it back as O(expected_version).
      type: int
  sample:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    status: ready
    endpoint: http://llama-3-1-8b-instruct-0ab31ad5-staging.ml-staging.svc.cluster.local:8000
    namespace: ml-staging
    release_name: llama-3-1-8b-instruct-0ab31ad5-staging
    release_revision: 3
    manifest_digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    chart_version: 0.1.0
    image: vllm/vllm-openai:v0.11.0
    model_source: meta-llama/Llama-3.1-8B-Instruct
    model_revision: 0e9e39f249a16976918f6564b8830bc894c89659
    status_reason: null
    last_health_check_at: "2026-11-02T09:14:07.120331Z"
    created_at: "2026-10-01T12:00:00.000000Z"
    updated_at: "2026-11-02T09:14:07.120331Z"
    updated_by: deployer@awx-task-0
    version: 7
error_class:
  description:
    - Kind of failure, for conditions.
    - V(fenced) means that somebody else changed the row, and RV(changed_by), RV(changed_at) and
      RV(current_version) say who, when and to what.
  returned: failure
  type: str
  sample: fenced
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
changed_by:
  description: Who changed the row. V(null) if it was removed.
  returned: conflict
  type: str
changed_at:
  description: When the row was changed.
  returned: conflict
  type: str
expected_version:
  description: The version that the change was based on.
  returned: conflict
  type: int
current_version:
  description: The version that the row has. V(null) if it was removed.
  returned: conflict
  type: int
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import POSTGRES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import ENVIRONMENTS
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import entries
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    STATUSES,
    Entry,
    as_json,
    check_changes,
    check_target,
    merged,
    shown,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.failures import DatabaseError
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    Operation,
    Outcome,
    run_as_module,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT_SPEC: dict[str, Any] = {
    **POSTGRES_SPEC,
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True, "choices": list(ENVIRONMENTS)},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "endpoint": {"type": "str"},
    "status": {"type": "str", "choices": list(STATUSES)},
    "status_reason": {"type": "str"},
    "namespace": {"type": "str"},
    "release_name": {"type": "str"},
    "release_revision": {"type": "int"},
    "manifest_digest": {"type": "str"},
    "chart_version": {"type": "str"},
    "image": {"type": "str"},
    "model_source": {"type": "str"},
    "model_revision": {"type": "str"},
    "health_checked": {"type": "bool", "default": False},
    "expected_version": {"type": "int"},
    "actor": {"type": "str"},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the row of one target to what the parameters say."""
    model, environment = params["model"], params["environment"]
    check_target(model, environment)
    changes = check_changes(params)

    def work(session: Session) -> entries.Change:
        if params["state"] == "absent":
            return entries.remove(
                session,
                model,
                environment,
                expected_version=params["expected_version"],
                by=params["actor"],
                dry_run=context.check_mode,
            )
        return entries.put(
            session,
            model,
            environment,
            changes,
            expected_version=params["expected_version"],
            health_checked=params["health_checked"],
            by=params["actor"],
            dry_run=context.check_mode,
        )

    warnings: list[str] = []
    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        try:
            change = database.transaction(work, read_only=context.check_mode)
        except DatabaseError as error:
            # In check mode an earlier task did not really create the table.
            if not context.check_mode or error.sqlstate != "42P01":
                raise
            warnings.append(
                "The registry has no schema yet: this shows what would be written after its creation."
            )
            change = _first_entry(params, changes)
    return Outcome(
        changed=change.changed,
        result={"entry": as_json(change.after) if change.after else None},
        diff={
            "before_header": f"registry entry {model} in {environment}",
            "after_header": f"registry entry {model} in {environment}",
            "before": shown(change.before),
            "after": shown(change.after),
        },
        warnings=warnings,
    )


def _first_entry(params: Mapping[str, Any], changes: Mapping[str, Any]) -> entries.Change:
    """Return the change that this task would be to an empty table."""
    if params["state"] == "absent":
        return entries.Change(None, None, changed=False)
    return entries.Change(None, merged(Entry(params["model"], params["environment"]), changes), changed=True)


OPERATION = Operation(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
