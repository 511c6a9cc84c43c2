# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations on a real PostgreSQL: up, down and up, older tables, files that changed, check mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.services.registry.conftest import MIGRATIONS, Run, version_of

Query = Callable[..., list[tuple[Any, ...]]]

LATEST = len(list(MIGRATIONS.glob("*.up.sql")))
# Everything of the schema that a person would notice, in one order.
CATALOGUE = """
SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
  FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'registry_schema_migrations'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'public' AND tablename <> 'registry_schema_migrations'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
   AND conrelid <> coalesce(to_regclass('registry_schema_migrations'), 0)
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', oid::regprocedure::text, '', md5(pg_get_functiondef(oid))
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'comment', relname, coalesce(attname, ''), description
  FROM pg_class AS c JOIN pg_description ON objoid = c.oid AND classoid = 'pg_class'::regclass
  LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum = objsubid AND objsubid > 0
 WHERE relnamespace = 'public'::regnamespace AND relname <> 'registry_schema_migrations'
UNION ALL SELECT 'comment', proname, '', description
  FROM pg_proc AS p JOIN pg_description ON objoid = p.oid AND classoid = 'pg_proc'::regclass
 WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = 'public'
UNION ALL SELECT 'right', relname, grantee::regrole::text,
       string_agg(privilege_type, ' ' ORDER BY privilege_type)
  FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'public'::regnamespace
   AND grantee IN (SELECT oid FROM pg_roles WHERE starts_with(rolname, 'llmops_')) GROUP BY 1, 2, 3
UNION ALL SELECT 'right', attrelid::regclass || '.' || attname, grantee::regrole::text, privilege_type
  FROM pg_attribute, aclexplode(attacl)
 WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
UNION ALL SELECT 'right', proname, coalesce(rolname, 'PUBLIC'), privilege_type
  FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
  LEFT JOIN pg_roles AS r ON r.oid = grantee
 WHERE pronamespace = 'public'::regnamespace AND (grantee = 0 OR starts_with(rolname, 'llmops_'))
ORDER BY 1, 2, 3, 4
"""
OLDER_TABLE = """
CREATE TABLE model_registry_entries (
    id serial PRIMARY KEY,
    model_name varchar(255) NOT NULL,
    model_version text NOT NULL,
    version text NOT NULL DEFAULT 'v1',
    owner text NOT NULL DEFAULT 'platform',
    created_at timestamp NOT NULL DEFAULT now()
);
COMMENT ON COLUMN model_registry_entries.owner IS 'the team';
INSERT INTO model_registry_entries (model_name, model_version, owner)
SELECT 'model-' || n, '1.' || n, 'team-' || n FROM generate_series(1, 50) AS n;
INSERT INTO model_registry_entries (model_name, model_version) VALUES ('model-1', '2.0')
"""
OLDER_ROWS = """
SELECT id, model_name, model_version, version, owner, created_at FROM model_registry_entries
 WHERE model_version <> 'new' ORDER BY id
"""


def test_empty_database_up_down_up(schema: Run, query: Query) -> None:
    first = schema()
    assert (first.changed, first.result["version_before"], first.result["version"]) == (True, 0, LATEST)
    assert [step["version"] for step in first.result["steps"]] == list(range(1, LATEST + 1))
    assert first.diff is not None
    assert first.diff["before"] == ""
    assert first.diff["after"].startswith("0001_model_registry_entries\n")
    made = query(CATALOGUE)

    again = schema()
    assert (again.changed, again.result["steps"], again.result["version"]) == (False, [], LATEST)

    down = schema(target_version=0)
    assert [step["direction"] for step in down.result["steps"]] == ["down"] * LATEST
    assert query(CATALOGUE) == []

    assert schema().changed
    assert query(CATALOGUE) == made
    assert query("SELECT version, checksum <> '' FROM registry_schema_migrations ORDER BY 1") == [
        (version, True) for version in range(1, LATEST + 1)
    ]


def test_every_version_is_reachable_from_every_other(schema: Run, query: Query) -> None:
    seen: dict[int, list[tuple[Any, ...]]] = {}
    for version in [*range(LATEST + 1), *reversed(range(LATEST)), LATEST, 0, LATEST]:
        assert schema(target_version=version).result["version"] == version
        assert query(CATALOGUE) == seen.setdefault(version, query(CATALOGUE))


def test_tables_columns_views_and_functions_are_explained(schema: Run, query: Query) -> None:
    schema()
    undocumented = query(
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped"
        " AND relname <> 'registry_schema_migrations' AND col_description(attrelid, attnum) IS NULL"
    )
    assert undocumented == []
    # The mark tells them from what else a platform has in its schema.
    unmarked = query(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        " AND NOT starts_with(coalesce(obj_description(oid, 'pg_class'), ''), 'llmops.platform: ')"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND NOT starts_with(coalesce(obj_description(oid, 'pg_proc'), ''), 'llmops.platform: ')"
    )
    assert unmarked == []
    assert "one row for each" in query("SELECT obj_description('model_registry_entries'::regclass)")[0][0]


def test_older_table_keeps_columns_and_rows(schema: Run, entry: Run, info: Run, query: Query) -> None:
    query(OLDER_TABLE)
    before, catalogue = query(OLDER_ROWS), query(CATALOGUE)
    assert len(before) == 51

    assert schema().warnings == []
    assert query(OLDER_ROWS) == before
    assert query("SELECT count(*) FROM model_registry_entries WHERE deployment_environment IS NULL") == [
        (51,)
    ]
    assert info().result["entries"] == []
    # They are no targets: whatever happens to them is none of the registry's business.
    query("UPDATE model_registry_entries SET owner = owner || '!' WHERE model_name = 'model-2'")
    query("UPDATE model_registry_entries SET owner = 'team-2' WHERE model_name = 'model-2'")
    query("DELETE FROM model_registry_entries WHERE model_name = 'model-50'")
    before.pop(49)
    assert query("SELECT epoch FROM registry_epoch") == [(0,)]
    assert query("SELECT count(*) FROM model_registry_history") == [(0,)]
    assert query("SELECT count(*) FROM model_states") == [(0,)]

    # A column that cannot be filled is named, with what to do.
    with pytest.raises(PlatformError, match="model_version") as failure:
        entry(model="model-1", status="pending")
    assert failure.value.error_class is ErrorClass.INVALID
    assert "SET DEFAULT" in failure.value.resolution

    query("ALTER TABLE model_registry_entries ALTER COLUMN model_version SET DEFAULT 'new'")
    assert entry(model="model-1", status="pending").changed
    assert entry(model="model-1", environment="production", status="pending").changed
    assert len(info().result["entries"]) == 2
    assert query(OLDER_ROWS) == before
    assert query("SELECT epoch FROM registry_epoch") == [(2,)]
    # The history has the platform's own columns too.
    assert query("SELECT DISTINCT after->>'owner' FROM model_registry_history") == [("platform",)]

    with pytest.raises(PlatformError, match="model_registry_entries"):
        schema(target_version=0)
    schema(target_version=0, allow_data_loss=True)
    assert query(OLDER_ROWS) == before
    query("ALTER TABLE model_registry_entries ALTER COLUMN model_version DROP DEFAULT")
    assert query(CATALOGUE) == catalogue
    assert query("SELECT col_description('model_registry_entries'::regclass, 5)") == [("the team",)]
    schema()
    assert query(OLDER_ROWS) == before


def test_older_table_with_rows_that_break_a_rule_is_kept_and_reported(schema: Run, query: Query) -> None:
    query(
        "CREATE TABLE model_registry_entries"
        " (model_name text, deployment_status text, updated_at timestamptz);"
        "INSERT INTO model_registry_entries VALUES ('a', 'running', NULL), ('b', 'ready', NULL)"
    )
    warnings = schema().warnings
    assert len(warnings) == 1
    assert "model_registry_entries_status_known" in warnings[0]
    assert query("SELECT model_name, deployment_status FROM model_registry_entries ORDER BY 1") == [
        ("a", "running"),
        ("b", "ready"),
    ]
    with pytest.raises(psycopg2.errors.CheckViolation):
        query("INSERT INTO model_registry_entries (model_name, deployment_status) VALUES ('c', 'running')")


def test_older_column_of_another_type_is_named(schema: Run, query: Query) -> None:
    query("CREATE TABLE model_registry_entries (id int, model_name text, updated_by integer)")
    with pytest.raises(PlatformError, match="updated_by has type int4, but text is needed") as failure:
        schema()
    assert failure.value.error_class is ErrorClass.INVALID
    assert "RENAME COLUMN updated_by" in failure.value.message
    assert query("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'") == [(3,)]


@pytest.mark.parametrize("type_", ["boolean", "text"])
def test_older_column_of_another_meaning_is_named(schema: Run, query: Query, type_: str) -> None:
    query(f"CREATE TABLE model_registry_entries (model_name text, desired_state {type_})")
    catalogue = query(CATALOGUE)
    with pytest.raises(PlatformError, match="desired_state is a column of another meaning") as failure:
        schema()
    assert failure.value.error_class is ErrorClass.INVALID
    assert "RENAME COLUMN desired_state" in failure.value.message
    assert query(CATALOGUE) == catalogue


def test_older_tables_of_other_names_stop_the_migration(schema: Run, query: Query) -> None:
    query("CREATE TABLE operations (theirs text); INSERT INTO operations VALUES ('kept')")
    with pytest.raises(PlatformError, match='"operations" already exists') as failure:
        schema()
    assert failure.value.error_class is ErrorClass.INVALID
    assert query("SELECT max(version) FROM registry_schema_migrations") == [(version_of("operations") - 1,)]
    schema(target_version=0)
    assert query("SELECT theirs FROM operations") == [("kept",)]


def test_what_was_disabled_by_its_status_stays_disabled(schema: Run, query: Query) -> None:
    query(
        "CREATE TABLE model_registry_entries"
        " (model_name text, deployment_environment text, deployment_status text);"
        "INSERT INTO model_registry_entries"
        " VALUES ('on', 'staging', 'pending'), ('off', 'staging', 'disabled'), ('old', NULL, 'disabled')"
    )
    assert schema().warnings == []
    assert query("SELECT model_name, desired_state FROM model_registry_entries ORDER BY 1") == [
        ("off", "disabled"),
        ("old", "enabled"),
        ("on", "enabled"),
    ]


def test_older_rows_that_are_disabled_and_break_a_rule_are_kept_and_named(schema: Run, query: Query) -> None:
    query(
        "CREATE TABLE model_registry_entries (model_name text, deployment_environment text,"
        " deployment_status text, deployment_namespace text);"
        "INSERT INTO model_registry_entries VALUES ('a', 'Prod', 'disabled', NULL),"
        " ('b', 'staging', 'disabled', 'ML_Staging'), ('c', 'staging', 'disabled', 'ml-staging'),"
        " (NULL, 'production', 'disabled', NULL), ('d', 'Prod', 'ready', NULL)"
    )
    warnings = [warning for warning in schema().warnings if "has the status disabled" in warning]
    assert len(warnings) == 3
    for target, rule in (
        ("a in Prod", "environment_shape"),
        ("b in staging", "namespace_shape"),
        ("<NULL> in production", "target_complete"),
    ):
        assert any(target in warning and rule in warning for warning in warnings), (target, warnings)
    assert query(
        "SELECT model_name, deployment_status, desired_state FROM model_registry_entries ORDER BY 1"
    ) == [
        ("a", "disabled", "enabled"),
        ("b", "disabled", "enabled"),
        ("c", "disabled", "disabled"),
        ("d", "ready", "enabled"),
        (None, "disabled", "enabled"),
    ]
    # As the warning says.
    query(
        "UPDATE model_registry_entries SET deployment_environment = 'production', desired_state = 'disabled'"
        " WHERE model_name = 'a'"
    )


def test_down_is_refused_only_where_it_would_drop_rows(
    schema: Run, entry: Run, query: Query, copied_migrations: Path
) -> None:
    schema()
    # The rows that the schema itself made are no loss.
    assert schema(target_version=0).changed
    schema()
    entry(status="pending")
    catalogue = query(CATALOGUE)
    for check in (True, False):
        with pytest.raises(PlatformError, match="drops rows of audit_log, model_registry_entries") as failure:
            schema(check=check, target_version=0)
        assert failure.value.error_class is ErrorClass.INVALID
        assert failure.value.details["tables_with_rows"] == [
            "audit_log",
            "model_registry_entries",
            "model_registry_history",
        ]
        assert "allow_data_loss" in failure.value.resolution
    # Not even the steps before the one that is refused.
    assert query(CATALOGUE) == catalogue
    # A column has data where its table has rows.
    later = copied_migrations / f"{LATEST + 1:04d}_later.up.sql"
    later.write_text("ALTER TABLE model_registry_entries ADD COLUMN later text")
    later.with_name(later.name.replace(".up.", ".down.")).write_text(
        "ALTER TABLE model_registry_entries DROP COLUMN later"
    )
    assert schema(migrations_path=str(copied_migrations)).changed
    with pytest.raises(PlatformError) as failure:
        schema(migrations_path=str(copied_migrations), target_version=LATEST)
    assert failure.value.details["tables_with_rows"] == ["model_registry_entries"]
    assert schema(migrations_path=str(copied_migrations), target_version=LATEST, allow_data_loss=True).changed
    # Those drop no table that has rows.
    history = version_of("history")
    assert schema(target_version=history).changed
    with pytest.raises(PlatformError) as failure:
        schema(target_version=history - 1)
    assert failure.value.details["tables_with_rows"] == ["model_registry_history"]
    assert schema(target_version=history - 1, allow_data_loss=True).changed
    with pytest.raises(PlatformError) as failure:
        schema(target_version=0)
    assert failure.value.details["tables_with_rows"] == ["audit_log", "model_registry_entries"]
    assert query("SELECT count(*) FROM model_registry_entries") == [(1,)]
    assert schema(target_version=0, allow_data_loss=True).changed
    assert query("SELECT to_regclass('model_registry_entries')") == [(None,)]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (
            "operations",
            """(id, model_name, deployment_environment, kind, actor, fence)
            VALUES (gen_random_uuid(), 'm', 'staging', 'deploy', 'me', 1)""",
        ),
        (
            "operation_locks",
            "(model_name, deployment_environment, expires_at) VALUES ('m', 'staging', now())",
        ),
        (
            "deployment_manifests",
            """(model_name, deployment_environment, release_name, release_revision, manifest_digest)
            VALUES ('m', 'staging', 'm', 1, repeat('0', 64))""",
        ),
        (
            "manifest_verifications",
            """(model_name, deployment_environment, manifest_digest, verdict)
            VALUES ('m', 'staging', repeat('0', 64), 'passed')""",
        ),
        ("router_instances", "(instance, environment) VALUES ('router-1', 'staging')"),
        ("health_checks", "VALUES ('m', 'staging', 1, 0, 1, now())"),
        ("service_leases", "(name, holder, expires_at) VALUES ('work', 'me', now())"),
    ],
)
def test_down_is_refused_for_rows_of_every_table(schema: Run, query: Query, table: str, row: str) -> None:
    schema()
    query(f"INSERT INTO {table} {row}")
    with pytest.raises(PlatformError, match=table) as failure:
        schema(check=True, target_version=0)
    assert set(failure.value.details["tables_with_rows"]) - {"audit_log"} == {table}


def test_every_migration_that_is_killed_leaves_nothing_and_is_done_again(
    schema: Run, copied_migrations: Path, query: Query
) -> None:
    query(OLDER_TABLE)
    before = query(OLDER_ROWS)
    for version in range(1, LATEST + 1):
        catalogue = query(CATALOGUE)
        (file,) = copied_migrations.glob(f"{version:04d}_*.up.sql")
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{text};\nSELECT pg_terminate_backend(pg_backend_pid());", encoding="utf-8")
        with pytest.raises(PlatformError) as failure:
            schema(migrations_path=str(copied_migrations), timeout=0.4)
        file.write_text(text, encoding="utf-8")
        assert failure.value.error_class in (ErrorClass.INFRASTRUCTURE, ErrorClass.TIMEOUT)
        assert query(CATALOGUE) == catalogue
        assert schema(target_version=version).result["version_before"] == version - 1
    assert query(OLDER_ROWS) == before


def test_check_mode_tells_the_truth_and_writes_nothing(schema: Run, query: Query) -> None:
    checked = schema(check=True)
    assert query("SELECT to_regclass('registry_schema_migrations')") == [(None,)]
    assert query(CATALOGUE) == []
    real = schema()
    for outcome in (checked, real):
        for step in outcome.result["steps"]:
            del step["duration_s"]
    assert (checked.changed, checked.result, checked.diff) == (real.changed, real.result, real.diff)
    assert not schema(check=True).changed
    assert schema(check=True, target_version=0).result["version"] == 0
    assert schema().result["version_before"] == LATEST


def test_check_mode_fails_where_the_real_run_would(schema: Run, query: Query) -> None:
    query(
        "CREATE TABLE model_registry_entries"
        " (model_name text, deployment_environment text, deployment_status text);"
        "INSERT INTO model_registry_entries VALUES ('a', 'staging', 'ready'), ('a', 'staging', 'ready')"
    )
    with pytest.raises(PlatformError, match="23505") as failure:
        schema(check=True)
    assert failure.value.error_class is ErrorClass.INVALID
    assert "Remove the duplicate" in failure.value.resolution


def test_changed_file_is_refused_by_name(schema: Run, copied_migrations: Path, query: Query) -> None:
    schema(migrations_path=str(copied_migrations))
    catalogue = query(CATALOGUE)
    file = next(copied_migrations.glob("0002_*.up.sql"))
    text = file.read_bytes()
    # Another checkout's line ends are no change.
    file.write_bytes(text.replace(b"\n", b"\r\n"))
    assert not schema(migrations_path=str(copied_migrations)).changed
    file.write_bytes(text + b"-- one more line\n")
    for arguments in ({}, {"target_version": 0}, {"check": True}):
        with pytest.raises(PlatformError) as failure:
            schema(migrations_path=str(copied_migrations), **arguments)
        assert failure.value.error_class is ErrorClass.INVALID
        assert str(file) in failure.value.message
    assert query(CATALOGUE) == catalogue


def test_database_newer_than_the_folder_is_refused(schema: Run, copied_migrations: Path) -> None:
    (copied_migrations / f"{LATEST + 1:04d}_later.up.sql").write_text("CREATE TABLE later ()")
    (copied_migrations / f"{LATEST + 1:04d}_later.down.sql").write_text("DROP TABLE later")
    schema(migrations_path=str(copied_migrations))
    with pytest.raises(PlatformError, match=f"{LATEST + 1:04d}_later"):
        schema()


def test_failing_step_leaves_the_ones_before_it(schema: Run, copied_migrations: Path, query: Query) -> None:
    (copied_migrations / f"{LATEST + 1:04d}_broken.up.sql").write_text(
        "CREATE TABLE half (n int);\nINSERT INTO half VALUES (1);\nSELECT 1 / 0"
    )
    (copied_migrations / f"{LATEST + 1:04d}_broken.down.sql").write_text("DROP TABLE half")
    with pytest.raises(PlatformError, match="22012") as failure:
        schema(migrations_path=str(copied_migrations))
    assert failure.value.error_class is ErrorClass.INVALID
    assert len(failure.value.details["steps_done"]) == LATEST
    assert query("SELECT to_regclass('half')") == [(None,)]
    assert query("SELECT max(version) FROM registry_schema_migrations") == [(LATEST,)]


def test_database_role_without_rights(schema: Run, query: Query, database_name: str) -> None:
    role = f"reader_{database_name}"
    query(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
    try:
        with pytest.raises(PlatformError, match="42501") as failure:
            schema(login_user=role, login_password="weak")
        assert failure.value.error_class is ErrorClass.AUTH
    finally:
        query(f"DROP ROLE {role}")


def test_search_path_to_nowhere(schema: Run, dsn: str) -> None:
    with pytest.raises(PlatformError, match="search_path"):
        schema(dsn=f"{dsn} options='-c search_path=nowhere'")


def test_another_schema_of_the_database(schema: Run, entry: Run, dsn: str, query: Query) -> None:
    query("CREATE SCHEMA team")
    elsewhere = f"{dsn} options='-c search_path=team'"
    assert schema(dsn=elsewhere).changed
    assert entry(dsn=elsewhere, status="pending").changed
    assert query("SELECT count(*) FROM team.model_registry_entries") == [(1,)]
    assert schema().changed
    assert query("SELECT count(*) FROM public.model_registry_entries") == [(0,)]
