# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take the lock of the target, and look again: what was seen before it may be somebody's past."""

from __future__ import annotations

from ....common.deadline import Deadline
from ....registry import operations
from ....registry.lease import Lease
from ..observe import observe
from ..run import Run


def take(run: Run) -> None:
    """Take the lock, waiting for its holder as long as allowed, and keep it renewed."""
    run.say("taking the lock")
    registry = run.used_registry
    wanted = operations.Wanted(
        run.target.model,
        run.target.environment,
        run.kind,
        registry.holder,
        registry.lock_ttl_s,
    )
    database, patience = registry.database, run.waits.total.share(registry.lock_timeout_s).seconds
    database.begin_anew(Deadline(registry.timeout_s + patience))
    started = operations.start(database, wanted, patience, run.tools.progress)
    run.operation = started.ref
    lease = Lease(database.settings, started.ref, run.tools.progress)
    run.tools.obey(run.stack.enter_context(lease))
    if registry.reason:
        with lease.step("note the reason") as detail:
            detail["reason"] = registry.reason
    observe(run)
