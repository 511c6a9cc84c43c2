# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a manifest served well in an environment: rows of ``manifest_verifications``, never changed.

The newest row of a manifest counts. Going back and carrying on ask for it; nobody infers it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..common.redaction import excerpt, redact, redact_free_text
from . import entries
from .connection import Session
from .entry_fields import rfc3339
from .lock import OperationRef, claim

#: Verdicts that stand against a manifest.
REJECTED = ("failed", "revoked")

_REASON_LENGTH = 500
_TEXT_LENGTH = 2000
#: The end of a log may hold anything, and is in the task's result.
_LEFT_OUT = ("log_tail", "events")
_NEWEST = (
    "SELECT verdict, reason, verified_at, verified_by FROM manifest_verifications"
    " WHERE model_name = %s AND deployment_environment = %s AND manifest_digest = %s ORDER BY id DESC LIMIT 1"
)
# Writers of verdicts take turns here where the target has no lock yet; the health checker holds it as well.
_ENTRY = (
    "SELECT FROM model_registry_entries WHERE model_name = %s AND deployment_environment = %s"
    " FOR NO KEY UPDATE"
)
_BEGAN = "SELECT started_at FROM operations WHERE id = %s::uuid"


@dataclass(frozen=True)
class Verdict:
    """What was found out about a manifest: ``passed``, or with a reason ``failed`` or ``revoked``."""

    manifest_digest: str
    verdict: str
    reason: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    #: Of a revision that the operation made. One that was there all the time takes no revocation back, nor
    #: does this one take back what came after the operation began.
    of_a_change: bool = True


@dataclass(frozen=True)
class Newest:
    """The verdict that counts."""

    verdict: str
    reason: str | None
    at: datetime
    by: str

    @property
    def rejected(self) -> bool:
        """Tell whether the manifest did not serve, or is not to be gone back to."""
        return self.verdict in REJECTED

    def __str__(self) -> str:
        what = {"failed": "did not serve", "revoked": "was given up"}.get(self.verdict, self.verdict)
        return f"{what} ({rfc3339(self.at)}, {self.by}){f': {self.reason}' if self.reason else ''}"


def newest(session: Session, model: str, environment: str, manifest_digest: str) -> Newest | None:
    """Return the verdict that counts; None where nobody has verified the manifest there."""
    row = session.row(_NEWEST, (model, environment, manifest_digest))
    return Newest(*row) if row else None


def read(session: Session, model: str, environment: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the last verdicts of a target, newest first, as module registry_info documents them."""
    found = session.rows(
        "SELECT manifest_digest, verdict, reason, evidence, verified_at, verified_by, operation_id::text,"
        "       id = max(id) OVER (PARTITION BY manifest_digest) AS counts"
        "  FROM manifest_verifications WHERE model_name = %s AND deployment_environment = %s"
        " ORDER BY id DESC LIMIT %s",
        (model, environment, limit),
    )
    return [
        {
            "manifest_digest": digest,
            "verdict": verdict,
            "counts": counts,
            "reason": reason,
            "evidence": evidence,
            "verified_at": rfc3339(verified_at),
            "verified_by": verified_by,
            "operation_id": operation,
        }
        for digest, verdict, reason, evidence, verified_at, verified_by, operation, counts in found
    ]


def record(
    session: Session,
    model: str,
    environment: str,
    found: Verdict,
    *,
    operation: OperationRef | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> bool:
    """Record a verdict; tell whether that was, or would be, written.

    That a manifest passes again is no news. Each failure is: its evidence is another one. Secrets in reason
    and evidence are hidden.
    """
    if not dry_run:
        entries.act_for(session, by)
        claim(session, model, environment, operation)
        session.execute(_ENTRY, (model, environment))
    if found.verdict == "passed":
        known = newest(session, model, environment, found.manifest_digest)
        if known is not None and not _is_news(session, known, found, operation):
            return False
    if not dry_run:
        session.execute(
            "INSERT INTO manifest_verifications"
            " (model_name, deployment_environment, manifest_digest, verdict, reason, evidence, operation_id)"
            " VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s::uuid)",
            (
                model,
                environment,
                found.manifest_digest,
                found.verdict,
                _text(found.reason)[:_REASON_LENGTH] if found.reason else None,
                json.dumps(redact(_plain(found.evidence))),
                operation.id if operation else None,
            ),
        )
    return True


def _plain(value: Any) -> Any:
    """Return evidence as JSON that PostgreSQL takes, without ends of logs and secrets in texts."""
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(item) for key, item in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(str(value))


def _text(text: str) -> str:
    return excerpt(redact_free_text(text), _TEXT_LENGTH)


def _is_news(session: Session, known: Newest, found: Verdict, operation: OperationRef | None) -> bool:
    """Tell whether ``passed`` says something after what is known.

    Whoever revoked the manifest while the operation was at work knew more than its completion says.
    """
    if known.verdict != "revoked":
        return known.verdict != "passed"
    if not found.of_a_change or operation is None:
        return False
    began = session.row(_BEGAN, (operation.id,))
    return began is not None and known.at < began[0]
