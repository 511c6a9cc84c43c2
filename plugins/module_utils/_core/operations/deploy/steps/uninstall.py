# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove the release."""

from __future__ import annotations

from ..run import Run


def take(run: Run) -> None:
    """Uninstall the release and see its pods go."""
    run.changed = True
    run.delivery.uninstall(run.tools, run.target, run.waits)
    run.record = None
