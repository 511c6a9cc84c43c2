# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs this: for records that people read.

In a job of AWX the user is known to the playbook only, by a variable. The action plugins hand it to a module
as environment variables, which hold in the controller's process, for ``async`` and on another machine.

None of it is a proof: whoever starts a playbook can say anything.
"""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from typing import Any

from .identity import NOBODY
from .redaction import excerpt, redact_free_text

ACTOR, JOB = "LLMOPS_ACTOR", "LLMOPS_JOB"

_REASON_LENGTH = 300

#: AWX names its variables twice, and each of its settings may leave one of them out.
_PREFIXES = ("awx", "tower")


def actor() -> str:
    """Return who runs this: the user of the AWX job where there is one, otherwise ``user@host``.

    In a job without a user that is nobody: the container's user is the same for everybody's jobs.
    """
    told = os.environ.get(ACTOR, "").strip()
    if told:
        return told
    if awx_job():
        return f"{NOBODY}@{platform.node()}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = NOBODY
    return f"{user}@{platform.node()}"


def is_nobody(who: str) -> bool:
    """Tell whether an actor is what a job of AWX without a user has on record."""
    return awx_job() is not None and who.partition("@")[0] == NOBODY


def awx_job() -> str | None:
    """Return the address of the AWX job that this is a part of, or its number; None outside of AWX."""
    return os.environ.get(JOB, "").strip() or None


def reason_for_the_record(reason: str | None) -> str:
    """Return why somebody does this, in one short line without secrets."""
    return excerpt(redact_free_text(" ".join((reason or "").split())), _REASON_LENGTH)


def awx_environment(variables: Mapping[str, Any], host: str) -> dict[str, str]:
    """Return what tells a module of the AWX job that ``variables`` describe; nothing outside of AWX.

    ``host`` is the address of AWX, which a job finds in ``AWX_HOST``. A job that a schedule launched has no
    user.
    """
    number, user = _first(variables, "job_id"), _first(variables, "user_name")
    told = {}
    if number:
        told[JOB] = f"{host.strip().rstrip('/')}/#/jobs/playbook/{number}" if host.strip() else number
    if user:
        told[ACTOR] = user
    return told


def _first(variables: Mapping[str, Any], name: str) -> str:
    found = (variables.get(f"{prefix}_{name}") for prefix in _PREFIXES)
    return next((text for value in found if (text := str(value or "").strip())), "")
