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
    client: ClusterClient, which: ApplicationName, lineage: Lineage, *, may_sync: bool
) -> tuple[JSONObject | None, Verdict, bool]:
    """Return the Application, the verdict of it, and whether a sync would be started.

    Raises what the wait would raise at once.
    """
    item = read_application(client, which)
    verdict = judge(item, lineage, seen_at_first(item, may_sync=may_sync))
    if verdict.next is Next.FAILED:
        raise application_error(which, verdict)
    # What the controller has yet to see, it will leave to us under a manual policy.
    left_to_us = (
        may_sync
        and item is not None
        and verdict.next is Next.REFRESH
        and not ObservedApplication.of(item).automated
    )
    return item, verdict, left_to_us or verdict.next is Next.SYNC
