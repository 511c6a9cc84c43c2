#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: List the models that the registry knows
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Returns the registry's rows in the order of model and environment, filtered by whatever is given.
  - For one target it also returns who changed what and when (O(history)), and its last deployments and other
    operations with their steps (O(operations)).
  - All rows come from one consistent picture, which is read in pages.
  - Rows that an older table of the platform had, and that belong to no environment, are not listed.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.attributes.info_module
  - llmops.platform.postgres_auth
options:
  model:
    description: Only this model.
    type: str
  environment:
    description: Only this environment.
    type: str
  namespace:
    description: Only this Kubernetes namespace.
    type: str
  status:
    description: Only these statuses.
    type: list
    elements: str
    choices: [pending, deploying, ready, degraded, draining, disabled, failed]
  desired_state:
    description: Only what the operator wants enabled, or disabled.
    type: str
    choices: [enabled, disabled]
  health_check_older_than:
    description:
      - Only entries whose last good health check is more than this number of seconds ago by the database's
        clock, and those that were never checked.
    type: float
  limit:
    description: Most entries to return. All if left out.
    type: int
  after:
    description: Where a previous page ended; give its RV(next_after) here.
    type: dict
    suboptions:
      model:
        description: Model of the last entry of that page.
        type: str
        required: true
      environment:
        description: Environment of the last entry of that page.
        type: str
        required: true
  history:
    description:
      - Return the changes of one entry as well, newest first. Needs O(model) and O(environment).
      - They are kept when the entry is removed.
    type: bool
    default: false
  history_limit:
    description: Most changes to return.
    type: int
    default: 50
  history_before:
    description: Where a previous page of changes ended; give its RV(next_history_before) here.
    type: int
  operations:
    description:
      - Return so many of the last operations over one target as well. Needs O(model) and O(environment).
    type: int
    default: 0
  verifications:
    description:
      - Return so many of the last verdicts on manifests of one target. Needs O(model) and O(environment).
    type: int
    default: 0
  manifests:
    description:
      - Return so many of the last revisions of one target that are on record, which a rollback may name.
        Needs O(model) and O(environment).
    type: int
    default: 0
  approvals:
    description:
      - Return so many of the last requests for promotions to one target, and the answers to them.
        Needs O(model) and O(environment).
    type: int
    default: 0
  timeout:
    description: Seconds for everything, including the wait for a database that restarts.
    type: float
    default: 30.0
seealso:
  - module: llmops.platform.registry_approval
  - module: llmops.platform.registry_entry
"""

EXAMPLES = r"""
- name: What is ready in production
  llmops.platform.registry_info:
    dsn: "{{ registry_dsn }}"
    environment: production
    status: [ready]
  register: routable

- name: Which entries were not seen healthy for five minutes
  llmops.platform.registry_info:
    dsn: "{{ registry_dsn }}"
    status: [ready, degraded]
    health_check_older_than: 300

- name: The second page of a hundred
  llmops.platform.registry_info:
    dsn: "{{ registry_dsn }}"
    limit: 100
    after: "{{ first_page.next_after }}"

- name: Who disabled it, when and why
  llmops.platform.registry_info:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    history: true
"""

RETURN = r"""
entries:
  description: The entries.
  returned: success
  type: list
  elements: dict
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
    desired_state:
      description: What the operator wants, V(enabled) or V(disabled).
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
    health_check_age_s:
      description: Seconds since then by the database's clock, V(null) if it was never checked.
      type: float
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
      description:
        - Grows with every change.
        - Give it back as O(llmops.platform.registry_entry#module:expected_version).
      type: int
  sample:
    - model: meta-llama/Llama-3.1-8B-Instruct
      environment: staging
      status: ready
      desired_state: enabled
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
      health_check_age_s: 1.88
      created_at: "2026-10-01T12:00:00.000000Z"
      updated_at: "2026-11-02T09:14:07.120331Z"
      updated_by: deployer@awx-task-0
      version: 7
next_after:
  description: Value of O(after) for the next page, V(null) if there are no more entries.
  returned: success
  type: dict
  sample: null
history:
  description: Changes of the entry, newest first.
  returned: O(history=true)
  type: list
  elements: dict
  contains:
    seq:
      description: Place in the history of all entries.
      type: int
    epoch:
      description: Epoch of the registry after the change; routers report which one they have.
      type: int
    changed_at:
      description: When, by the database's clock.
      type: str
    actor:
      description: On whose behalf.
      type: str
    db_user:
      description: Who was logged in to the database.
      type: str
    action:
      description: One of V(insert), V(update) and V(delete).
      type: str
    version:
      description: Version of the entry after the change, or of the removed one.
      type: int
    operation:
      description: Id of the operation that the change was part of, if any.
      type: str
    changes:
      description: The fields that changed, each with its value C(before) and C(after).
      type: dict
  sample:
    - seq: 812
      epoch: 4711
      changed_at: "2026-11-02T09:20:00.000000Z"
      actor: alice@laptop
      db_user: deployer
      action: update
      version: 8
      operation: null
      changes:
        desired_state: {before: enabled, after: disabled}
        status: {before: ready, after: disabled}
        status_reason: {before: null, after: "Answers are wrong, see incident 4711"}
next_history_before:
  description: Value of O(history_before) for the next page, V(null) if there are no older changes.
  returned: O(history=true)
  type: int
  sample: null
operations:
  description: The last operations over the target, newest first.
  returned: O(operations) above V(0)
  type: list
  elements: dict
  contains:
    id:
      description: Id of the operation.
      type: str
    kind:
      description: What it does, such as V(deploy).
      type: str
    outcome:
      description:
        - One of V(running), V(succeeded), V(failed), V(interrupted), and V(rolled_back) for a change that
          failed and was undone.
      type: str
    actor:
      description: On whose behalf.
      type: str
    host:
      description: Where it runs or ran.
      type: str
    job:
      description: Address of the AWX job, or its number where AWX does not say its address.
      type: str
    fence:
      description: Number of the lock that it got.
      type: int
    resumes:
      description: Id of the interrupted operation that it took up, if any.
      type: str
    started_at:
      description: When it began, by the database's clock.
      type: str
    finished_at:
      description: When it ended. V(null) while it runs.
      type: str
    duration_s:
      description: How long it took. V(null) while it runs.
      type: float
    error_class:
      description: Kind of failure, if it failed.
      type: str
    reason:
      description: Why it ended as it did.
      type: str
    steps:
      description: Its steps in order, with outcome, times and reason as above, and C(detail).
      type: list
      elements: dict
  sample:
    - id: 7d0c9a52-64c3-4a8e-9d3b-0d5d8a9a2f11
      kind: deploy
      outcome: succeeded
      actor: deployer@awx-task-0
      host: awx-task-0
      job: "4242"
      fence: 7
      resumes: null
      started_at: "2026-11-02T09:13:02.000000Z"
      finished_at: "2026-11-02T09:14:07.000000Z"
      duration_s: 65.0
      error_class: null
      reason: null
      steps:
        - number: 1
          name: release
          outcome: succeeded
          started_at: "2026-11-02T09:13:02.100000Z"
          finished_at: "2026-11-02T09:14:05.100000Z"
          duration_s: 63.0
          error_class: null
          reason: null
          detail: {revision: 3}
verifications:
  description:
    - The last verdicts on manifests of the target, newest first. Of each manifest the newest counts.
  returned: O(verifications) above V(0)
  type: list
  elements: dict
  contains:
    manifest_digest:
      description: SHA-256 of the rendered manifest.
      type: str
    verdict:
      description: One of V(passed), V(failed) and V(revoked).
      type: str
    counts:
      description: Whether it is the newest verdict on its manifest.
      type: bool
    reason:
      description: Why it failed or was revoked.
      type: str
    evidence:
      description: What was asked and answered.
      type: dict
    verified_at:
      description: When it was found out, by the database's clock.
      type: str
    verified_by:
      description: On whose behalf.
      type: str
    operation_id:
      description: Id of the operation that found it out.
      type: str
  sample:
    - manifest_digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      verdict: passed
      counts: true
      reason: null
      evidence: {completion: {latency_s: 0.21}}
      verified_at: "2026-11-02T09:14:05.000000Z"
      verified_by: deployer@awx-task-0
      operation_id: 7d0c9a52-64c3-4a8e-9d3b-0d5d8a9a2f11
manifests:
  description: The last revisions of the target that are on record, newest first.
  returned: O(manifests) above V(0)
  type: list
  elements: dict
  contains:
    release_name:
      description: Helm release.
      type: str
    revision:
      description: Its revision.
      type: int
    digest:
      description: SHA-256 of the rendered manifest.
      type: str
    chart_version:
      description: Version of the chart.
      type: str
    chart_digest:
      description: SHA-256 of the chart's files.
      type: str
    image:
      description: Image as it was asked for.
      type: str
    image_digest:
      description: Digest of the image that ran.
      type: str
    model_source:
      description: Where the weights come from.
      type: str
    model_revision:
      description: Commit or tag of the weights.
      type: str
    recorded_at:
      description: When it was recorded, by the database's clock.
      type: str
    verdict:
      description: The newest verdict on the manifest, as in RV(verifications). V(null) without one.
      type: str
    reason:
      description: Why it failed or was revoked.
      type: str
    judged_at:
      description: When the verdict was given.
      type: str
  sample:
    - release_name: llama-3-1-8b-instruct-1d30a5c6-staging
      revision: 3
      digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      chart_version: 0.1.0
      chart_digest: sha256:0b1e8df3a9c1f6d1a3b9f9a1f6c1b6a4b0d7f0f6c3f5a0d8e1c2b3a4958676a5
      image: vllm/vllm-openai:v0.33.0
      image_digest: null
      model_source: null
      model_revision: null
      recorded_at: "2026-11-02T09:14:05.000000Z"
      verdict: passed
      reason: null
      judged_at: "2026-11-02T09:14:05.000000Z"
approvals:
  description:
    - The last requests for promotions to the target, approvals and withdrawals, newest first.
    - Each has the fields of RV(llmops.platform.registry_approval#module:approval), and C(counts), which says
      whether it is the newest of its source, manifest and gates.
  returned: O(approvals) above V(0)
  type: list
  elements: dict
  sample:
    - id: 11
      state: requested
      model: meta-llama/Llama-3.1-8B-Instruct
      environment: production
      source_environment: staging
      manifest_digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      gate_set_digest: sha256:0b1e8df3a9c1f6d1a3b9f9a1f6c1b6a4b0d7f0f6c3f5a0d8e1c2b3a4958676a5
      request_id: 11
      requested_by: alice@laptop
      requested_login: deploy_production
      actor: alice@laptop
      login: deploy_production
      reason: null
      created_at: "2026-11-02T09:14:05.000000Z"
      expires_at: null
      holds: false
      counts: true
database_time:
  description: The database's clock, which the ages are measured with. RFC 3339 in UTC.
  returned: success
  type: str
  sample: "2026-11-02T09:14:09.000412Z"
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

from ansible_collections.llmops.platform.plugins.module_utils._arguments import POSTGRES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import (
    check_model,
    check_namespace,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    approvals,
    entries,
    history,
    manifests,
    verifications,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    DESIRED_STATES,
    STATUSES,
    Entry,
    as_json,
    rfc3339,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ARGUMENT_SPEC: dict[str, Any] = {
    **POSTGRES_SPEC,
    "model": {"type": "str"},
    "environment": {"type": "str"},
    "namespace": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(STATUSES)},
    "desired_state": {"type": "str", "choices": list(DESIRED_STATES)},
    "health_check_older_than": {"type": "float"},
    "limit": {"type": "int"},
    "after": {
        "type": "dict",
        "options": {
            "model": {"type": "str", "required": True},
            "environment": {"type": "str", "required": True},
        },
    },
    "history": {"type": "bool", "default": False},
    "history_limit": {"type": "int", "default": 50},
    "history_before": {"type": "int"},
    "operations": {"type": "int", "default": 0},
    "verifications": {"type": "int", "default": 0},
    "manifests": {"type": "int", "default": 0},
    "approvals": {"type": "int", "default": 0},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """List the entries that the parameters ask for."""
    wanted = _filter(params)
    limit = params["limit"]
    for name in ("limit", "history_limit"):
        if params[name] is not None and params[name] < 1:
            raise invalid(name, params[name], "is less than one", "Give a positive number, or leave it out.")
    for name in ("operations", "verifications", "manifests", "approvals"):
        if params[name] < 0:
            raise invalid(name, params[name], "is negative", f"Give how many {name} to return.")
        if params[name] and not (params["model"] and params["environment"]):
            raise invalid(name, params[name], "needs one target", "Give model and environment as well.")
    after = params["after"]

    def work(session: Session) -> dict[str, Any]:
        found, last = entries.find(
            session, wanted, limit=limit, after=(after["model"], after["environment"]) if after else None
        )
        now = entries.database_time(session)
        result: dict[str, Any] = {
            "entries": [_with_age(entry, now) for entry in found],
            "next_after": {"model": last[0], "environment": last[1]} if last else None,
            "database_time": rfc3339(now),
        }
        if params["history"]:
            result["history"], result["next_history_before"] = history.read_history(
                session,
                params["model"],
                params["environment"],
                limit=params["history_limit"],
                before=params["history_before"],
            )
        if params["operations"]:
            result["operations"] = history.read_operations(
                session, params["model"], params["environment"], limit=params["operations"]
            )
        if params["verifications"]:
            result["verifications"] = verifications.read(
                session, params["model"], params["environment"], limit=params["verifications"]
            )
        if params["manifests"]:
            revisions = manifests.read_manifests(
                session, params["model"], params["environment"], limit=params["manifests"]
            )
            result["manifests"] = [manifests.as_json(one) for one in revisions]
        if params["approvals"]:
            result["approvals"] = approvals.read(
                session, params["model"], params["environment"], limit=params["approvals"]
            )
        return result

    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        return Outcome(result=database.transaction(work, read_only=True))


def _with_age(entry: Entry, now: datetime) -> dict[str, Any]:
    checked = entry.last_health_check_at
    return {
        **as_json(entry),
        "health_check_age_s": None if checked is None else round((now - checked).total_seconds(), 3),
    }


def _filter(params: Mapping[str, Any]) -> entries.Filter:
    if params["model"] is not None:
        check_model(params["model"])
    if params["namespace"] is not None:
        check_namespace(params["namespace"])
    age = params["health_check_older_than"]
    if age is not None and not 0 <= age < 1e9:
        raise invalid("health_check_older_than", age, "is no age in seconds", "Give a number from 0 on.")
    return entries.Filter(
        model=params["model"],
        environment=params["environment"],
        namespace=params["namespace"],
        statuses=tuple(params["status"] or ()),
        desired_state=params["desired_state"],
        health_check_older_than_s=age,
    )


CONTRACT = ModuleContract(
    argument_spec=ARGUMENT_SPEC,
    run=run,
    required_if=[("history", True, ("model", "environment"))],
)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
