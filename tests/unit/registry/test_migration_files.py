# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a folder of migrations, and the plan from one version to another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.migration_files import (
    Applied,
    Migration,
    load,
    plan,
)
from tests.support.playbooks import ROOT


def write(folder: Path, **files: str) -> str:
    """Write files whose names have a dot for each double underscore."""
    for name, text in files.items():
        (folder / name.removeprefix("f").replace("__", ".")).write_text(text, encoding="utf-8")
    return str(folder)


def step(version: int, text: str = "SELECT 1") -> Migration:
    """Return a migration."""
    return Migration(version, f"step{version}", Path(f"{version:04d}_step{version}.up.sql"), text, "SELECT 2")


def record(migration: Migration) -> Applied:
    """Return how a database records a migration."""
    return Applied(migration.version, migration.name, migration.checksum)


STEPS = [step(number) for number in range(1, 6)]


def test_the_roles_own_folder_is_valid() -> None:
    migrations = load(str(ROOT / "roles" / "registry" / "files" / "migrations"))
    assert migrations[0].label == "0001_model_registry_entries"
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))


def test_loads_in_order_and_ignores_other_files(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        f0002_b__up__sql="CREATE TABLE b ()",
        f0002_b__down__sql="DROP TABLE b",
        f0001_a__up__sql="CREATE TABLE a ()",
        f0001_a__down__sql="DROP TABLE a",
        README__md="text",
    )
    assert [(one.label, one.up) for one in load(folder)] == [
        ("0001_a", "CREATE TABLE a ()"),
        ("0002_b", "CREATE TABLE b ()"),
    ]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "holds no migrations"),
        ({"f0001_a__up__sql": "SELECT 1"}, "has no .down.sql"),
        ({"f0001_a__down__sql": "SELECT 1"}, "has no .up.sql"),
        ({"f0002_a__up__sql": "SELECT 1", "f0002_a__down__sql": "SELECT 1"}, "has no migration 0001"),
        ({"f0000_a__up__sql": "SELECT 1", "f0000_a__down__sql": "SELECT 1"}, "start at 0"),
        ({"f0001_a__up__sql": "SELECT 1", "f0001_b__down__sql": "SELECT 1"}, "as has a"),
        ({"f1_a__up__sql": "SELECT 1"}, "is not named"),
        ({"f0001_a__sql": "SELECT 1"}, "is not named"),
        ({"f0001_a__up__sql": "-- nothing", "f0001_a__down__sql": "SELECT 1"}, "holds no statement"),
        ({"f0001_a__up__sql": "SELECT 1;\nCOMMIT;", "f0001_a__down__sql": "SELECT 1"}, "holds COMMIT"),
        ({"f0001_a__up__sql": "begin; SELECT 1", "f0001_a__down__sql": "SELECT 1"}, "holds BEGIN"),
        ({"f0001_a__up__sql": "SELECT 1", "f0001_a__down__sql": "ROLLBACK"}, "holds ROLLBACK"),
    ],
)
def test_folder_that_cannot_be_right_is_refused(tmp_path: Path, files: dict[str, str], word: str) -> None:
    with pytest.raises(PlatformError, match=word) as failure:
        load(write(tmp_path, **files))
    assert failure.value.error_class is ErrorClass.INVALID
    assert failure.value.resolution


def test_folder_that_is_not_there_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is not a folder"):
        load(str(tmp_path / "missing"))
    (tmp_path / "0001_a.up.sql").write_bytes(b"\xff\xfe")
    (tmp_path / "0001_a.down.sql").write_text("SELECT 1")
    with pytest.raises(PlatformError, match="cannot be read"):
        load(str(tmp_path))


def test_words_inside_bodies_strings_and_comments_are_no_statements(tmp_path: Path) -> None:
    text = (
        "-- first; COMMIT;\n/* then; ROLLBACK; */ DO $$ BEGIN PERFORM 1; COMMIT; END $$;\n"
        "SELECT 'it''s; COMMIT; x';\nCREATE FUNCTION f() RETURNS int AS $b$ SELECT 1; END; $b$ LANGUAGE sql;"
    )
    assert load(write(tmp_path, f0001_a__up__sql=text, f0001_a__down__sql="SELECT 1"))[0].up == text


def test_line_ends_do_not_change_the_checksum_but_anything_else_does() -> None:
    assert step(1, "a\nb").checksum == step(1, "a\r\nb").checksum
    assert step(1, "a\nb").checksum != step(1, "a\nb\n").checksum


@given(current=st.integers(0, 5), target=st.one_of(st.none(), st.integers(0, 5)))
def test_plan_leads_exactly_from_one_version_to_the_other(current: int, target: int | None) -> None:
    steps = plan(STEPS, [record(one) for one in STEPS[:current]], target)
    version = current
    for taken in steps:
        assert taken.migration.version == (version + 1 if taken.direction == "up" else version)
        assert taken.sql == (taken.migration.up if taken.direction == "up" else taken.migration.down)
        version = taken.version_after
    assert version == (5 if target is None else target)
    assert len(steps) == abs(version - current)


def test_target_that_does_not_exist() -> None:
    for target in (-1, 6):
        with pytest.raises(PlatformError, match="does not exist"):
            plan(STEPS, [], target)


def test_record_that_disagrees_with_the_files() -> None:
    changed = [record(STEPS[0]), Applied(2, "step2", "0" * 64)]
    with pytest.raises(PlatformError, match="0002_step2") as failure:
        plan(STEPS, changed, None)
    assert failure.value.details["applied_checksum"] == "0" * 64
    with pytest.raises(PlatformError, match="lacks number 0001"):
        plan(STEPS, [record(STEPS[1])], None)
    with pytest.raises(PlatformError, match="unknown to this folder"):
        plan(STEPS[:2], [record(one) for one in STEPS[:3]], None)
