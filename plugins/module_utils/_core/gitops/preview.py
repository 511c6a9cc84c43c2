# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a wait for a commit would do, by one look."""

from __future__ import annotations

from ..cluster.client import ClusterClient, JSONObject
from .application_status import Next, Verdict, judge
from .lineage import Lineage
from .observed_application import ObservedApplication
from .wait import ApplicationName, application_error, read_application, seen_at_first


def preview_commit(
    client: ClusterClient, which: ApplicationName, lineage: Lineage, *, may_sync: bool, chart_path: str = ""
) -> tuple[JSONObject | None, Verdict, bool]:
    """Return the Application, the verdict of it, and whether a sync would be started.

    Raises what the wait would raise at once.
    """
    item = read_application(client, which)
    verdict = judge(item, lineage, seen_at_first(item, may_sync=may_sync, chart_path=chart_path))
    if verdict.next is Next.FAILED:
        raise application_error(which, verdict)
    return item, verdict, verdict.next is Next.SYNC or (may_sync and _left_to_us(item, verdict, chart_path))


def _left_to_us(item: JSONObject | None, verdict: Verdict, chart_path: str) -> bool:
    """Tell whether the controller has yet to see the commit, and will not sync it under a manual policy."""
    if item is None:
        return False
    found = ObservedApplication.of(item)
    comes = found.refreshing or not found.has_chart(chart_path)
    unseen = verdict.next is Next.REFRESH or (verdict.next is Next.WAIT and comes)
    return unseen and not found.automated
