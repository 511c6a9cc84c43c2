# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until there is room for the pods that the change makes."""

from __future__ import annotations

from ....release.capacity import wait_for_capacity
from ..run import Run


def take(run: Run) -> None:
    """Wait for room. Nothing of the release was changed yet."""
    wait_for_capacity(run.tools, run.planned(), run.waits, run.assess)
    run.room = True
