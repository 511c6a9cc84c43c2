# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry's rows of one environment at one epoch, and the form in which Redis holds them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson


class Version(NamedTuple):
    """Which registry, and how many changes it has seen. Epochs of two registries cannot be compared."""

    registry_id: str
    epoch: int


class Entry(NamedTuple):
    """What the registry says about one model."""

    model: str
    status: str
    desired_state: str
    endpoint: str | None
    row_version: int

    @property
    def is_routable(self) -> bool:
        """Say whether requests may go there: ready, and not withdrawn by an operator."""
        return self.status == "ready" and self.desired_state == "enabled" and self.endpoint is not None


@dataclass(frozen=True)
class Snapshot:
    """All models of an environment, by name."""

    version: Version
    entries: Mapping[str, Entry]
    #: When the registry reached this epoch, as it says; one that lost changes in a failover reaches it twice.
    changed_at: str


class BadSnapshotError(ValueError):
    """What was found is no snapshot."""


def dump(snapshot: Snapshot) -> bytes:
    """Return the entries as JSON; the version is kept beside them."""
    return orjson.dumps([tuple(entry) for entry in snapshot.entries.values()])


def load(version: Version, body: bytes | str, changed_at: str) -> Snapshot:
    """Return the snapshot that ``dump`` or the registry wrote.

    :raises BadSnapshotError: where the body is anything else.
    """
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadSnapshotError(f"no JSON: {error}") from None
    if not isinstance(rows, list):
        raise BadSnapshotError("no list of entries")
    entries = [_entry(row) for row in rows]
    return Snapshot(version, {entry.model: entry for entry in entries}, changed_at)


def version_of(registry_id: Any, epoch: Any) -> Version:
    """Return a version from what a store holds.

    :raises BadSnapshotError: where it holds something else.
    """
    try:
        return Version(str(uuid.UUID(str(registry_id))), int(epoch))
    except (ValueError, TypeError) as error:
        raise BadSnapshotError(f"no version: {error}") from None


def _entry(row: Any) -> Entry:
    if not isinstance(row, list) or len(row) != len(Entry._fields):
        raise BadSnapshotError("an entry has not five members")
    model, status, desired_state, endpoint, row_version = row
    if not (
        isinstance(model, str)
        and isinstance(status, str)
        and isinstance(desired_state, str)
        and (endpoint is None or isinstance(endpoint, str))
        and isinstance(row_version, int)
    ):
        raise BadSnapshotError("a member of an entry has the wrong type")
    return Entry(model, status, desired_state, endpoint, row_version)
