# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run would do, for check mode: nothing is written, and nothing waited for."""

from __future__ import annotations

from ...common.errors import PlatformError
from ...registry.failures import is_without_schema
from ...registry.publication import Published, first_of_all, overruled_warning, write
from . import failure
from .next_step import Step, next_step
from .observe import first_look
from .publication import publication
from .run import Registry, Run
from .state import LockIs
from .steps import plan, verify


def preview(run: Run) -> None:
    """Fill the run with what would be done. Raises what a run would raise at once."""
    try:
        _preview(run)
    except PlatformError as error:
        failure.name_step(run, error)
        raise


def _preview(run: Run) -> None:
    first_look(run)
    if run.wanted.present:
        run.step = Step.PLAN
        with run.timed("plan_s"):
            plan.take(run)
    would = next_step(run.state(), run.wanted)
    if would is Step.LOCK and run.state().lock is LockIs.THEIRS:
        run.warnings.append(f"{_target(run)} is locked by {run.lock}: a run would wait or fail.")
    if not run.wanted.present:
        run.changed = would is not Step.DONE
        return
    change = run.planned()
    run.changed = change.changed
    if change.verdict is not None and not change.verdict.fits:
        run.warnings.append(f"{run.target.name} would wait for capacity: {change.verdict.message}")
    if would is Step.VERIFY:
        run.step = Step.VERIFY
        with run.timed("verify_s"):
            verify.take(run)
    if run.registry is not None and run.wanted.registers:
        run.step = Step.REGISTER
        run.published = _published(run, run.registry)
        run.changed |= run.published.changed
        _say_what_stands_against_it(run, run.published)


def _say_what_stands_against_it(run: Run, published: Published) -> None:
    after = published.change.after
    if after is not None and (warning := overruled_warning({"status": "ready"}, after)):
        run.warnings.append(warning)
    if run.planned().changed or not published.change.needs_lock:
        return
    if run.state().lock is LockIs.THEIRS:
        run.warnings.append(f"{_target(run)} is locked by {run.lock}: a run would fail.")


def _target(run: Run) -> str:
    return f"{run.target.model} in {run.target.environment}"


def _published(run: Run, registry: Registry) -> Published:
    """Return what would be written to the registry in the end."""
    wanted = publication(run)
    try:
        return registry.read(lambda session: write(session, wanted, dry_run=True))
    except Exception as error:
        if not is_without_schema(error):
            raise
        return first_of_all(wanted)
