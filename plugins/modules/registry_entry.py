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
  - While an operation holds the lock of the target, only that operation writes (see O(lock)). Others fail
    with RV(error_class=locked), and are warned in check mode. With one exception, O(desired_state) and the
    status V(disabled) that follows from it may be set at any time.
  - A change that takes an endpoint away from routers is confirmed. The task waits until every live router of
    the environment reports that it knows, and fails with RV(error_class=timeout) and the names of those that
    do not. The row stays written. A later run that finds nothing to change waits for them again.
  - Where nothing changes, nothing is written.
extends_documentation_fragment:
  - llmops.platform.lock
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
  state:
    description:
      - Whether there should be a row.
      - V(absent) sets the status to V(draining), waits until the routers know, and until no request of the
        model is in flight (at most O(drain_timeout)), then deletes the row.
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
  desired_state:
    description:
      - What the operator wants. A new row is V(enabled).
      - While it is V(disabled), a status of V(ready) or V(degraded) is stored as V(disabled), whoever sets
        it. So a deployment does not enable again what a person disabled.
      - V(enabled) does not make the entry ready. That takes O(status=ready), after the endpoint was verified.
      - O(status=disabled) without this option sets V(disabled) as well.
    type: str
    choices: [enabled, disabled]
  status_reason:
    description:
      - Why the entry has its status. Passwords of URLs and bearer tokens are hidden, long texts shortened.
      - When the status changes and this is left out, the old reason is removed.
      - With O(state=absent) it is why the entry is removed; the history keeps it.
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
  manifest:
    description:
      - Records for good what the release's revision was made of, in the same transaction. A revision that is
        recorded already is left as it is.
      - The rest comes from the entry, which needs O(release_name), O(release_revision) and
        O(manifest_digest).
    type: dict
    suboptions:
      chart_digest:
        description: SHA-256 of the chart.
        type: str
      image_digest:
        description: Digest of the image that runs.
        type: str
      values:
        description: The chart's values. Secrets in them are hidden before they are written.
        type: dict
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
  routers_timeout:
    description:
      - Seconds to wait for routers to confirm that an endpoint was withdrawn.
      - A router that was not heard of for 15 seconds is taken for lost. It is warned of, not waited for.
    type: float
    default: 15.0
  drain_timeout:
    description:
      - Seconds to wait for requests in flight before O(state=absent) deletes the row.
      - Those that are left then are warned of. They end with the model server.
    type: float
    default: 30.0
  timeout:
    description:
      - Seconds for the database's work, including the wait for one that restarts.
      - O(routers_timeout) and O(drain_timeout) come on top where there is something to wait for.
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
    desired_state: disabled
    status: disabled
    status_reason: Answers are wrong, see incident 4711
    expected_version: "{{ looked_at.entries[0].version }}"

- name: Drain it, then remove the row
  llmops.platform.registry_entry:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    state: absent
    drain_timeout: 120
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
    created_at: "2026-10-01T12:00:00.000000Z"
    updated_at: "2026-11-02T09:14:07.120331Z"
    updated_by: deployer@awx-task-0
    version: 7
routers:
  description:
    - What the routers of the environment said. V(null) if there was nothing to confirm.
  returned: success, and when a router did not confirm
  type: dict
  contains:
    epoch:
      description: The epoch of the registry that the endpoint was withdrawn with.
      type: int
    confirmed:
      description: Routers that have taken it over.
      type: list
      elements: str
    unconfirmed:
      description: Live routers that have not.
      type: list
      elements: str
    lost:
      description: Routers that have not, and that were not heard of for 15 seconds.
      type: list
      elements: str
    waited_s:
      description: How long the task waited.
      type: float
  sample:
    epoch: 4711
    confirmed: [router-7c9f-x2x4k, router-7c9f-zq8ld]
    unconfirmed: []
    lost: []
    waited_s: 0.041
drain:
  description: The wait for requests in flight. V(null) if no router ever had the model.
  returned: O(state=absent)
  type: dict
  contains:
    in_flight:
      description: Requests that were still in flight at its end.
      type: int
    waited_s:
      description: How long the task waited.
      type: float
  sample: {in_flight: 0, waited_s: 1.204}
manifest:
  description: The recorded revision.
  returned: when O(manifest) is given
  type: dict
  contains:
    id:
      description: Its id in C(deployment_manifests). V(null) in check mode if it would be written.
      type: int
    written:
      description: Whether this task wrote it, or in check mode would.
      type: bool
error_class:
  description:
    - Kind of failure, for conditions.
    - V(fenced) means that somebody else changed the row, and RV(changed_by), RV(changed_at) and
      RV(current_version) say who, when and to what. Or it means that the lock of O(lock) was lost.
    - V(locked) means that somebody else's operation holds the lock of the target.
    - V(timeout) may mean that the row is written, but that routers did not confirm it (RV(routers)).
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

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    LOCK_SPEC,
    POSTGRES_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import (
    Deadline,
    check_seconds,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    DESIRED_STATES,
    STATUSES,
    as_json,
    check_changes,
    check_target,
    shown,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import permit
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import OperationRef
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.publication import Publication
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.writing import (
    Wanted,
    bring,
    preview,
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
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "endpoint": {"type": "str"},
    "status": {"type": "str", "choices": list(STATUSES)},
    "desired_state": {"type": "str", "choices": list(DESIRED_STATES)},
    "status_reason": {"type": "str"},
    "namespace": {"type": "str"},
    "release_name": {"type": "str"},
    "release_revision": {"type": "int"},
    "manifest_digest": {"type": "str"},
    "chart_version": {"type": "str"},
    "image": {"type": "str"},
    "model_source": {"type": "str"},
    "model_revision": {"type": "str"},
    "manifest": {
        "type": "dict",
        "options": {
            "chart_digest": {"type": "str"},
            "image_digest": {"type": "str"},
            "values": {"type": "dict"},
        },
    },
    "health_checked": {"type": "bool", "default": False},
    "expected_version": {"type": "int"},
    "actor": {"type": "str"},
    **LOCK_SPEC,
    "routers_timeout": {"type": "float", "default": 15.0},
    "drain_timeout": {"type": "float", "default": 30.0},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the row of one target to what the parameters say."""
    model, environment = params["model"], params["environment"]
    check_target(model, environment)
    changes = check_changes(params)
    check_seconds(params, 0, 86400, "routers_timeout", "drain_timeout")
    wanted = _wanted(params, changes)
    progress = context.progress
    # Keeps the lock of the operation during the waits.
    with (
        permit(params, progress, target=(model, environment), check_mode=context.check_mode),
        Database(settings(params), Deadline(params["timeout"]), progress) as database,
    ):
        done = preview(database, wanted) if context.check_mode else bring(database, wanted, progress)
    published = done.published
    change, after = published.change, published.change.after
    result: dict[str, Any] = {"entry": as_json(after) if after else None, "routers": published.routers}
    if params["state"] == "absent":
        result["drain"] = done.drain
    if published.manifest is not None:
        result["manifest"] = {"id": published.manifest.id, "written": published.manifest.written}
    return Outcome(
        changed=published.changed,
        result=result,
        diff={
            "before_header": f"registry entry {model} in {environment}",
            "after_header": f"registry entry {model} in {environment}",
            "before": shown(change.before),
            "after": shown(change.after),
        },
        warnings=done.warnings(wanted),
    )


def _wanted(params: Mapping[str, Any], changes: Mapping[str, Any]) -> Wanted:
    row = Publication(
        params["model"],
        params["environment"],
        changes,
        params["manifest"],
        expected_version=params["expected_version"],
        health_checked=params["health_checked"],
        operation=OperationRef.from_params(params),
        by=params["actor"],
    )
    return Wanted(
        row,
        present=params["state"] == "present",
        timeout_s=params["timeout"],
        routers_timeout_s=params["routers_timeout"],
        drain_timeout_s=params["drain_timeout"],
    )


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
