# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be carried: the manifest that an environment's row names, as it was recorded there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...cluster.client import JSONObject
from ...common.digests import digest
from ...common.errors import PlatformError, invalid
from ...common.names import check_environment
from ...registry import entries, verifications
from ...registry.connection import Session
from ...registry.entry_fields import Entry
from ...registry.lock import Lock, read_lock
from ...registry.manifests import Content, Manifest, read_content, read_manifests
from ...registry.verifications import Newest
from ...release.rendering import manifest_digest

_NOW = "SELECT clock_timestamp()"
_AGE = "SELECT extract(epoch FROM clock_timestamp() - %s)::float8"
# What served for a while since it was last spoken against; and what serves now, as far as it was looked at: a
# check of another version of the row was one of what ran before.
_SOAK = """
    SELECT greatest(
               (SELECT max(CASE WHEN jsonb_typeof(evidence->'soak'->'duration_s') = 'number'
                                THEN (evidence->'soak'->>'duration_s')::float8 END)
                  FROM manifest_verifications v
                 WHERE v.model_name = %(model)s AND v.deployment_environment = %(environment)s
                   AND v.manifest_digest = %(digest)s AND v.verdict = 'passed' AND v.id > coalesce((
                       SELECT max(id) FROM manifest_verifications
                        WHERE model_name = v.model_name AND deployment_environment = v.deployment_environment
                          AND manifest_digest = v.manifest_digest AND verdict <> 'passed'), 0)),
               (SELECT extract(epoch FROM h.last_checked_at - h.soak_from)::float8
                  FROM health_checks h
                  JOIN model_registry_entries e USING (model_name, deployment_environment)
                 WHERE h.model_name = %(model)s AND h.deployment_environment = %(environment)s
                   AND e.manifest_digest = %(digest)s AND e.deployment_status = 'ready'
                   AND h.row_version = e.row_version))
"""


@dataclass(frozen=True)
class Source:
    """A manifest that runs in an environment, complete."""

    entry: Entry
    manifest: Manifest
    content: Content

    @property
    def model(self) -> str:
        """Full name of the model."""
        return self.entry.model

    @property
    def environment(self) -> str:
        """Environment that it comes from."""
        return self.entry.environment

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest."""
        return self.manifest.digest

    @property
    def objects(self) -> list[JSONObject]:
        """The objects, where they are on record."""
        return list(self.content.objects or ())


@dataclass(frozen=True)
class Standing:
    """What the registry says of the source, and of who is at work, at one moment. Times in seconds."""

    now: datetime  #: by the clock of the database
    entry: Entry | None
    verdict: Newest | None
    soaked_s: float | None
    source_lock: Lock | None
    target_lock: Lock | None


def read_source(session: Session, model: str, environment: str) -> Source:
    """Return what runs in an environment. Raises ``invalid`` where it is not to be had word for word."""
    check_environment(environment)
    entry = entries.read(session, model, environment)
    if entry is None:
        advice = "Deploy it there first, or name another environment (promote_from)."
        raise _refused(environment, f"has no entry of {model}", advice)
    if entry.manifest_digest is None or entry.release_name is None:
        raise _refused(
            environment,
            f"has {model} on record without what it was made of",
            "Deploy it there with vllm_deployment, which records that.",
        )
    digest = entry.manifest_digest
    for manifest in read_manifests(session, model, environment, entry.release_name, digest=digest):
        if manifest.revision == entry.release_revision:
            return _checked(Source(entry, manifest, read_content(session, manifest)))
    raise _refused(
        environment,
        f"has revision {entry.release_revision} ({entry.manifest_digest[:19]}) of {model} not on record",
        "Deploy it there again, which records it.",
    )


def _checked(source: Source) -> Source:
    """Return a source whose record is whole, and what it was when it was written."""
    manifest, content = source.manifest, source.content
    if content.values_redacted:
        raise _refused(
            source.environment,
            f"was given secrets as values of the chart, which are not on record ({manifest})",
            "Give them as references to Secrets (secrets, secretKeyRef), and deploy it there again.",
        )
    changed = []
    if content.values_digest is not None and digest(content.values) != content.values_digest:
        changed.append("values")
    if content.objects is not None and manifest_digest(source.objects) != manifest.digest:
        changed.append("manifest")
    if changed:
        raise _refused(
            source.environment,
            f"has another digest than was recorded of the {' and the '.join(changed)} of {manifest}",
            "Somebody changed the database: deploy it there again.",
        )
    return source


def read_standing(session: Session, source: Source, target: str) -> Standing:
    """Return what the decisive gates are decided from; ``target`` is the environment to promote to."""
    model, environment = source.model, source.environment
    now = session.row(_NOW)
    soak = session.row(_SOAK, {"model": model, "environment": environment, "digest": source.digest})
    if now is None or soak is None:
        raise RuntimeError("a SELECT without FROM returns a row")
    return Standing(
        now[0],
        entries.read(session, model, environment),
        verifications.newest(session, model, environment, source.digest),
        soak[0],
        read_lock(session, model, environment),
        read_lock(session, model, target),
    )


def recorded_for_s(session: Session, source: Source) -> float:
    """Return how long the source's manifest has been on record there, by the clock of the database."""
    row = session.row(_AGE, (source.manifest.recorded_at,))
    if row is None:
        raise RuntimeError("a SELECT without FROM returns a row")
    return float(row[0])


def model_values(source: Source) -> Mapping[str, Any]:
    """Return the values that say which model it is."""
    return source.content.values.get("model") or {}


def _refused(environment: str, problem: str, advice: str) -> PlatformError:
    return invalid("source.environment", environment, problem, advice)
