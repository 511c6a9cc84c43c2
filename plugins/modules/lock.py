#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module lock."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lock
short_description: Start and finish an operation on a model, so that only one runs at a time
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the lock of a target (a model in an environment) for one run of a playbook and gives it back. Who
    comes second fails with RV(error_class=locked) and is told who holds the lock, since when and until when.
  - A lock ends by itself. Modules that take the parameter O(lock) renew it while they work. A run that
    lost its lock writes nothing more.
  - A run that died on this machine is noticed, and its lock is taken over at once. Elsewhere the lock is
    taken over when it has ended. The new operation then says which one it resumes.
  - Writes a record of each operation and of its steps, see RV(steps).
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.lock
  - llmops.platform.postgres_auth
attributes:
  check_mode:
    support: full
    details:
      - Says who holds the lock. A lock that is held is a warning here, and no failure.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Each O(state=acquired) starts another operation. The other states may be repeated.
options:
  state:
    description:
      - V(acquired) takes the lock for a new operation.
      - V(released) notes the end of O(lock) and gives its lock back. A lock that was lost meanwhile
        stays with its new holder.
      - V(broken) takes the lock away from the operation O(operation_id), whatever it does. It is noted in
        the audit log. The operation, should it live, writes nothing more.
    type: str
    choices: [acquired, released, broken]
    default: acquired
  model:
    description: Full name of the model, as clients ask for it.
    type: str
    required: true
  environment:
    description: Environment of the target.
    type: str
    required: true
  kind:
    description: What the operation does, such as V(deploy) or V(rollback). For people.
    type: str
    default: deploy
  lock_timeout:
    description:
      - Seconds to wait for the holder of the lock. The waits grow from 1 to 16 seconds, with jitter.
      - V(0) fails at once.
    type: float
    default: 0
  lock_ttl:
    description:
      - Seconds that the lock lasts from each renewal. It is renewed four times in that time, and whoever
        cannot renew it stops after two thirds of it.
    type: float
    default: 60
  lock:
    description: The lock to give back, as O(state=acquired) returned it.
  outcome:
    description:
      - How the operation ended. For O(state=released).
      - V(rolled_back) is a change that failed and was undone, so that what was there before serves again.
    type: str
    choices: [succeeded, failed, rolled_back]
    default: succeeded
  error_class:
    description: Class of the failure, which V(rolled_back) has too. For O(state=released).
    type: str
  reason:
    description: Why it failed, or why the lock is taken away.
    type: str
  operation_id:
    description: Operation to take the lock away from, as the failure of those who wait names it.
    type: str
  actor:
    description: On whose behalf this is done. The user and host of the run if left out.
    type: str
  timeout:
    description: Seconds for the database's work. O(lock_timeout) comes on top.
    type: float
    default: 30.0
seealso:
  - module: llmops.platform.vllm_release
  - module: llmops.platform.registry_entry
"""

EXAMPLES = r"""
- name: Start a deployment, or wait up to five minutes for somebody else's
  llmops.platform.lock:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    lock_timeout: 300
  register: taken

- name: Deploy under its lock
  llmops.platform.vllm_release:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    lock: "{{ taken.lock }}"

- name: Say that it is done
  llmops.platform.lock:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    state: released
    lock: "{{ taken.lock }}"

- name: End the lock of a run that is known to be dead
  llmops.platform.lock:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    state: broken
    operation_id: 5f0c1f0e-4f5c-4c36-9a39-0d2b2f6f2a55
    reason: its machine burned down
"""

RETURN = r"""
lock:
  description: The lock, for the parameter of that name. V(null) in check mode for O(state=acquired).
  returned: success, unless O(state=broken)
  type: dict
  contains:
    id:
      description: Id of the operation.
      type: str
    fence:
      description: A number that grows with each operation on the target.
      type: int
  sample:
    id: 5f0c1f0e-4f5c-4c36-9a39-0d2b2f6f2a55
    fence: 12
resumes:
  description: The interrupted operation that this one goes on with, V(null) if there is none.
  returned: success, unless O(state=broken)
  type: str
  sample: 0b7a3c5c-8c8e-4a6a-8f0b-0f6c2d2f9f10
waited_s:
  description: How long the task waited. It is the time until the lock was free.
  returned: O(state=acquired)
  type: float
  sample: 0.012
duration_s:
  description: How long the whole operation took.
  returned: O(state=released)
  type: float
  sample: 63.204
outcome:
  description: How the operation ended. V(interrupted) if it had lost its lock.
  returned: O(state=released)
  type: str
  sample: succeeded
steps:
  description:
    - What the operation noted in the registry, in order, each with its C(name), C(outcome) and C(duration_s).
  returned: O(state=released)
  type: list
  elements: dict
  sample:
    - name: helm install
      outcome: succeeded
      duration_s: 1.204
locked_by:
  description:
    - Who holds the lock. For O(state=broken), who held it. V(null) if nobody does.
  returned: failures of class V(locked) and V(fenced), check mode, O(state=broken)
  type: dict
  contains:
    operation_id:
      description: Id of the operation that holds the lock.
      type: str
    fence:
      description: Its fence.
      type: int
    kind:
      description: What it does.
      type: str
    holder:
      description: Who started it.
      type: str
    host:
      description: The machine that it runs on.
      type: str
    pid:
      description: Its process, where that is known.
      type: int
    job:
      description: Address of its AWX job, or the number, if there is one.
      type: str
    since:
      description: When it started.
      type: str
    expires_at:
      description: When the lock ends, unless it is renewed.
      type: str
  sample:
    operation_id: 0b7a3c5c-8c8e-4a6a-8f0b-0f6c2d2f9f10
    fence: 11
    kind: deploy
    holder: alice@bastion
    host: bastion
    pid: 4711
    job: null
    since: "2026-11-02T09:14:07.120331Z"
    expires_at: "2026-11-02T09:15:37.120331Z"
error_class:
  description: Kind of failure, for conditions. V(locked) means that somebody else's operation is under way.
  returned: failure
  type: str
  sample: locked
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import (
    LOCK_SPEC,
    POSTGRES_SPEC,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.actor import actor
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import (
    Deadline,
    check_seconds,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import operations
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import check_target
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import (
    Lock,
    OperationRef,
    check_id,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock_preview import preview
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
    **LOCK_SPEC,
    "state": {"type": "str", "choices": ["acquired", "released", "broken"], "default": "acquired"},
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "kind": {"type": "str", "default": "deploy"},
    "lock_timeout": {"type": "float", "default": 0},
    "lock_ttl": {"type": "float", "default": 60},
    "outcome": {"type": "str", "choices": ["succeeded", "failed", "rolled_back"], "default": "succeeded"},
    "error_class": {"type": "str"},
    "reason": {"type": "str"},
    "operation_id": {"type": "str"},
    "actor": {"type": "str"},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Start or finish an operation, or end its lock."""
    _check(params)
    if context.check_mode:
        return _preview(params, context)
    states = {"acquired": _acquired, "released": _released, "broken": _broken}
    wait = params["lock_timeout"] if params["state"] == "acquired" else 0.0
    with Database(settings(params), Deadline(params["timeout"] + wait), context.progress) as database:
        return states[params["state"]](database, params, context)


def _check(params: Mapping[str, Any]) -> None:
    check_target(params["model"], params["environment"])
    check_seconds(params, 0, 86400, "lock_timeout")
    check_seconds(params, 1, 3600, "lock_ttl")
    check_seconds(params, 0.1, 86400, "timeout")
    if not re.fullmatch(r"[a-z][a-z_]{0,62}", params["kind"]):
        raise invalid("kind", params["kind"], "is not a word", "Use lower-case letters and underscores.")
    wanted = {"released": "lock", "broken": "operation_id"}.get(params["state"])
    if wanted and not params[wanted]:
        raise invalid(wanted, params[wanted], "is missing", f"State {params['state']} needs it.")


def _acquired(database: Database, params: Mapping[str, Any], context: Context) -> Outcome:
    wanted = operations.Wanted(
        params["model"],
        params["environment"],
        params["kind"],
        Holder.here(params["actor"] or actor(), context.run_pid),
        params["lock_ttl"],
    )
    done = operations.start(database, wanted, params["lock_timeout"], context.progress)
    result = {"lock": done.ref.as_json(), "resumes": done.resumes, "waited_s": done.waited_s}
    return Outcome(True, result, _difference(params, "free", f"held by operation {done.ref.id}"))


def _released(database: Database, params: Mapping[str, Any], context: Context) -> Outcome:
    ref = _given(params)
    done = database.transaction(
        lambda session: operations.finish(
            session,
            params["model"],
            params["environment"],
            ref,
            outcome=params["outcome"],
            error_class=params["error_class"],
            reason=params["reason"],
            by=params["actor"] or actor(),
        )
    )
    return _released_outcome(params, ref, done)


def _released_outcome(params: Mapping[str, Any], ref: OperationRef, done: operations.Finished) -> Outcome:
    result = {
        "lock": ref.as_json(),
        "resumes": done.resumes,
        "duration_s": done.duration_s,
        "outcome": done.outcome,
        "steps": done.steps,
    }
    warnings = []
    if done.outcome == "interrupted":
        warnings.append(
            f"Operation {ref.id} on {params['model']} in {params['environment']} had lost its lock meanwhile."
        )
    before = f"held by operation {ref.id}" if done.changed else "free"
    return Outcome(done.changed, result, _difference(params, before, "free"), warnings)


def _broken(database: Database, params: Mapping[str, Any], context: Context) -> Outcome:
    operation_id = check_id(params["operation_id"], "operation_id")
    lock = database.transaction(
        lambda session: operations.unlock(
            session,
            params["model"],
            params["environment"],
            operation_id,
            params["reason"],
            params["actor"] or actor(),
        )
    )
    return _broken_outcome(params, lock)


def _broken_outcome(params: Mapping[str, Any], lock: Lock | None) -> Outcome:
    before = f"held by operation {lock.operation_id}" if lock else "free"
    return Outcome(
        lock is not None,
        {"locked_by": lock.as_json() if lock else None},
        _difference(params, before, "free"),
    )


def _preview(params: Mapping[str, Any], context: Context) -> Outcome:
    """Say who holds the lock and what would be done about it."""
    state = params["state"]
    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        finishing = _given(params) if state == "released" else None
        seen = preview(database, params["model"], params["environment"], finishing)
    if state == "broken":
        return _broken_outcome(params, seen.held_by(check_id(params["operation_id"], "operation_id")))
    if seen.finished is not None:
        outcome = _released_outcome(params, _given(params), seen.finished)
    else:
        took = "duration_s" if state == "released" else "waited_s"
        outcome = Outcome(not seen.is_alive, {"lock": None, "resumes": seen.resumes, took: 0.0})
        if warning := seen.warning():
            outcome.warnings.append(warning)
        else:
            outcome.diff = _difference(params, "free", f"held by a new operation ({params['kind']})")
    outcome.result["locked_by"] = seen.locked_by
    return outcome


def _given(params: Mapping[str, Any]) -> OperationRef:
    ref = OperationRef.from_params(params)
    if ref is None:
        raise invalid("lock", None, "is missing", "Pass on what the start of the operation returned.")
    return ref


def _difference(params: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    header = f"lock of {params['model']} in {params['environment']}"
    return {
        "before_header": header,
        "after_header": header,
        "before": f"{before}\n",
        "after": f"{after}\n",
    }


CONTRACT = ModuleContract(
    argument_spec=ARGUMENT_SPEC,
    run=run,
    required_if=[("state", "released", ("lock",)), ("state", "broken", ("operation_id",))],
)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
