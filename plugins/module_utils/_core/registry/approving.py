# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask for a promotion, approve it, or take that back; see ``approvals.py`` for what is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.actor import actor, is_nobody
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.identity import check_identity, same_person
from ..common.redaction import excerpt, redact_free_text
from . import entries
from .approvals import APPROVED, REQUESTED, SUBJECT, WITHDRAWN, Approval, Subject, newest
from .connection import Session

#: An approval lasts no longer than that.
MOST_S = 2_592_000.0

_REASON_LENGTH = 500
_NOTHING: dict[str, Any] = {"request_id": None, "reason": None, "expires_in_s": None}
_INSERT = (
    f"INSERT INTO promotion_approvals ({', '.join(SUBJECT)}, kind, request_id, reason, expires_at)"  # noqa: S608
    f" VALUES ({', '.join(f'%({name})s' for name in SUBJECT)}, %(kind)s, %(request_id)s, %(reason)s,"
    " statement_timestamp() + make_interval(secs => %(expires_in_s)s))"
)


@dataclass(frozen=True)
class Change:
    """The newest row of a subject before and after."""

    before: Approval | None
    after: Approval

    @property
    def changed(self) -> bool:
        """Tell whether a row was, or would be, written."""
        return self.before is not self.after


def request(
    session: Session,
    subject: Subject,
    *,
    reason: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Ask for an approval, also after a withdrawal or an expired one; not while one is asked for or holds."""
    found = _look(session, subject, by, dry_run)
    if found is not None and (found.open or found.holds):
        return Change(found, found)
    return _write(session, subject, found, {"kind": REQUESTED, "reason": reason}, by, dry_run)


def approve(
    session: Session,
    subject: Subject,
    *,
    expires_in_s: float,
    reason: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Approve what was asked for. An approval that holds for half of the time yet is left as it is.

    Raises ``invalid`` where nobody asks, and for whoever asked.
    """
    found = _look(session, subject, by, dry_run)
    if found is None or found.kind == WITHDRAWN:
        raise not_open(str(subject), str(found) if found else None)
    who = by or actor()
    if same_person(who, found.requested_by):
        raise invalid(
            "actor",
            who,
            f"asked for this promotion, as {found.requested_by!r}, and so may not approve it",
            "Somebody else has to approve it.",
        )
    if found.holds and (found.left_s or 0) >= expires_in_s / 2:
        return Change(found, found)
    values = {
        "kind": APPROVED,
        "request_id": found.request_id,
        "reason": reason,
        "expires_in_s": expires_in_s,
    }
    return _write(session, subject, found, values, by, dry_run)


def withdraw(
    session: Session, subject: Subject, *, reason: str, by: str | None = None, dry_run: bool = False
) -> Change:
    """Refuse what was asked for, or take an approval back; whoever may write the target may."""
    found = _look(session, subject, by, dry_run)
    if found is None:
        raise not_open(str(subject), None)
    if found.kind == WITHDRAWN:
        return Change(found, found)
    values = {"kind": WITHDRAWN, "request_id": found.request_id, "reason": reason}
    return _write(session, subject, found, values, by, dry_run)


def not_open(what: str, state: str | None) -> PlatformError:
    """Build the error where there is no request to answer."""
    return PlatformError(
        ErrorClass.INVALID,
        f"Nobody asks to promote {what}" + (f": it was {state}." if state else "."),
        "Run the promotion first, which asks by itself, or ask with registry_approval, state=requested.",
    )


def _look(session: Session, subject: Subject, by: str | None, dry_run: bool) -> Approval | None:
    """Return the row that counts; nobody adds another one until the commit."""
    _check_person(by or actor())
    if not dry_run:
        entries.act_for(session, by)
        session.execute("SELECT promotion_approvals_take_turns(%s, %s)", (subject.model, subject.environment))
    return newest(session, subject)


def _check_person(who: str) -> None:
    """Refuse who is nobody for sure, and say why where AWX told no user."""
    if is_nobody(who):
        raise invalid(
            "actor",
            who,
            "is nobody: this job of AWX has no user (awx_user_name), as one that a schedule started",
            "Approvals are between people: whoever asks or approves launches the job.",
        )
    check_identity(who)


def _write(
    session: Session,
    subject: Subject,
    before: Approval | None,
    values: Mapping[str, Any],
    by: str | None,
    dry_run: bool,
) -> Change:
    given = {**_NOTHING, **values}
    if given["reason"]:
        given["reason"] = excerpt(redact_free_text(given["reason"]), _REASON_LENGTH)[:_REASON_LENGTH]
    if not dry_run:
        session.execute(_INSERT, {**subject.columns, **given})
        after = newest(session, subject)
        if after is not None:
            return Change(before, after)
    who = by or actor()
    asked = before if given["request_id"] is not None else None
    would_be = Approval(
        subject,
        given["kind"],
        given["request_id"],
        requested_by=asked.requested_by if asked else who,
        requested_login=asked.requested_login if asked else None,
        by=who,
        login=None,
        reason=given["reason"],
        left_s=given["expires_in_s"],
    )
    return Change(before, would_be)
