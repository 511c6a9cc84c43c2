# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give the verified model to clients."""

from __future__ import annotations

from ....common.errors import ErrorClass, PlatformError
from ..publication import publication, tell
from ..run import Run


def take(run: Run) -> None:
    """Write the row and the manifest of the revision; nothing where they say so already."""
    run.say("registering what was verified")
    try:
        run.published = tell(run, publication(run), run.routers())
    except PlatformError as error:
        waits = run.operation is None and run.used_registry.lock_timeout_s > 0
        if error.error_class is not ErrorClass.LOCKED or not waits:
            raise
        # Somebody else is at work meanwhile, and this run may wait for its turn.
        run.needs_lock = True
        return
    run.changed |= run.published.changed
