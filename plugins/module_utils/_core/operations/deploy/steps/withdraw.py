# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a model from clients before it is removed: routers know, and what is in flight may end."""

from __future__ import annotations

from ....common.deadline import Deadline
from ....registry.withdrawal import Removal, cut_off_warning, lost_warning, remove
from ..run import Run


def take(run: Run) -> None:
    """Drain the model and remove its row."""
    run.say("taking it from clients")
    registry, target = run.used_registry, run.target
    wanted = Removal(
        target.model,
        target.environment,
        routers_timeout_s=run.routers().seconds,
        drain_timeout_s=run.waits.total.share(registry.drain_timeout_s).seconds,
        operation=run.operation,
        by=registry.holder.name,
    )
    patience = registry.timeout_s + wanted.routers_timeout_s + wanted.drain_timeout_s
    registry.database.begin_anew(Deadline(patience))
    with run.tools.permit.step("withdraw"):
        removed = remove(registry.database, wanted, run.tools.progress)
    run.row = None
    run.changed |= removed.change.changed
    told = (
        lost_warning(removed.routers),
        cut_off_warning(target.model, removed.drain, wanted.drain_timeout_s),
    )
    run.warnings += [warning for warning in told if warning]
