# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which request somebody means who does not write out all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..common.errors import ErrorClass, PlatformError, invalid
from .approvals import APPROVED, WITHDRAWN, Approval
from .connection import Session

_START = re.compile(r"(sha256:)?[0-9a-f]{8,64}")
_RECORDED = (
    "SELECT DISTINCT replace(manifest_digest, 'sha256:', '') FROM deployment_manifests"
    " WHERE model_name = %s AND deployment_environment = %s"
    " AND starts_with(replace(manifest_digest, 'sha256:', ''), %s) ORDER BY 1"
)


@dataclass(frozen=True)
class Wanted:
    """What is known of a request; what is None may be anything. Digests may be their beginnings."""

    source: str | None = None
    manifest_digest: str | None = None
    gate_set_digest: str | None = None

    def fits(self, one: Approval) -> bool:
        """Tell whether a row may be meant."""
        return (
            self.source in (None, one.subject.source)
            and _begins(one.subject.manifest_digest, self.manifest_digest)
            and _begins(one.subject.gate_set_digest, self.gate_set_digest)
        )


def check_start(field: str, value: str | None) -> None:
    """Raise ``invalid`` for what is no beginning of a digest."""
    if value is not None and not _START.fullmatch(value):
        raise invalid(
            field, value, "is no beginning of a SHA-256", "Give at least 8 hex digits in lower case."
        )


def recorded_digest(session: Session, model: str, source: str, start: str) -> str:
    """Return the digest of the one manifest on record in the source that begins so; raises ``invalid``."""
    found = [row[0] for row in session.rows(_RECORDED, (model, source, start.removeprefix("sha256:")))]
    if len(found) == 1:
        return f"sha256:{found[0]}"
    problem = (
        f"is the beginning of {len(found)} manifests: {', '.join(found)}"
        if found
        else f"is no manifest of {model} that is on record in {source}"
    )
    raise invalid(
        "manifest_digest", start, problem, "See registry_info with manifests: 10 for what is there."
    )


def answered(found: Sequence[Approval], wanted: Wanted, *, approving: bool) -> Approval | None:
    """Return the one that an answer is for, of the newest rows of a target's subjects.

    An approval takes the open request; without one it is for what is approved already. What has expired, or
    was withdrawn, has to be named. None where nothing fits; several that fit are refused.
    """
    fitting = [one for one in found if wanted.fits(one)]
    standing = [one for one in fitting if one.open or one.holds]
    if approving:
        standing = [one for one in standing if one.open] or standing
    if not standing and wanted.manifest_digest is not None:
        standing = [one for one in fitting if one.kind == (APPROVED if approving else WITHDRAWN)]
    if len(standing) > 1:
        raise PlatformError(
            ErrorClass.INVALID,
            "Several promotions may be meant: " + "; ".join(described(one) for one in standing) + ".",
            "Give manifest_digest, and gate_set_digest where that is not enough.",
            {"field": "manifest_digest"},
        )
    return standing[0] if standing else None


def described(one: Approval) -> str:
    """Return one row in one line for people."""
    return f"{one.subject}, gates {one.subject.gate_set_digest[7:19]}, {one}"


def _begins(digest: str, start: str | None) -> bool:
    return start is None or digest.removeprefix("sha256:").startswith(start.removeprefix("sha256:"))
