# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give the verified model to clients."""

from __future__ import annotations

from ..publication import publication, tell
from ..run import Run


def take(run: Run) -> None:
    """Write the row and the manifest of the revision; nothing where they say so already."""
    run.say("registering what was verified")
    run.published = tell(run, publication(run), run.routers())
    run.changed |= run.published.changed
