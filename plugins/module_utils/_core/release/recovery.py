# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until nobody works on a release any more, and put right what a run that died left half done."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ..cluster.client import APIError
from ..common.actor import actor, awx_job
from ..common.permit import Permit
from ..helm.storage import ReleaseRecord, mark_failed, read_release
from .request import ReleaseTarget, check_owner
from .tools import Tools, Waits


def settle(tools: Tools, request: ReleaseTarget, waits: Waits, *, chart_name: str) -> ReleaseRecord | None:
    """Return the newest record once no helm works on it any more; recover what a killed run left."""
    shown = False
    version, since = "", 0.0
    while True:
        record = read_release(tools.client, request.name, request.namespace)
        # Before anything is recovered: what belongs to others stays as it is.
        check_owner(record, request.name, request.model, chart_name)
        if record is None or not (record.pending or record.status == "uninstalling"):
            return record
        if record.secret["metadata"]["resourceVersion"] != version:
            version, since = record.secret["metadata"]["resourceVersion"], time.monotonic()
        # Clocks differ: what has stayed the same for so long while we looked is idle too.
        idle = max((datetime.now(UTC) - record.modified_at).total_seconds(), time.monotonic() - since)
        if idle < waits.takeover_s and not _left_by_an_earlier_holder(record, tools.permit):
            if not shown:
                tools.progress(
                    f"{request.name}: revision {record.revision} is {record.status} since {idle:.0f} s; "
                    f"taken over if it stays so for {waits.takeover_s:g} s"
                )
                shown = True
            if waits.total.expired():
                raise waits.total.timeout_error(
                    request.name,
                    f"revision {record.revision} is {record.status}",
                    "Wait until that helm has ended, or give a longer timeout.",
                )
            waits.total.pause(min(1.0, waits.takeover_s - idle + 0.05))
            continue
        _recover(tools, request, record, waits)


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


def _recover(tools: Tools, request: ReleaseTarget, record: ReleaseRecord, waits: Waits) -> None:
    if record.status == "uninstalling":
        tools.progress(f"{request.name}: finishing an uninstall that was cut off")
        with tools.permit.step("helm uninstall"):
            tools.helm.uninstall(request.name, request.namespace, waits.helm())
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
