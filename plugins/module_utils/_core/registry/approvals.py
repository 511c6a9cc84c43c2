# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asked for a promotion and who approved it: rows of ``promotion_approvals``, never changed.

Of each subject the newest row counts. The database refuses an approval by whoever asked for it, and only its
clock says whether one has expired.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from ..common.errors import invalid
from .connection import Session
from .entry_fields import rfc3339

REQUESTED, APPROVED, WITHDRAWN = KINDS = ("requested", "approved", "withdrawn")

#: What together is approved.
SUBJECT = ("model_name", "deployment_environment", "source_environment", "manifest_digest", "gate_set_digest")
_COLUMNS = (
    "a.id, a.model_name, a.deployment_environment, a.source_environment, a.manifest_digest,"
    " a.gate_set_digest, a.kind, r.id, r.actor, r.login, a.actor, a.login, a.reason, a.created_at,"
    " a.expires_at, extract(epoch FROM a.expires_at - clock_timestamp())::float8"
)
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_FROM = "promotion_approvals a JOIN promotion_approvals r ON r.id = coalesce(a.request_id, a.id)"
_NEWEST = (
    f"SELECT {_COLUMNS} FROM {_FROM} WHERE "  # noqa: S608
    + " AND ".join(f"a.{name} = %({name})s" for name in SUBJECT)
    + " ORDER BY a.id DESC LIMIT 1"
)
_NEWEST_OF_EACH = (
    f"SELECT DISTINCT ON (a.source_environment, a.manifest_digest, a.gate_set_digest) {_COLUMNS}"  # noqa: S608
    f" FROM {_FROM} WHERE a.model_name = %s AND a.deployment_environment = %s"
    " ORDER BY a.source_environment, a.manifest_digest, a.gate_set_digest, a.id DESC"
)


@dataclass(frozen=True)
class Subject:
    """What is asked for: to bring one manifest from one environment to another, through these gates."""

    model: str
    environment: str  #: the one to promote to
    source: str
    manifest_digest: str
    gate_set_digest: str

    def __str__(self) -> str:
        return f"{self.model} {self.manifest_digest[7:19]} from {self.source} to {self.environment}"

    @property
    def columns(self) -> dict[str, str]:
        """Return it by the names of the table's columns."""
        return dict(zip(SUBJECT, astuple(self), strict=True))


def subject_of(
    model: str, environment: str, source: str, manifest_digest: str, gate_set_digest: str
) -> Subject:
    """Return the subject; digests may come without ``sha256:``. Raises ``invalid``."""
    if source == environment:
        raise invalid(
            "source_environment", source, "is the target itself", "Name the environment to take from."
        )
    return Subject(
        model,
        environment,
        source,
        _digest("manifest_digest", manifest_digest),
        _digest("gate_set_digest", gate_set_digest),
    )


@dataclass(frozen=True)
class Approval:
    """One row, with who asked. In check mode what only the database knows is None."""

    subject: Subject
    kind: str
    request_id: int | None
    requested_by: str
    requested_login: str | None
    by: str
    login: str | None
    reason: str | None = None
    id: int | None = None
    at: datetime | None = None
    expires_at: datetime | None = None
    left_s: float | None = None  #: by the database's clock when it was read; negative for an expired one

    @property
    def open(self) -> bool:
        """Tell whether it waits for an answer."""
        return self.kind == REQUESTED

    @property
    def holds(self) -> bool:
        """Tell whether it is an approval that has not expired."""
        return self.kind == APPROVED and self.left_s is not None and self.left_s > 0

    def __str__(self) -> str:
        until = f" until {rfc3339(self.expires_at)}" if self.expires_at is not None else ""
        expired = " (expired)" if self.kind == APPROVED and not self.holds else ""
        return f"{self.kind} by {self.by}{until}{expired}{f': {self.reason}' if self.reason else ''}"

    def as_json(self) -> dict[str, Any]:
        """Return it as module registry_approval documents it."""
        about = self.subject
        return {
            "id": self.id,
            "state": self.kind,
            "model": about.model,
            "environment": about.environment,
            "source_environment": about.source,
            "manifest_digest": about.manifest_digest,
            "gate_set_digest": about.gate_set_digest,
            "request_id": self.request_id,
            "requested_by": self.requested_by,
            "requested_login": self.requested_login,
            "actor": self.by,
            "login": self.login,
            "reason": self.reason,
            "created_at": rfc3339(self.at) if self.at is not None else None,
            "expires_at": rfc3339(self.expires_at) if self.expires_at is not None else None,
            "holds": self.holds,
        }


def newest(session: Session, subject: Subject) -> Approval | None:
    """Return the row that counts; None where nobody has asked yet."""
    row = session.row(_NEWEST, subject.columns)
    return _approval(row) if row else None


def newest_of_each(session: Session, model: str, environment: str) -> list[Approval]:
    """Return the row that counts of each subject of a target."""
    return [_approval(row) for row in session.rows(_NEWEST_OF_EACH, (model, environment))]


def read(session: Session, model: str, environment: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the last rows of a target, newest first, as module registry_info documents them."""
    found = session.rows(
        f"SELECT {_COLUMNS}, a.id = max(a.id) OVER"  # noqa: S608
        " (PARTITION BY a.source_environment, a.manifest_digest, a.gate_set_digest)"
        f" FROM {_FROM} WHERE a.model_name = %s AND a.deployment_environment = %s"
        " ORDER BY a.id DESC LIMIT %s",
        (model, environment, limit),
    )
    return [{**_approval(row[:-1]).as_json(), "counts": row[-1]} for row in found]


def _approval(row: tuple[Any, ...]) -> Approval:
    (
        number,
        *subject,
        kind,
        request_id,
        requested_by,
        requested_login,
        by,
        login,
        reason,
        at,
        until,
        left,
    ) = row
    return Approval(
        Subject(*subject),
        kind,
        request_id,
        requested_by,
        requested_login,
        by,
        login,
        reason,
        number,
        at,
        until,
        left,
    )


def _digest(field: str, value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise invalid(
            field, value, "is no SHA-256", "Give 64 hex digits in lower case, with or without sha256:."
        )
    return f"sha256:{value.removeprefix('sha256:')}"
