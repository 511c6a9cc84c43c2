#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Read the audit log of the registry and find out whether it was rewritten
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Returns rows of the audit log, the oldest first, filtered by whatever is given.
  - Every change of an entry, every start and end of an operation, every recorded manifest and every lock that
    was taken from its holder is in the log. The database writes it in the same transaction.
  - With O(verify=true) every row of the log is checked, whatever the filters say. A row that was changed,
    removed or reordered fails the task with C(error_class=verification) and is named in RV(problems).
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
  action:
    description: Only these actions, such as V(entry.update) or V(operation.started).
    type: list
    elements: str
  actor:
    description: Only what was done for this actor.
    type: str
  since:
    description: Only what happened at this time or later. RFC 3339 with its zone.
    type: str
  limit:
    description: Most rows to return. V(0) returns none, which is enough for a verification.
    type: int
    default: 100
  after:
    description: Where a previous page ended; give its RV(next_after) here.
    type: int
    default: 0
  verify:
    description: Check the whole log.
    type: bool
    default: false
  expected_head:
    description:
      - An RV(head) that was noted earlier and kept outside of the database.
      - The row that it names must still be the same. Without it, somebody who may write to all tables could
        seal the log anew.
      - Needs O(verify=true).
    type: dict
    suboptions:
      seq:
        description: Place of that row.
        type: int
        required: true
      hash:
        description: Hash of that row.
        type: str
        required: true
  timeout:
    description: Seconds for everything, including the wait for a database that restarts.
    type: float
    default: 60.0
seealso:
  - module: llmops.platform.registry_info
  - module: llmops.platform.registry_entry
"""

EXAMPLES = r"""
- name: Who changed this model in production
  llmops.platform.audit_info:
    dsn: "{{ registry_dsn }}"
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: production
    action: [entry.insert, entry.update, entry.delete]

- name: Check the log against the head that was noted yesterday
  llmops.platform.audit_info:
    dsn: "{{ registry_dsn }}"
    verify: true
    expected_head: "{{ lookup('ansible.builtin.file', 'audit-head.json') | from_json }}"
    limit: 0
  register: audit

- name: Note today's head
  ansible.builtin.copy:
    content: "{{ audit.head | to_json }}"
    dest: audit-head.json
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
records:
  description: Rows of the log, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    seq:
      description: Place in the log, from 1 without gaps.
      type: int
    occurred_at:
      description: When it happened, by the database's clock. RFC 3339 in UTC.
      type: str
    actor:
      description: For whom the program acted, as it said; the database user if it did not.
      type: str
    db_user:
      description: Who was logged in to the database.
      type: str
    action:
      description:
        - V(entry.insert), V(entry.update), V(entry.delete); V(operation.started), V(operation.succeeded),
          V(operation.failed), V(operation.interrupted), V(operation.rolled_back); V(manifest.recorded),
          V(manifest.passed), V(manifest.failed), V(manifest.revoked); V(health_check_rules.insert),
          V(health_check_rules.update); V(lock.forced). Other programs add others.
      type: str
    model:
      description: Model of the target.
      type: str
    environment:
      description: Environment of the target.
      type: str
    operation_id:
      description: Operation that it was a part of.
      type: str
    detail:
      description: What changed.
      type: dict
      contains:
        changes:
          description: For entries. The columns that changed, each with its value before and after.
          type: dict
    previous_hash:
      description: Hash of the row before.
      type: str
    hash:
      description: SHA-256 over the row.
      type: str
  sample:
    - seq: 4711
      occurred_at: "2026-11-02T09:14:07.120331Z"
      actor: deployer@awx-task-0
      db_user: registry_deployer
      action: entry.update
      model: meta-llama/Llama-3.1-8B-Instruct
      environment: production
      operation_id: null
      detail:
        changes:
          deployment_status: [deploying, ready]
        epoch: 812
        row_version: 7
      previous_hash: 1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014
      hash: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
next_after:
  description: Value of O(after) for the next page, V(null) if there are no more rows.
  returned: success
  type: int
  sample: null
head:
  description: The end of the log. Keep it outside of the database, for a later O(expected_head).
  returned: always
  type: dict
  contains:
    seq:
      description: Place of the last row, 0 if there is none.
      type: int
    hash:
      description: Hash of the last row, 64 zeros if there is none.
      type: str
  sample:
    seq: 4711
    hash: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
verified:
  description: Whether the whole log is as it was written; V(null) if O(verify=false).
  returned: always
  type: bool
  sample: true
rows:
  description: Number of rows that were checked.
  returned: if O(verify=true)
  type: int
  sample: 4711
problems:
  description: What is wrong with the log, by place. The first hundred.
  returned: when the verification fails
  type: list
  elements: dict
  contains:
    seq:
      description: Place of the row, or of the first of several.
      type: int
    kind:
      description: V(changed), V(removed), V(reordered) or V(added).
      type: str
    message:
      description: What is wrong with it.
      type: str
  sample:
    - seq: 17
      kind: changed
      message: its hash is not that of its contents
problem_count:
  description: How many problems there are.
  returned: when the verification fails
  type: int
  sample: 1
error_class:
  description:
    - Kind of failure, for conditions.
    - V(verification) means that the log was rewritten.
  returned: failure
  type: str
  sample: verification
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import POSTGRES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import (
    check_model,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import audit
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Session,
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

MOST_ROWS = 10_000

ARGUMENT_SPEC: dict[str, Any] = {
    **POSTGRES_SPEC,
    "model": {"type": "str"},
    "environment": {"type": "str"},
    "action": {"type": "list", "elements": "str"},
    "actor": {"type": "str"},
    "since": {"type": "str"},
    "limit": {"type": "int", "default": 100},
    "after": {"type": "int", "default": 0},
    "verify": {"type": "bool", "default": False},
    "expected_head": {
        "type": "dict",
        "options": {
            "seq": {"type": "int", "required": True},
            "hash": {"type": "str", "required": True},
        },
    },
    "timeout": {"type": "float", "default": 60.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Read the rows that the parameters ask for, and check the whole log if they say so."""
    wanted = _filter(params)
    limit = params["limit"]
    if not 0 <= limit <= MOST_ROWS:
        raise invalid("limit", limit, f"is not from 0 to {MOST_ROWS}", "Read the log in pages, with after.")
    expected = _expected_head(params)

    def work(session: Session) -> dict[str, Any]:
        result: dict[str, Any] = {"verified": None}
        if params["verify"]:
            verdict = audit.verify(session, expected)
            if verdict.problems:
                raise audit.failure(verdict)
            result = {"verified": True, "rows": verdict.rows}
        records, last = (
            audit.find(session, wanted, limit=limit, after=params["after"]) if limit else ([], None)
        )
        head = audit.head(session)
        return {
            **result,
            "records": [record.as_json() for record in records],
            "next_after": last,
            "head": vars(head) if head else None,
        }

    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        return Outcome(result=database.transaction(work, read_only=True))


def _filter(params: Mapping[str, Any]) -> audit.Filter:
    if params["model"] is not None:
        check_model(params["model"])
    return audit.Filter(
        model=params["model"],
        environment=params["environment"],
        actions=tuple(params["action"] or ()),
        actor=params["actor"],
        since=_moment(params["since"]),
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(
            "since", text, "is no time with a zone", "Give it as RFC 3339, such as 2026-11-02T09:00:00Z."
        )
    return moment


def _expected_head(params: Mapping[str, Any]) -> audit.Head | None:
    given = params["expected_head"]
    if given is None:
        return None
    if not params["verify"]:
        raise invalid("expected_head", given, "is given, but the log is not verified", "Set verify: true.")
    if given["seq"] < 0:
        raise invalid("expected_head", given, "has a negative seq", "Give a head that this module returned.")
    return audit.Head(given["seq"], given["hash"])


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
