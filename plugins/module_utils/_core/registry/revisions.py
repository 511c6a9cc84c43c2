# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record what each revision of a target was made of: rows of ``deployment_manifests``, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.digests import digest
from ..common.errors import invalid
from ..common.redaction import redact
from . import entries
from .connection import Session
from .entry_fields import Entry
from .lock import OperationRef, claim
from .manifests import Manifest

# What the entry says too, by the same name.
_FROM_ENTRY = (
    "release_name",
    "release_revision",
    "manifest_digest",
    "chart_version",
    "image",
    "model_source",
    "model_revision",
)
#: Revisions count from 1 again after an uninstall: the same one may be there twice, with others between.
_NEWEST = (
    "SELECT id, release_revision, manifest_digest FROM deployment_manifests"
    " WHERE model_name = %(model)s AND deployment_environment = %(environment)s"
    " AND release_name = %(release_name)s ORDER BY id DESC LIMIT 1"
)


@dataclass(frozen=True)
class Origin:
    """The environment that a manifest was promoted from, and the digest of what was proven there."""

    environment: str
    manifest_digest: str

    @classmethod
    def of(cls, manifest: Manifest) -> Origin | None:
        """Return where a recorded manifest was promoted from; None where it was not."""
        if manifest.source_environment is None or manifest.source_digest is None:
            return None
        return cls(manifest.source_environment, manifest.source_digest)


@dataclass(frozen=True)
class Recorded:
    """A row of ``deployment_manifests``; ``id`` is None where check mode would write it."""

    id: int | None
    written: bool


def record(
    session: Session,
    entry: Entry,
    manifest: Mapping[str, Any],
    *,
    operation: OperationRef | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Recorded:
    """Record the revision that an entry describes, unless it is the one that was recorded last.

    ``manifest`` adds what the entry does not say: ``chart_digest``, ``image_digest``, ``values``,
    ``objects`` and ``origin``. Secrets in the values are hidden before they are written; ``values_digest`` is
    that of the values as they were. Objects that hold secrets are not written at all: nobody could go back to
    a part. Who has hidden them already says so with ``values_digest`` and ``values_redacted``.
    """
    for field in ("release_name", "release_revision", "manifest_digest"):
        if getattr(entry, field) is None:
            raise invalid(
                field,
                None,
                "is not known, but a manifest is to be recorded",
                "Set it along with the manifest.",
            )
    row = _row(entry, manifest)
    newest = session.row(_NEWEST, row)
    known = newest is not None and newest[1:] == (row["release_revision"], row["manifest_digest"])
    if newest is not None and known:
        return Recorded(newest[0], written=False)
    if dry_run:
        return Recorded(None, written=True)
    entries.act_for(session, by)
    claim(session, entry.model, entry.environment, operation)
    written = session.row(
        "INSERT INTO deployment_manifests"
        " (model_name, deployment_environment, release_name, release_revision, manifest_digest,"
        "  chart_version, chart_digest, image, image_digest, model_source, model_revision, values,"
        "  values_digest, values_redacted, objects, source_environment, source_digest, operation_id)"
        " VALUES (%(model)s, %(environment)s, %(release_name)s, %(release_revision)s, %(manifest_digest)s,"
        "  %(chart_version)s, %(chart_digest)s, %(image)s, %(image_digest)s, %(model_source)s,"
        "  %(model_revision)s, %(values)s::jsonb, %(values_digest)s, %(values_redacted)s,"
        "  %(objects)s::json, %(source_environment)s, %(source_digest)s, %(operation)s::uuid)"
        " RETURNING id",
        {**row, "operation": operation.id if operation else None},
    )
    return Recorded(written[0] if written else None, written=written is not None)


def _row(entry: Entry, manifest: Mapping[str, Any]) -> dict[str, Any]:
    values = manifest.get("values") or {}
    shown = redact(values)
    objects = manifest.get("objects")
    origin: Origin | None = manifest.get("origin")
    return {
        "model": entry.model,
        "environment": entry.environment,
        **{field: getattr(entry, field) for field in _FROM_ENTRY},
        "chart_digest": manifest.get("chart_digest"),
        "image_digest": manifest.get("image_digest"),
        "values": json.dumps(shown),
        "values_digest": manifest.get("values_digest") or digest(values),
        "values_redacted": bool(manifest.get("values_redacted")) or shown != values,
        "objects": json.dumps(objects) if objects and redact(objects) == objects else None,
        "source_environment": origin.environment if origin is not None else None,
        "source_digest": origin.manifest_digest if origin is not None else None,
    }
