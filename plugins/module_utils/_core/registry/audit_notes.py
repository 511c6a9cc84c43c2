# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what no trigger sees into the audit log: decisions of people, which leave no row of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..common.redaction import redact
from .connection import Session
from .entries import act_for


def note(
    session: Session,
    action: str,
    target: tuple[str, str],
    detail: Mapping[str, Any],
    *,
    operation_id: str | None = None,
    by: str | None = None,
) -> None:
    """Append a row about a target, a model and an environment; ``action`` is of the form noun.verb."""
    act_for(session, by)
    session.execute(
        "SELECT audit_append(%s, %s, %s, %s::uuid, %s::jsonb)",
        (action, *target, operation_id, json.dumps(redact(dict(detail)))),
    )
