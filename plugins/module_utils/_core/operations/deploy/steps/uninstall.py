# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove the Helm release."""

from __future__ import annotations

from ....release import removal
from ..run import Run


def take(run: Run) -> None:
    """Uninstall the release and see its pods go."""
    run.changed = True
    removal.uninstall(run.tools, run.target.name, run.target.namespace, run.waits)
    run.record = None
