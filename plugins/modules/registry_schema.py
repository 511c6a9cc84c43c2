#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_schema
short_description: Create and migrate the schema of the model registry
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Applies plain SQL migrations to a PostgreSQL database, each in a transaction of its own, so that a run
    that is killed leaves no step half done.
  - Runs that start at the same time take turns. What another one did meanwhile is not done again.
  - Fails if a migration file was changed after it had been applied, or if the database has migrations that
    the folder does not know.
  - A table C(model_registry_entries) that is there already keeps its columns and rows and gets the missing
    columns.
  - In check mode all steps are tried in one transaction that is rolled back, so that it fails where the real
    run would. For that moment it holds the same locks.
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
  migrations_path:
    description:
      - Folder of files named C(NNNN_name.up.sql) and C(NNNN_name.down.sql), numbered from 0001 without gaps.
      - The role P(llmops.platform.registry#role) passes its own.
    type: path
    required: true
  target_version:
    description:
      - Number of the migration to go up or down to. V(0) removes all.
      - The latest one if left out.
    type: int
  allow_data_loss:
    description: Go down even if that drops tables or columns of tables that have rows.
    type: bool
    default: false
  environments:
    description:
      - Environments that get groups of database users of their own, such as C(llmops_deployer_staging), whose
        members may write rows of this environment and of no other.
      - What is missing is made. No group is ever removed, nor is one whose environment is not listed.
      - Whoever may not make roles gets a warning that says what an administrator has to run.
    type: list
    elements: str
    default: []
  allow_create_by_others:
    description:
      - Go on where others than the owner may create objects in the schema, as everybody may in the schema
        C(public) that PostgreSQL 14 and older make. Whoever may can give themselves all rights to the
        registry.
      - It fails otherwise, before anything is written, and says which C(REVOKE) helps.
    type: bool
    default: false
  timeout:
    description: Seconds for everything, including the wait for another run and for a database that restarts.
    type: float
    default: 120.0
seealso:
  - module: llmops.platform.registry_entry
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Create or update the schema
  llmops.platform.registry_schema:
    dsn: "{{ registry_dsn }}"
    migrations_path: "{{ role_path }}/files/migrations"

- name: Let each environment have database users of its own
  llmops.platform.registry_schema:
    dsn: "{{ registry_dsn }}"
    migrations_path: "{{ role_path }}/files/migrations"
    environments: [staging, prod-eu]

- name: See what an update would do
  llmops.platform.registry_schema:
    dsn: "{{ registry_dsn }}"
    migrations_path: /srv/llmops/migrations
  check_mode: true
  diff: true

- name: Remove everything, rows included
  llmops.platform.registry_schema:
    dsn: "{{ registry_dsn }}"
    migrations_path: "{{ role_path }}/files/migrations"
    target_version: 0
    allow_data_loss: true
"""

RETURN = r"""
version_before:
  description: Version of the schema before the run, V(0) for an empty database.
  returned: success
  type: int
  sample: 0
version:
  description: Version of the schema after the run.
  returned: success
  type: int
  sample: 3
latest_version:
  description: The latest version that the folder has.
  returned: success
  type: int
  sample: 3
steps:
  description: What was done, in check mode what would be done, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    direction:
      description: V(up) or V(down).
      type: str
    version:
      description: Number of the migration.
      type: int
    name:
      description: Name of the migration.
      type: str
    duration_s:
      description: How long it took.
      type: float
  sample:
    - direction: up
      version: 1
      name: model_registry_entries
      duration_s: 0.021
groups_made:
  description: Groups of database users that were made, in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [llmops_deployer_staging, llmops_router_staging, llmops_health_checker_staging]
may_create:
  description: Who else may create objects in the schema.
  returned: when the run was refused because of that
  type: list
  elements: str
  sample: [PUBLIC]
steps_done:
  description: Migrations that were run before the one that failed; they stay.
  returned: when a step failed
  type: list
  elements: str
  sample: [0001_model_registry_entries]
tables_with_rows:
  description: Tables that kept the run from going down.
  returned: when going down was refused
  type: list
  elements: str
  sample: [model_registry_entries]
error_class:
  description:
    - Kind of failure, for conditions.
    - V(locked) means that another run or transaction was in the way until O(timeout).
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
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    creators,
    environment_groups,
    migrations,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import load
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import (
        Migration,
    )

ARGUMENT_SPEC: dict[str, Any] = {
    **POSTGRES_SPEC,
    "migrations_path": {"type": "path", "required": True},
    "target_version": {"type": "int"},
    "allow_data_loss": {"type": "bool", "default": False},
    "environments": {"type": "list", "elements": "str", "default": []},
    "allow_create_by_others": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 120.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Migrate the database that the parameters name."""
    files = load(params["migrations_path"])
    wanted = environment_groups.groups(params["environments"])
    with Database(settings(params), Deadline(params["timeout"]), context.progress) as database:
        warnings = creators.refuse(database, accept=params["allow_create_by_others"])
        report = migrations.migrate(
            database,
            files,
            params["target_version"],
            allow_data_loss=params["allow_data_loss"],
            dry_run=context.check_mode,
            progress=context.progress,
        )
        # An older schema has nothing that they could have rights to.
        if report.version_after < files[-1].version:
            wanted = []
        groups = environment_groups.bring(database, wanted, dry_run=context.check_mode)
    return Outcome(
        changed=bool(report.done) or groups.changed,
        result={
            "version_before": report.version_before,
            "version": report.version_after,
            "latest_version": files[-1].version,
            "steps": [
                {
                    "direction": done.step.direction,
                    "version": done.step.migration.version,
                    "name": done.step.migration.name,
                    "duration_s": done.duration_s,
                }
                for done in report.done
            ],
            "groups_made": groups.made,
        },
        diff={
            "before_header": "registry schema",
            "after_header": "registry schema",
            "before": _listing(files, report.version_before, groups.before),
            "after": _listing(files, report.version_after, [*groups.before, *groups.made]),
        },
        warnings=[*warnings, *report.warnings, *groups.warnings],
    )


def _listing(files: list[Migration], version: int, groups: list[str]) -> str:
    """Return the names of the applied migrations and of the environments' groups, one a line."""
    names = [migration.label for migration in files[:version]] + [f"group {name}" for name in sorted(groups)]
    return "".join(f"{name}\n" for name in names)


CONTRACT = ModuleContract(argument_spec=ARGUMENT_SPEC, run=run)


def main() -> None:
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
