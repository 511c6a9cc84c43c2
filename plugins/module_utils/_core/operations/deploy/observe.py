# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at what is there: the lock, the row, the release's record, the objects on the cluster, the pods."""

from __future__ import annotations

from dataclasses import replace

from ...cluster import workload
from ...cluster.managed_fields import additions
from ...cluster.namespaces import require_namespace
from ...cluster.rollout import endpoints_are_new
from ...registry import entries
from ...registry.connection import Session
from ...registry.entry_fields import Entry
from ...registry.failures import WITHOUT_SCHEMA, is_without_schema
from ...registry.lock import Lock, read_lock
from ...release.comparison import Comparison, compare, with_additions
from ...release.request import CHART, check_owner
from .run import Registry, Run


def first_look(run: Run) -> None:
    """Look for the first time, and keep what the result is set beside."""
    with run.timed("plan_s"):
        observe(run)
    run.row_before, run.had_release = run.row, run.record is not None


def observe(run: Run) -> None:
    """Read all that the next step is decided from. What an earlier look has found is forgotten."""
    if run.registry is not None:
        _look_at_registry(run, run.registry)
    run.comparison, run.plan, run.observed, run.rolled_out, run.room = None, None, None, False, False
    run.released = False
    target, client = run.target, run.tools.client
    run.record = run.delivery.read(run.tools, target)
    # Before anything is recovered or removed: what belongs to others stays as it is.
    owner = run.request.chart_name if run.wanted.present else CHART
    check_owner(run.record, target.name, target.model, owner)
    if not run.wanted.present:
        run.delivery.refuse_removal(run.tools, target, run.record)
        return
    record = run.record
    if record is not None and record.status == "uninstalling":
        # It ends before anything else begins, so there will be none.
        record = None
    found = compare(client, run.renderer, run.request, record)
    if found.on_record and (more := run.delivery.drift(target)):
        found = replace(found, drift=[*found.drift, *more])
    run.comparison = _with_additions(run, found)
    if run.comparison.in_sync:
        run.rolled_out = _is_rolled_out(run, look_at_pods(run))
        return
    # What no change can be made without is asked for before the lock is taken.
    require_namespace(client, target.namespace, create=run.request.create_namespace)


def _with_additions(run: Run, found: Comparison) -> Comparison:
    """Say what others have added to the Deployment. It is no drift: an upgrade leaves it alone.

    Where it is to go nevertheless, that counts for the pods' template only: what stands elsewhere, such as an
    autoscaler's number of pods, is nothing that a model server is made of.
    """
    record, live = found.record, found.live
    managers = run.delivery.managers(record) if record is not None else ()
    if live is None or not managers:
        return found
    lines = additions(live, managers)
    going = tuple(line for line in lines if run.removes_additions and "spec.template.spec." in line)
    for line in lines:
        what = "given up is what was added" if line in going else "left alone is what was added by others"
        text = f"{run.target.name}: {what}: {line}"
        if text not in run.warnings:
            run.warn(text)
    return with_additions(run.tools.client, found, going) if going else found


def look_at_pods(run: Run) -> workload.Observed:
    """Read the Deployment and its pods."""
    target = run.target
    run.observed = workload.observe(run.tools.client, target.namespace, target.name, target.selector)
    return run.observed


def _is_rolled_out(run: Run, observed: workload.Observed) -> bool:
    """Tell whether exactly the wanted pods are ready."""
    if not workload.judge(observed, workload.Symptoms()).done:
        return False
    # Nobody will notice otherwise that the Service does not send requests there.
    return run.wanted.verifies or endpoints_are_new(run.tools.client, run.target, observed)


def _look_at_registry(run: Run, registry: Registry) -> None:
    model, environment = run.target.model, run.target.environment

    def look(session: Session) -> tuple[Lock | None, Entry | None]:
        return read_lock(session, model, environment), entries.read(session, model, environment)

    try:
        run.lock, run.row = registry.read(look)
    except Exception as error:
        # In check mode an earlier task did not really create the tables.
        if not (run.check_mode and is_without_schema(error)):
            raise
        run.warnings.append(WITHOUT_SCHEMA)
    run.announced = run.row is not None and run.row.status == "deploying"
