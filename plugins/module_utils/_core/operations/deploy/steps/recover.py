# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put right what a run that died left half done of the release."""

from __future__ import annotations

from ..observe import observe
from ..run import Run


def take(run: Run) -> None:
    """Wait until nobody works on the release any more, and recover what was left."""
    run.touched = True
    run.delivery.recover(run.tools, run.target, run.waits, chart_name=run.request.chart_name)
    observe(run)
