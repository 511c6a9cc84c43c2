# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until nobody works on a release any more, and put right what a run that died left half done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..cluster.client import APIError, ClusterClient
from ..common.actor import actor, awx_job
from ..common.deadline import Deadline
from ..common.permit import Permit
from ..helm.binary import Helm
from ..helm.storage import ReleaseRecord, mark_failed, read_release
from .plan import Plan, ReleaseRequest, check_owner

#: The longest that one command of helm may take, in seconds.
HELM_SHARE_S = 300.0
_DEFAULT_ROLLOUT_MARGIN_S = 60.0


@dataclass(frozen=True)
class Tools:
    """What a release is changed with. ``client`` and ``helm`` ask ``permit`` just before they write."""

    client: ClusterClient
    helm: Helm
    progress: Callable[[str], None]
    permit: Permit = field(default_factory=Permit)


@dataclass(frozen=True)
class Waits:
    """How long each part may take, in seconds."""

    capacity_s: float = 600.0
    rollout_s: float | None = None  #: default: the chart's progress deadline for each turn, and a minute
    takeover_s: float = 30.0  #: a pending release untouched for so long was left by a run that died

    def rollout(self, plan: Plan) -> Deadline:
        """Start the deadline of a rollout."""
        if self.rollout_s is not None:
            return Deadline(self.rollout_s)
        progress_deadline = float(plan.deployment["spec"].get("progressDeadlineSeconds", 600))
        # The Deployment's deadline starts anew with each pod that becomes ready; this one does not.
        return Deadline(progress_deadline * plan.turns + _DEFAULT_ROLLOUT_MARGIN_S)


def settled_record(
    tools: Tools, request: ReleaseRequest, waits: Waits, *, check_mode: bool
) -> ReleaseRecord | None:
    """Return the newest record once no helm works on it any more; recover what a killed run left."""
    shown = False
    version, since = "", 0.0
    while True:
        record = read_release(tools.client, request.name, request.namespace)
        # Before anything is recovered: what belongs to others stays as it is.
        check_owner(record, request.name, request.model, request.chart_name)
        if check_mode and record is not None and record.status == "uninstalling":
            # A run would finish that first.
            return None
        if record is None or check_mode or not (record.pending or record.status == "uninstalling"):
            return record
        if record.secret["metadata"]["resourceVersion"] != version:
            version, since = record.secret["metadata"]["resourceVersion"], time.monotonic()
        # Clocks differ: what has stayed the same before our eyes for so long is idle too.
        idle = max((datetime.now(UTC) - record.modified_at).total_seconds(), time.monotonic() - since)
        if idle < waits.takeover_s and not _left_by_an_earlier_holder(record, tools.permit):
            if not shown:
                tools.progress(
                    f"{request.name}: revision {record.revision} is {record.status} since {idle:.0f} s; "
                    f"taken over if it stays so for {waits.takeover_s:g} s"
                )
                shown = True
            time.sleep(min(1.0, waits.takeover_s - idle + 0.05))
            continue
        _recover(tools, request, record)


def _left_by_an_earlier_holder(record: ReleaseRecord, permit: Permit) -> bool:
    """Tell whether nobody can be at work on a pending revision any more.

    Whoever made it had the lock that we have now, or it was a helm of our own that has ended.
    """
    made_with = record.fence
    return (
        record.pending
        and permit.operation_id is not None
        and made_with is not None
        and made_with <= permit.fence
    )


def _recover(tools: Tools, request: ReleaseRequest, record: ReleaseRecord) -> None:
    if record.status == "uninstalling":
        tools.progress(f"{request.name}: finishing an uninstall that was cut off")
        with tools.permit.step("helm uninstall"):
            tools.helm.uninstall(request.name, request.namespace, Deadline(HELM_SHARE_S))
        return
    tools.progress(
        f"{request.name}: recovering revision {record.revision}, left {record.status} by a run that died"
    )
    with tools.permit.step("recover the release"):
        reason = f"left {record.status} by a run that died; recovered by {this_run()}"
        try:
            mark_failed(tools.client, record, reason)
        except APIError as error:
            # 409: somebody else wrote meanwhile, so the caller looks again.
            if error.status != 409:
                raise


def this_run() -> str:
    """Return who runs this, for Helm's description: user, host and AWX job where there is one."""
    job = awx_job()
    return actor() + (f" (AWX job {job})" if job else "")
