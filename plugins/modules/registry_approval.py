#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_approval
short_description: Ask for a promotion, approve it, or take that back
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Writes into the registry who asked for a promotion and who approved it. Rows are appended and never
    changed; of each model, source, target, manifest and set of gates the newest counts.
  - An approval is for one manifest and one set of gates, ends by itself, and skips no gate.
  - Whoever asked may not approve. The database refuses it too. Names are compared without case, spaces, host
    and domain, so C(Alice@laptop), C(alice) and C(CORP\alice) are one person.
  - An actor is what the run was told. Who was logged in to the database is on record beside it.
  - A job of AWX without a user, as one that a schedule started, neither asks nor approves, and fails.
  - Needs a database user that may deploy in the target.
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
    description: Model to promote.
    type: str
    required: true
  environment:
    description: Environment to promote to.
    type: str
    required: true
  source_environment:
    description:
      - Environment to promote from. Needed to ask for a promotion.
      - Elsewhere requests from any environment may be meant if left out.
    type: str
  manifest_digest:
    description:
      - SHA-256 of the manifest in the source, or at least the first 8 digits of it. Needed to ask for a
        promotion.
      - Elsewhere the one open request is meant if left out; several are refused with their names.
    type: str
  gate_set_digest:
    description:
      - SHA-256 of the gates with their limits, as the promotion says it. Needed to ask for a promotion.
      - Elsewhere that of the request if left out; its first 8 digits are enough.
    type: str
  state:
    description:
      - V(requested) asks, unless that is asked for or approved already.
      - V(approved) approves an open request. An approval that holds for at least half of O(expires_in) yet is
        left as it is; an older one, or an expired one that is named by O(manifest_digest), is renewed.
      - V(withdrawn) refuses a request, or takes an approval back. Somebody has to ask again then.
    type: str
    choices: [requested, approved, withdrawn]
    default: approved
  reason:
    description: Why; it is on record. Needed for V(withdrawn).
    type: str
  expires_in:
    description: Seconds that the approval holds by the database's clock, 30 days at most.
    type: float
    default: 86400.0
  actor:
    description: On whose behalf. By default the user of the AWX job, or else user and host of the run.
    type: str
  timeout:
    description: Seconds for the database's work.
    type: float
    default: 30.0
seealso:
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Show what would be approved
  llmops.platform.registry_approval:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
  check_mode: true
  diff: true

- name: Approve it for four hours
  llmops.platform.registry_approval:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    manifest_digest: 5f70bf18a086
    reason: Evaluated, see ticket 4711
    expires_in: 14400
    actor: "{{ awx_user_name }}"

- name: Take it back
  llmops.platform.registry_approval:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    state: withdrawn
    reason: It answers in the wrong language
"""

RETURN = r"""
approval:
  description:
    - The newest row, in check mode the one that would be. V(null) where there was nothing to withdraw.
    - What only the database knows is V(null) in check mode.
  returned: success
  type: dict
  contains:
    id:
      description: Number of the row.
      type: int
    state:
      description: One of V(requested), V(approved) and V(withdrawn).
      type: str
    model:
      description: The model.
      type: str
    environment:
      description: Environment to promote to.
      type: str
    source_environment:
      description: Environment to promote from.
      type: str
    manifest_digest:
      description: SHA-256 of the manifest.
      type: str
    gate_set_digest:
      description: SHA-256 of the gates with their limits.
      type: str
    request_id:
      description: Number of the request, of a request its own.
      type: int
    requested_by:
      description: On whose behalf it was asked for.
      type: str
    requested_login:
      description: Database user of the request.
      type: str
    actor:
      description: On whose behalf the row was written.
      type: str
    login:
      description: Database user who wrote it.
      type: str
    reason:
      description: Why.
      type: str
    created_at:
      description: When, by the database's clock.
      type: str
    expires_at:
      description: When the approval ends, by the database's clock.
      type: str
    holds:
      description: Whether it is an approval that has not expired.
      type: bool
  sample:
    id: 12
    state: approved
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    source_environment: staging
    manifest_digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    gate_set_digest: sha256:0b1e8df3a9c1f6d1a3b9f9a1f6c1b6a4b0d7f0f6c3f5a0d8e1c2b3a4958676a5
    request_id: 11
    requested_by: alice@laptop
    requested_login: deploy_production
    actor: bob
    login: deploy_production
    reason: Evaluated, see ticket 4711
    created_at: "2026-11-02T09:14:07.120331Z"
    expires_at: "2026-11-02T13:14:07.120331Z"
    holds: true
line:
  description: What was done, in one line for people.
  returned: success
  type: str
  sample: >-
    meta-llama/Llama-3.1-8B-Instruct 5f70bf18a086 from staging to production, gates 0b1e8df3a9c1, approved by
    bob until 2026-11-02T13:14:07.120331Z
error_class:
  description: Kind of failure, for conditions. V(auth) means that the user may not write this environment.
  returned: failure
  type: str
  sample: invalid
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
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import check_environment
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    approval_choice,
    approvals,
    approving,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import check_target
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
    "source_environment": {"type": "str"},
    "manifest_digest": {"type": "str"},
    "gate_set_digest": {"type": "str"},
    "state": {"type": "str", "choices": list(approvals.KINDS), "default": approvals.APPROVED},
    "reason": {"type": "str"},
    "expires_in": {"type": "float", "default": 86400.0},
    "actor": {"type": "str"},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Append what the state says, unless that holds already."""
    _check(params)

    def work(session: Session) -> approving.Change | None:
        return _change(session, params, dry_run=context.check_mode)

    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        change = database.transaction(work, read_only=context.check_mode)
    if change is None:
        return Outcome(
            result={
                "approval": None,
                "line": f"Nobody asks to promote {params['model']} to {params['environment']}",
            }
        )
    where = f"approval of {change.after.subject}"
    return Outcome(
        changed=change.changed,
        result={"approval": change.after.as_json(), "line": approval_choice.described(change.after)},
        diff={
            "before_header": where,
            "after_header": where,
            "before": _listing(change.before),
            "after": _listing(change.after),
        },
    )


def _check(params: Mapping[str, Any]) -> None:
    check_target(params["model"], params["environment"])
    if params["source_environment"] is not None:
        check_environment(params["source_environment"], "source_environment")
    approval_choice.check_start("manifest_digest", params["manifest_digest"])
    approval_choice.check_start("gate_set_digest", params["gate_set_digest"])
    if params["state"] == approvals.WITHDRAWN and not (params["reason"] or "").strip():
        raise invalid("reason", params["reason"], "is missing", "Say why; whoever asked will read it.")
    check_seconds(params, 1, approving.MOST_S, "expires_in")
    check_seconds(params, 0.1, 86400, "timeout")


def _change(session: Session, params: Mapping[str, Any], *, dry_run: bool) -> approving.Change | None:
    model, environment, source = params["model"], params["environment"], params["source_environment"]
    common = {"reason": params["reason"], "by": params["actor"], "dry_run": dry_run}
    if params["state"] == approvals.REQUESTED:
        manifest = approval_choice.recorded_digest(session, model, source, params["manifest_digest"])
        subject = approvals.subject_of(model, environment, source, manifest, params["gate_set_digest"])
        return approving.request(session, subject, **common)
    approve = params["state"] == approvals.APPROVED
    meant = approval_choice.answered(
        approvals.newest_of_each(session, model, environment),
        approval_choice.Wanted(source, params["manifest_digest"], params["gate_set_digest"]),
        approving=approve,
    )
    if meant is None:
        if approve:
            raise approving.not_open(f"{model} to {environment}", None)
        return None
    if approve:
        return approving.approve(session, meant.subject, expires_in_s=params["expires_in"], **common)
    return approving.withdraw(session, meant.subject, **common)


def _listing(approval: approvals.Approval | None) -> str:
    return "" if approval is None else f"{approval}; asked by {approval.requested_by}\n"


CONTRACT = ModuleContract(
    argument_spec=ARGUMENT_SPEC,
    run=run,
    required_if=[("state", "requested", ("source_environment", "manifest_digest", "gate_set_digest"))],
)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
