# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow an Argo CD Application until it has a commit and is healthy, or a cause or the deadline ends it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..cluster.client import APIError, ClusterClient, JSONObject, segment
from ..cluster.waiting import News, Reasons
from ..common.actor import actor
from ..common.deadline import Backoff, Deadline, patiently
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.names import check_namespace
from .application_status import Next, Seen, Verdict, judge
from .application_sync import refresh_patch, sync_patch
from .lineage import Lineage
from .observed_application import ObservedApplication

_API = "/apis/argoproj.io/v1alpha1"
#: A refresh makes Argo CD render without its cache, so one that did not help is not repeated at once.
_FIRST_REFRESH_S, _LONGEST_REFRESH_S = 5.0, 60.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class ApplicationName:
    """Which Application."""

    name: str
    namespace: str = "argocd"

    @classmethod
    def checked(cls, name: str, namespace: str) -> ApplicationName:
        """Return the names that a caller gave; raises ``invalid`` for what cannot be one."""
        if not _NAME.fullmatch(name):
            raise invalid(
                "name",
                name,
                "is no name of an Application",
                "Use up to 253 of a-z, 0-9, - and ., beginning and ending with a letter or digit.",
            )
        return cls(name, check_namespace(namespace))

    @property
    def collection(self) -> str:
        """Return the API path of the Applications beside it."""
        return f"{_API}/namespaces/{segment(self.namespace)}/applications"

    @property
    def path(self) -> str:
        """Return its API path."""
        return f"{self.collection}/{segment(self.name)}"


@dataclass(frozen=True)
class Delivered:
    """How the wait ended well: the Application before and after, and whether we started a sync."""

    before: JSONObject | None
    after: JSONObject
    synced: bool
    verdict: Verdict


def read_application(client: ClusterClient, which: ApplicationName) -> JSONObject | None:
    """Read the Application; raises ``invalid`` where the cluster does not know the kind."""
    found = client.find(which.path)
    if found is None and client.find(_API) is None:
        raise PlatformError(
            ErrorClass.INVALID,
            f"{client.server} knows no Application: Argo CD is not installed there.",
            "Give the cluster on which Argo CD runs, which may be another one than that of the model.",
            {"field": "context"},
        )
    return found


def wait_for_commit(
    client: ClusterClient,
    which: ApplicationName,
    lineage: Lineage,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    may_sync: bool = False,
    prune: bool = True,
    healthy: bool = True,
    fresh: bool = False,
    chart_path: str = "",
    workload_cause: Callable[[], PlatformError | None] = lambda: None,
) -> Delivered:
    """Wait until the Application has a wanted commit and is healthy.

    With ``may_sync``, a sync that Argo CD does not start by itself is started, at most once.
    Without ``healthy`` it ends where Argo CD has done its part, and health is left to the caller.
    With ``fresh`` it ends well only after the controller has looked once more.
    With ``chart_path``, an Application whose chart is elsewhere is waited for: its parent brings it.
    ``workload_cause`` is asked while only health is missing: what it returns ends the wait.
    Raises ``timeout`` with the last reason; ``workload``, ``invalid`` or ``auth`` for what Argo CD cannot do;
    ``locked`` where somebody reverted the commit or deletes the Application.
    """
    before = patiently(partial(read_application, client, which), deadline, progress)
    seen = seen_at_first(before, may_sync=may_sync, chart_path=chart_path)
    reasons = Reasons(progress)
    query = {"fieldSelector": f"metadata.name={which.name}"}
    news = News(client, which.collection, query, deadline)
    refreshes = _Refreshes(client, which, deadline)
    degraded = _Degraded(deadline)
    backoff = Backoff(0.2, 5.0)

    while True:
        items, version = patiently(partial(client.list_at, which.collection, query), deadline, progress)
        item = items[0] if items else None
        seen = replace(seen, refreshed=refreshes.done(item), degraded_s=degraded.lasted())
        verdict = judge(item, lineage, seen)
        degraded.see(item, verdict)
        done = verdict.next is Next.DONE or (verdict.of_workload and not healthy)
        if done and fresh and not seen.refreshed:
            verdict = replace(verdict, next=Next.REFRESH, reason="Argo CD to look once more")
        elif done and item is not None:
            return Delivered(before, item, seen.has_synced, verdict)
        if verdict.next in (Next.FAILED, Next.SUPERSEDED):
            raise application_error(which, verdict)
        if verdict.of_workload and (cause := workload_cause()) is not None:
            raise cause
        if deadline.expired():
            raise deadline.timeout_error(
                f"Application {which.name}",
                f"waiting for {verdict.reason}",
                "Run again to go on waiting, or see it: "
                f"kubectl -n {which.namespace} describe application {which.name}",
            )
        elapsed = deadline.elapsed()
        line = f"{which.name}: after {elapsed:.0f} s waiting for {verdict.reason}"
        if reasons.tell(verdict.reason, line, elapsed):
            backoff.reset()
        if verdict.next is Next.SYNC and item is not None:
            progress(f"{which.name}: starting a sync")
            seen = replace(seen, has_synced=_start_sync(client, which, item, prune=prune))
            continue
        if verdict.next is Next.REFRESH:
            refreshes.ask()
        if news.changed(version, backoff.next(), watch_s=1.0):
            backoff.reset()


def seen_at_first(item: JSONObject | None, *, may_sync: bool, chart_path: str) -> Seen:
    """Return what is known when a wait begins: the sync that is there was not meant by it."""
    operation = ObservedApplication.of(item).operation if item is not None else None
    before = operation.started if operation is not None else ""
    return Seen(before=before, may_sync=may_sync, chart_path=chart_path)


def application_error(which: ApplicationName, verdict: Verdict) -> PlatformError:
    """Return the error of a verdict that ends the wait."""
    return PlatformError(
        verdict.error_class,
        f"Application {which.name}: {verdict.reason}.",
        verdict.advice,
        {"application": which.name, "next": verdict.next.value},
    )


def _start_sync(client: ClusterClient, which: ApplicationName, item: JSONObject, *, prune: bool) -> bool:
    """Start a sync; tell whether it was, and not somebody else quicker."""
    try:
        client.patch(which.path, sync_patch(item, prune=prune, actor=actor()))
    except APIError as error:
        if error.status == 409:
            return False
        raise
    return True


class _Refreshes:
    """Asks the controller to look at Git, and knows whether it has since."""

    def __init__(self, client: ClusterClient, which: ApplicationName, deadline: Deadline) -> None:
        self._client = client
        self._which = which
        self._deadline = deadline
        self._asked = False
        self._next, self._pause = 0.0, _FIRST_REFRESH_S

    def ask(self) -> None:
        """Ask, unless it was asked a moment ago."""
        now = self._deadline.elapsed()
        if self._asked and now < self._next:
            return
        try:
            self._client.patch(self._which.path, refresh_patch())
        except APIError as error:
            # It was deleted this very moment, which the next look tells.
            if error.status != 404:
                raise
            return
        self._asked, self._next = True, now + self._pause
        self._pause = min(_LONGEST_REFRESH_S, 2 * self._pause)

    def done(self, item: JSONObject | None) -> bool:
        """Tell whether the controller has done what was asked: it takes the annotation away then."""
        return self._asked and item is not None and not ObservedApplication.of(item).refreshing


class _Degraded:
    """Knows how long nothing but health was missing, and the Application was Degraded."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._since: float | None = None

    def see(self, item: JSONObject | None, verdict: Verdict) -> None:
        """Take note of a look."""
        if not verdict.of_workload or item is None or ObservedApplication.of(item).health != "Degraded":
            self._since = None
        elif self._since is None:
            self._since = self._deadline.elapsed()

    def lasted(self) -> float:
        """Return for how many seconds it has been so."""
        return 0.0 if self._since is None else self._deadline.elapsed() - self._since
