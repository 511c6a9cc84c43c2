# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a target was deployed as, and how that was judged: what a rollback chooses from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from .connection import Session
from .entry_fields import rfc3339
from .verifications import REJECTED

#: So many revisions of a target are looked at, the newest.
LIMIT = 1000

_FIELDS = (
    "id", "release_name", "revision", "digest", "chart_version", "chart_digest", "image", "image_digest",
    "model_source", "model_revision", "recorded_at", "verdict", "reason", "judged_at", "namespace",
    "source_environment", "source_digest",
)  # fmt: skip
_REVISIONS = """
    SELECT m.id, m.release_name, m.release_revision, m.manifest_digest, m.chart_version, m.chart_digest,
           m.image, m.image_digest, m.model_source, m.model_revision, m.created_at,
           v.verdict, v.reason, v.verified_at, m.objects->0->'metadata'->>'namespace',
           m.source_environment, m.source_digest
      FROM deployment_manifests m
      LEFT JOIN LATERAL (
          SELECT verdict, reason, verified_at FROM manifest_verifications
           WHERE model_name = m.model_name AND deployment_environment = m.deployment_environment
             AND manifest_digest = m.manifest_digest
           ORDER BY id DESC LIMIT 1) v ON true
     WHERE m.model_name = %(model)s AND m.deployment_environment = %(environment)s
       AND m.release_name = coalesce(%(release)s, m.release_name)
       AND m.manifest_digest = coalesce(%(digest)s, m.manifest_digest)
     ORDER BY m.id DESC LIMIT %(limit)s
"""
_CONTENT = "SELECT values, values_redacted, objects, values_digest FROM deployment_manifests WHERE id = %s"


@dataclass(frozen=True)
class Manifest:
    """One revision of a release as it was recorded, and the newest verdict on it, if there is one."""

    id: int
    release_name: str
    revision: int
    digest: str
    chart_version: str | None
    chart_digest: str | None
    image: str | None
    image_digest: str | None
    model_source: str | None
    model_revision: str | None
    recorded_at: datetime
    verdict: str | None = None  #: passed, failed or revoked
    reason: str | None = None  #: why it failed or was revoked
    judged_at: datetime | None = None
    namespace: str | None = None  #: None where that is not on record
    source_environment: str | None = None  #: where it was promoted from, if it was
    source_digest: str | None = None  #: digest of what was proven there

    @property
    def passed(self) -> bool:
        """Tell whether it served well, as far as is known."""
        return self.verdict == "passed"

    @property
    def rejected(self) -> bool:
        """Tell whether it did not, or is not to be gone back to."""
        return self.verdict in REJECTED

    def __str__(self) -> str:
        return named(self.revision, self.digest)


def named(revision: int, digest: str) -> str:
    """Return what people call a revision."""
    return f"revision {revision} ({digest.removeprefix('sha256:')[:12]})"


@dataclass(frozen=True)
class Content:
    """What a manifest was made of. ``objects`` is None where they hold secrets, which are not recorded."""

    values: Mapping[str, Any] = field(default_factory=dict)
    values_redacted: bool = False
    objects: Sequence[dict[str, Any]] | None = None
    values_digest: str | None = None  #: of the values as they were given, secrets included


def read_manifests(
    session: Session,
    model: str,
    environment: str,
    release: str | None = None,
    *,
    digest: str | None = None,
    limit: int = LIMIT,
) -> list[Manifest]:
    """Return the recorded revisions of a target, or of one release or one manifest of it, newest first."""
    values = {
        "model": model,
        "environment": environment,
        "release": release,
        "digest": digest,
        "limit": limit,
    }
    rows = session.rows(_REVISIONS, values)
    return [Manifest(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


def read_content(session: Session, manifest: Manifest) -> Content:
    """Return what a manifest was made of."""
    row = session.row(_CONTENT, (manifest.id,))
    return Content(*row) if row else Content()


def as_json(manifest: Manifest) -> dict[str, Any]:
    """Return a revision as module registry_info documents it."""
    found = asdict(manifest)
    del found["id"], found["namespace"]
    judged = manifest.judged_at
    return found | {
        "recorded_at": rfc3339(manifest.recorded_at),
        "judged_at": rfc3339(judged) if judged is not None else None,
    }
