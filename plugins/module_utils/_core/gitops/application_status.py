# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Argo CD Application's status means for a commit that was delivered: a table, no I/O, no clock.

``sync``, ``health`` and ``operationState`` are written at different times: right after a sync, ``health`` is
still that of before it. So health counts only where the controller has compared since the last sync ended,
with our commit and by the spec that the Application has now, and found nothing to change. Everything else is
waited for, or a refresh asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ..cluster.client import JSONObject
from ..common.errors import ErrorClass
from ..common.redaction import excerpt
from .lineage import Lineage, Relation, together
from .observed_application import ObservedApplication, Operation

_LENGTH = 600
_SHOWN = 5
#: A Deployment is Degraded for a moment before its new pods are ready; what stays so has failed.
_DEGRADED_S = 60.0
#: Errors of a comparison that mean that something does not run at the moment.
_PASSES = re.compile(
    r"code = (Unavailable|DeadlineExceeded)|connection (refused|reset)|i/o timeout|deadline exceeded"
    r"|no such host|EOF\b|TLS handshake timeout|server is currently unable|too many requests",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authentication (required|failed)|authorization failed|permission denied|access denied|is forbidden"
    r"|invalid credentials|could not read Username|Repository not found",
    re.IGNORECASE,
)


class Next(StrEnum):
    """What to do about an Application."""

    DONE = "done"  #: it has our commit and is healthy
    WAIT = "wait"
    REFRESH = "refresh"  #: its status may be older than our commit, or than its last sync: have it look
    SYNC = "sync"  #: nobody but us starts the sync
    FAILED = "failed"
    SUPERSEDED = "superseded"  #: Git has gone on to something else, and Argo CD with it


@dataclass(frozen=True)
class Seen:
    """What whoever waits knows besides the object.

    ``refreshed`` tells that the controller has looked at Git since this wait began. ``before`` is when the
    sync was started that was there at its beginning, if any: what failed then may be tried again, once.
    ``chart_path`` is where the delivered commit has the chart, if known: whoever brings the Application may
    bring its new spec later. ``degraded_s`` is how long this wait has seen the commit there and Degraded.
    """

    refreshed: bool = False
    before: str = ""
    may_sync: bool = False
    has_synced: bool = False
    chart_path: str = ""
    degraded_s: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What to do, and why: the reason goes on from "waiting for" where it is no end.

    ``of_workload`` tells that Argo CD has done its part, and that what is missing is health.
    """

    next: Next
    reason: str
    error_class: ErrorClass = ErrorClass.WORKLOAD
    advice: str = ""
    of_workload: bool = False


def judge(item: JSONObject | None, lineage: Lineage, seen: Seen) -> Verdict:
    """Return what to do about an Application as it is; ``None`` is one that does not exist."""
    if item is None:
        return Verdict(Next.WAIT, "the Application to be there")
    found = ObservedApplication.of(item)
    compared = together([lineage(revision) for revision in found.compared])
    verdict = (
        _ended(found, compared, seen)
        or _under_way(found, lineage)
        or _older_spec(found, seen)
        or _failed_sync(found, lineage, seen)
        or _failed_comparison(found, compared, seen)
        or _outdated(found, compared)
        or _difference(found, lineage, seen)
        or _health(found, seen)
    )
    if verdict.next is Next.REFRESH and found.refreshing:
        # It was asked already, by us or by somebody else.
        return Verdict(Next.WAIT, f"Argo CD's controller to refresh it ({verdict.reason})")
    return verdict


def _ended(found: ObservedApplication, compared: Relation, seen: Seen) -> Verdict | None:
    if found.going_away:
        return Verdict(
            Next.FAILED,
            "it is being deleted",
            ErrorClass.LOCKED,
            "Ask who deleted it, then deliver again.",
        )
    if compared is Relation.AGAINST and seen.refreshed:
        return Verdict(
            Next.SUPERSEDED,
            f"Git has gone on: Argo CD follows {_names(found.compared)} of {found.target_revision}, "
            "which is not what was delivered",
            ErrorClass.LOCKED,
            "See in the repository who reverted or changed it, then deliver again.",
        )
    return None


def _under_way(found: ObservedApplication, lineage: Lineage) -> Verdict | None:
    if not found.in_flight:
        return None
    operation = found.operation
    if operation is None or operation.failed or operation.phase == "Succeeded":
        return Verdict(Next.WAIT, "Argo CD to begin a sync that was asked for")
    whose = "" if _is_ours(operation, lineage) else " of another commit or spec"
    said = f": {_excerpt(operation.message)}" if operation.message else ""
    # Argo CD does not go on by itself when the window ends, only when it looks again.
    step = Next.REFRESH if "blocked by sync window" in operation.message else Next.WAIT
    return Verdict(step, f"Argo CD to end a sync{whose}{said}")


def _older_spec(found: ObservedApplication, seen: Seen) -> Verdict | None:
    if found.has_chart(seen.chart_path):
        return None
    # What failed with the old one says nothing of ours.
    return Verdict(
        Next.WAIT,
        "the parent to bring the Application's new spec: "
        f"it has {', '.join(found.paths) or 'no source'}, not {seen.chart_path}",
    )


def _failed_sync(found: ObservedApplication, lineage: Lineage, seen: Seen) -> Verdict | None:
    operation = found.operation
    if operation is None or not operation.failed or operation.dry_run or not _is_ours(operation, lineage):
        return None
    if operation.started == seen.before and _may_sync(seen):
        return Verdict(Next.SYNC, f"its sync had failed before: {_excerpt(operation.message)}")
    told = "; ".join([operation.message, *operation.refused[:_SHOWN]])
    return Verdict(
        Next.FAILED,
        f"the sync failed: {_excerpt(told)}",
        _class_of(told, ErrorClass.WORKLOAD),
        "Correct what was refused, in Git or on the cluster, then run again.",
    )


def _failed_comparison(found: ObservedApplication, compared: Relation, seen: Seen) -> Verdict | None:
    # Until it has looked again, they may be about what our commit mends.
    if not seen.refreshed or found.refreshing:
        return None
    for kind, message in found.conditions:
        if kind in ("InvalidSpecError", "ComparisonError", "UnknownError"):
            if kind == "ComparisonError" and not found.as_specified:
                return _other_spec()
            if _PASSES.search(message):
                return Verdict(Next.REFRESH, f"Argo CD to compare: {_excerpt(message)}")
            return Verdict(
                Next.FAILED,
                f"{kind}: {_excerpt(message)}",
                _class_of(message, ErrorClass.INVALID),
                "Correct what the message names: the Application, its files in Git, "
                "or Argo CD's access to the repository. Then run again.",
            )
        # Where the project forbids syncing at this time, an old one stays.
        if kind == "SyncError" and compared is Relation.WANTED and found.sync == "OutOfSync":
            return Verdict(
                Next.FAILED,
                f"{kind}: {_excerpt(message)}",
                _class_of(message, ErrorClass.WORKLOAD),
                "Correct what was refused, in Git or on the cluster, then run again.",
            )
    return None


def _outdated(found: ObservedApplication, compared: Relation) -> Verdict | None:
    if not found.compared:
        return Verdict(Next.REFRESH, "Argo CD to look at Git for the first time")
    if compared is not Relation.WANTED:
        return Verdict(
            Next.REFRESH,
            f"Argo CD to see the commit: it has compared {_names(found.compared)} of {found.target_revision}",
        )
    if not found.as_specified:
        return _other_spec()
    if not found.reconciled:
        return Verdict(Next.REFRESH, "Argo CD to compare once more after the sync")
    if found.sync not in ("Synced", "OutOfSync"):
        return Verdict(Next.REFRESH, "Argo CD to tell whether it is as in Git")
    return None


def _other_spec() -> Verdict:
    return Verdict(Next.REFRESH, "Argo CD to compare by the Application's new spec")


def _difference(found: ObservedApplication, lineage: Lineage, seen: Seen) -> Verdict | None:
    if found.sync == "Synced":
        return None
    what = _listed(found.out_of_sync) or "something"
    operation = found.operation
    written = operation is not None and _wrote_all(operation) and _is_ours(operation, lineage)
    if not found.automated and _may_sync(seen):
        return Verdict(Next.SYNC, f"{what} not as in Git, and the Application's sync policy is manual")
    if written:
        return Verdict(Next.WAIT, f"{what} to be as in Git: it was written, and is not so any more")
    if found.automated:
        # It begins while it looks, or not before it looks again.
        return Verdict(
            Next.REFRESH,
            f"Argo CD to sync {what} by itself (a sync window of project {found.project} may forbid it)",
        )
    return Verdict(Next.WAIT, f"somebody to sync {what}: the Application's sync policy is manual")


def _health(found: ObservedApplication, seen: Seen) -> Verdict:
    if found.health == "Healthy":
        return Verdict(Next.DONE, f"it has {_names(found.compared)} and is healthy")
    said = f": {_excerpt(found.health_message)}" if found.health_message else ""
    if found.health == "Degraded" and seen.degraded_s >= _DEGRADED_S:
        return Verdict(
            Next.FAILED,
            f"it has been Degraded for {seen.degraded_s:.0f} s{said}",
            advice="See its pods and their events. Where they only need longer, raise the chart's "
            "progressDeadlineSeconds. Then run again.",
        )
    return Verdict(Next.WAIT, f"it to be healthy, it is {found.health}{said}", of_workload=True)


def _may_sync(seen: Seen) -> bool:
    return seen.may_sync and not seen.has_synced


def _wrote_all(operation: Operation) -> bool:
    return operation.phase == "Succeeded" and not operation.dry_run and not operation.partial


def _is_ours(operation: Operation, lineage: Lineage) -> bool:
    commit = together([lineage(revision) for revision in operation.revisions])
    return operation.as_specified and commit is Relation.WANTED


def _class_of(message: str, otherwise: ErrorClass) -> ErrorClass:
    return ErrorClass.AUTH if _REFUSED.search(message) else otherwise


def _names(revisions: tuple[str, ...]) -> str:
    return ", ".join(revision[:12] for revision in revisions)


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _excerpt(text: str) -> str:
    return excerpt(" ".join(text.split()), _LENGTH)
