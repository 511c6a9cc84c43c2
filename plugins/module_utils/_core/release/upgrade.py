# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install or upgrade with Helm, again where the API server was away, until Helm has it on record."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError
from ..helm.storage import ReleaseRecord, read_release, revision_labels, short_digest
from .plan import Plan
from .recovery import settle, this_run
from .request import ReleaseRequest
from .tools import Tools, Waits

_ATTEMPTS = 10


def upgrade(
    tools: Tools, request: ReleaseRequest, plan: Plan, waits: Waits, left: str | None = None
) -> ReleaseRecord | None:
    """Make the revision that the plan wants; return Helm's record of it.

    ``left`` is the digest of the manifest that it goes back from, if it does.
    """
    with tools.permit.step(f"helm {plan.action}"):
        wanted = plan.wanted
        tools.progress(f"{request.name}: helm {plan.action} ({wanted.digest[:19]}, strategy {plan.strategy})")
        return _upgrade(tools, request, plan, waits, left)


def _upgrade(
    tools: Tools, request: ReleaseRequest, plan: Plan, waits: Waits, left: str | None
) -> ReleaseRecord | None:
    deadline, wanted = waits.helm(), plan.wanted
    backoff = Backoff(1.0, 15.0)
    description = f"{'went back' if left else 'deployed'} by {this_run()}"
    operation_id, fence = tools.permit.operation_id, tools.permit.fence
    if operation_id is not None:
        description += f", operation {operation_id}, fence {fence}"
    if tools.reason:
        description += f": {tools.reason}"
    record = plan.comparison.record
    # Helm refuses the flag where it merges by itself.
    force = wanted.spec.force_conflicts and record is not None and record.server_side
    spec = replace(wanted.spec, force_conflicts=force)
    for attempt in range(1, _ATTEMPTS + 1):
        revision = record.revision + 1 if record else 1
        labels = revision_labels(
            revision, wanted.source, operation_id, fence, short_digest(left) if left else None
        )
        try:
            tools.helm.upgrade(spec, deadline, description, labels)
            return _recorded(tools, request, deadline)
        except PlatformError as error:
            if error.error_class is not ErrorClass.INFRASTRUCTURE or attempt == _ATTEMPTS:
                raise
            delay = backoff.next()
            if delay >= deadline.remaining():
                raise
            tools.progress(f"{request.name}: {error.message}; helm again in {delay:.0f} s")
            deadline.pause(delay)
            # Where helm lost the API server, it could not take back its mark on the release either.
            settled = partial(settle, tools, request, waits, chart_name=request.chart_name)
            record = patiently(settled, deadline, tools.progress)
    return record


def _recorded(tools: Tools, request: ReleaseRequest, deadline: Deadline) -> ReleaseRecord | None:
    """Return the newest record; raise ``infrastructure`` where it does not say how helm ended.

    Helm only logs that it could not write that down. A later run would take the release for one that a kill
    cut off, and so would everybody who asks Helm.
    """
    read = partial(read_release, tools.client, request.name, request.namespace)
    record = patiently(read, deadline, tools.progress)
    if record is not None and record.pending:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"helm could not record its end: revision {record.revision} is still {record.status}",
            "Look at the API server, then run again.",
        )
    return record
