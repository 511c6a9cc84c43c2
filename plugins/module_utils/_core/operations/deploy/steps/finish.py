# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Note how the operation ended, and give its lock back."""

from __future__ import annotations

from typing import Any

from ....common.errors import PlatformError
from ....registry import operations
from ..run import Run


def take(run: Run) -> None:
    """End the operation well."""
    end_well(run, outcome="succeeded")


def end_well(run: Run, **how: Any) -> None:
    """End an operation that did what it was to do. A lock that cannot be given back ends by itself."""
    try:
        end(run, **how)
    except PlatformError as error:
        run.operation = None
        run.warnings.append(f"{run.target.name}: the lock was not given back: {error.message}")


def end(run: Run, *, outcome: str, error_class: str | None = None, reason: str | None = None) -> None:
    """End the operation, if there is one."""
    run.end_lease()
    registry, ref, target = run.registry, run.operation, run.target
    if registry is None or ref is None:
        return
    done = registry.write(
        lambda session: operations.finish(
            session,
            target.model,
            target.environment,
            ref,
            outcome=outcome,
            error_class=error_class,
            reason=reason,
            by=registry.holder.name,
        )
    )
    run.operation = run.lock = None
    run.steps = done.steps
    if done.outcome == "interrupted":
        run.warnings.append(
            f"Operation {ref.id} on {target.model} in {target.environment} had lost its lock meanwhile."
        )
