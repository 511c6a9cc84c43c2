# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install or upgrade the release."""

from __future__ import annotations

from dataclasses import replace

from ..run import Run


def take(run: Run) -> None:
    """Make the revision. From here on, what is on the cluster is what is wanted, or on its way there."""
    plan = run.planned()
    run.renderer.require_same_chart()
    run.tools.permit.check()
    run.touched = run.changed = True
    run.record = run.delivery.upgrade(run.tools, run.change(), run.waits)
    run.released = True
    run.comparison = replace(run.compared(), rendered=plan.wanted, record=run.record, drift=[], additions=())
