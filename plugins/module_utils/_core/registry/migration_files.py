# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migration files and the plan that leads from what a database has to what is wanted. No database here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..common.errors import ErrorClass, PlatformError, invalid

_FILE_NAME = re.compile(r"(?P<version>[0-9]{4})_(?P<name>[a-z0-9_]+)\.(?P<direction>up|down)\.sql")
# What must not be looked into when statements are told apart: comments, strings, dollar-quoted bodies.
_OPAQUE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|(?P<tag>\$\w*\$).*?(?P=tag)", re.DOTALL)
_TRANSACTION_WORDS = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "prepare"})


@dataclass(frozen=True)
class Migration:
    """One step of the schema, with the text of both directions."""

    version: int
    name: str
    up_file: Path
    up: str
    down: str

    @property
    def label(self) -> str:
        """Return the name that people know it by, such as ``0001_model_registry_entries``."""
        return f"{self.version:04d}_{self.name}"

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the up file, the same whatever the line ends of the checkout."""
        return hashlib.sha256(self.up.replace("\r\n", "\n").encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """A migration as the database recorded it."""

    version: int
    name: str
    checksum: str


@dataclass(frozen=True)
class Step:
    """A migration and the direction to run it in."""

    direction: Literal["up", "down"]
    migration: Migration

    @property
    def sql(self) -> str:
        """Return the text to run."""
        return self.migration.up if self.direction == "up" else self.migration.down

    @property
    def version_after(self) -> int:
        """Return the version that the schema has after this step."""
        return self.migration.version if self.direction == "up" else self.migration.version - 1


def load(folder: str) -> list[Migration]:
    """Read a folder of ``NNNN_name.up.sql`` and ``NNNN_name.down.sql``, in order from 0001 without gaps."""
    path = Path(folder)
    advice = "Give the folder roles/registry/files/migrations of the collection."
    if not path.is_dir():
        raise invalid("migrations_path", folder, "is not a folder", advice)
    found: dict[int, dict[str, Path]] = {}
    names: dict[int, str] = {}
    for file in sorted(path.iterdir()):
        if file.suffix != ".sql":
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if not match:
            raise invalid(
                "migrations_path", str(file), "is not named NNNN_name.up.sql or .down.sql", "Rename it."
            )
        version = int(match["version"])
        if names.setdefault(version, match["name"]) != match["name"]:
            raise invalid(
                "migrations_path",
                str(file),
                f"has number {version}, as has {names[version]}",
                "Renumber one.",
            )
        found.setdefault(version, {})[match["direction"]] = file
    if not found:
        raise invalid("migrations_path", folder, "holds no migrations", advice)
    missing = set(range(1, max(found) + 1)) - set(found)
    if missing or 0 in found:
        gap = "0001" if 0 in found else f"{min(missing):04d}"
        raise invalid(
            "migrations_path", folder, f"has no migration {gap}, or numbers that start at 0", advice
        )
    return [_migration(version, names[version], found[version]) for version in sorted(found)]


def _migration(version: int, name: str, files: dict[str, Path]) -> Migration:
    for direction in ("up", "down"):
        if direction not in files:
            there = next(iter(files.values()))
            raise invalid(
                "migrations_path", str(there), f"has no .{direction}.sql beside it", "Each step needs both."
            )
    texts = {direction: _read(file) for direction, file in files.items()}
    return Migration(version, name, files["up"], texts["up"], texts["down"])


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid("migrations_path", str(file), f"cannot be read: {error}", "Correct the file.") from None
    statements = [part.split() for part in _OPAQUE.sub(" ", text).split(";")]
    for words in statements:
        if words and words[0].lower() in _TRANSACTION_WORDS:
            raise invalid(
                "migrations_path",
                str(file),
                f"holds {words[0].upper()}, but each migration runs inside one transaction",
                "Remove the statement: registry_schema begins and commits.",
            )
    if not any(statements):
        raise invalid(
            "migrations_path", str(file), "holds no statement", "Write it, or remove the migration."
        )
    return text


def plan(migrations: Sequence[Migration], applied: Sequence[Applied], target: int | None) -> list[Step]:
    """Return the steps that lead to ``target`` (None: the latest). Files and record must agree."""
    latest = migrations[-1].version
    current = len(applied)
    for position, record in enumerate(sorted(applied, key=lambda item: item.version), start=1):
        if record.version > latest:
            raise PlatformError(
                ErrorClass.INVALID,
                f"The database has migration {record.version:04d}_{record.name}, unknown to this folder; "
                f"its latest is {migrations[-1].label}.",
                "Use the collection's version that applied it, or a later one.",
                {"version": record.version},
            )
        if record.version != position:
            raise PlatformError(
                ErrorClass.INVALID,
                f"The database's record of migrations lacks number {position:04d}.",
                "Somebody changed the table registry_schema_migrations: restore it from a backup.",
            )
        migration = migrations[position - 1]
        if record.checksum != migration.checksum:
            raise PlatformError(
                ErrorClass.INVALID,
                f"{migration.up_file} was changed after it had been applied.",
                "Restore the file as it was, and put the change into a new migration.",
                {
                    "file": str(migration.up_file),
                    "applied_checksum": record.checksum,
                    "checksum": migration.checksum,
                },
            )
    wanted = latest if target is None else target
    if not 0 <= wanted <= latest:
        raise invalid("target_version", target, "does not exist", f"Give 0 (nothing) to {latest}.")
    if wanted >= current:
        return [Step("up", migration) for migration in migrations[current:wanted]]
    return [Step("down", migration) for migration in reversed(migrations[wanted:current])]
