# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether somebody else approved exactly this promotion, and the approval still holds.

Whoever runs the promotion may be the one who asked, and may be the one who approved: two people have seen it
either way. Nobody approves what they asked for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....common.identity import same_person
from ....registry.approvals import APPROVED, WITHDRAWN, Approval, Subject, newest_of_each
from ....registry.connection import Session
from .gate import Gate, GateVerdict

NAME = "approval"


def approval_gate(session: Session, subject: Subject, *, other_login: bool = False) -> Gate:
    """Ask the registry. With ``other_login`` request and approval also come from two database users."""
    found = newest_of_each(session, subject.model, subject.environment)
    return judged(subject, found, other_login=other_login)


def judged(subject: Subject, found: Sequence[Approval], *, other_login: bool = False) -> Gate:
    """Return what follows from the newest rows of the target's subjects.

    An approval for something else fails, unless somebody asked for this since: then that is waited for. One
    that has expired says nothing any more.
    """
    own = next((one for one in found if one.subject == subject), None)
    if own is None:
        return _of_another(subject, found)
    if own.kind == WITHDRAWN:
        return _gate(own, GateVerdict.FAIL, f"{subject}: withdrawn by {own.by}: {own.reason}")
    if own.open:
        return _gate(own, GateVerdict.INCONCLUSIVE, f"{subject}: {own.by} asked, and nobody has answered yet")
    if not own.holds:
        return _gate(own, GateVerdict.INCONCLUSIVE, f"{subject}: {own}")
    if same_person(own.by, own.requested_by):
        return _gate(
            own, GateVerdict.FAIL, f"{subject}: {own.by} asked as {own.requested_by} and approved it"
        )
    if other_login and own.login == own.requested_login:
        return _gate(
            own,
            GateVerdict.FAIL,
            f"{subject}: {own.requested_by} and {own.by} were both the database user {own.login}",
        )
    return _gate(own, GateVerdict.PASS, f"{subject}: {own}; asked by {own.requested_by}")


def _of_another(subject: Subject, found: Sequence[Approval]) -> Gate:
    """Say what is approved instead; the one that differs least comes first."""
    others = [one for one in found if one.holds]
    if not others:
        return _gate(None, GateVerdict.INCONCLUSIVE, f"{subject}: nobody has asked for an approval yet")
    other = min(others, key=lambda one: (len(_differences(subject, one)), -(one.id or 0)))
    differs = ", ".join(_differences(subject, other))
    return _gate(other, GateVerdict.FAIL, f"{subject}: {other.by} approved something else ({differs})")


def _differences(subject: Subject, one: Approval) -> list[str]:
    return [
        f"{name} {there[:19]}, not {here[:19]}"
        for name, here, there in (
            ("source", subject.source, one.subject.source),
            ("manifest", subject.manifest_digest, one.subject.manifest_digest),
            ("gates", subject.gate_set_digest, one.subject.gate_set_digest),
        )
        if here != there
    ]


def _gate(one: Approval | None, verdict: GateVerdict, reason: str) -> Gate:
    return Gate(
        NAME,
        verdict,
        reason,
        value=one.kind if one is not None else None,
        limit=APPROVED,
        source="registry",
        since=one.at if one is not None else None,
        until=one.expires_at if one is not None else None,
    )
