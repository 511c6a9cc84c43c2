# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs this: for records that people read."""

from __future__ import annotations

import getpass
import os
import platform


def actor() -> str:
    """Return who runs this, as ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = "unknown"
    return f"{user}@{platform.node()}"


def awx_job() -> str | None:
    """Return the number of the AWX job that this is a part of, if any."""
    return os.environ.get("AWX_JOB_ID") or os.environ.get("TOWER_JOB_ID") or None
