# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Argo CD Application as the API server has it: what its controller wrote, without a judgement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from posixpath import normpath

from ..cluster.client import JSONObject
from .compared_spec import has_sources_of, is_compared, sources_of
from .parts import items, part, text

REFRESH = "argocd.argoproj.io/refresh"


@dataclass(frozen=True)
class Operation:
    """The last sync that was asked for, as far as it got."""

    phase: str
    message: str
    revisions: tuple[str, ...]
    started: str
    finished: str
    #: Whether it wrote nothing, and whether it wrote only some of the objects.
    dry_run: bool
    partial: bool
    #: Whether it used the sources that the Application has now.
    as_specified: bool
    #: What the API server refused, as ``Kind/name: why``.
    refused: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Tell whether it ended without success."""
        return self.phase in ("Failed", "Error")


@dataclass(frozen=True)
class ObservedApplication:
    """What counts of an Application."""

    target_revision: str
    #: Where in the repository its files are, by source.
    paths: tuple[str, ...]
    project: str
    automated: bool
    going_away: bool
    #: Whether a refresh was asked for that the controller has not done yet.
    refreshing: bool
    #: Whether a sync runs or is about to.
    in_flight: bool
    operation: Operation | None
    compared: tuple[str, ...]
    #: Whether what was compared is what the Application says now.
    as_specified: bool
    sync: str
    health: str
    health_message: str
    conditions: tuple[tuple[str, str], ...]
    #: Whether the controller has compared since the last sync ended.
    reconciled: bool
    #: What is not as in Git, as ``Kind/name``, and a word to what is there no more.
    out_of_sync: tuple[str, ...]

    def has_chart(self, path: str) -> bool:
        """Tell whether it takes its files from a folder; the empty path is any."""
        return not path or normpath(path) in self.paths

    @classmethod
    def of(cls, item: JSONObject) -> ObservedApplication:
        """Read an object. Each part of its status may be missing."""
        metadata, spec, status = part(item, "metadata"), part(item, "spec"), part(item, "status")
        sync, health = part(status, "sync"), part(status, "health")
        operation = _operation(part(status, "operationState"), spec)
        return cls(
            target_revision=_target_revision(spec),
            paths=tuple(normpath(text(source, "path")) for source in sources_of(spec)),
            project=text(spec, "project") or "default",
            automated=_is_automated(part(spec, "syncPolicy")),
            going_away=bool(metadata.get("deletionTimestamp")),
            refreshing=REFRESH in part(metadata, "annotations"),
            in_flight=bool(item.get("operation"))
            or (operation is not None and operation.phase in ("Running", "Terminating")),
            operation=operation,
            compared=_revisions(sync),
            as_specified=is_compared(spec, part(sync, "comparedTo")),
            sync=text(sync, "status") or "Unknown",
            health=text(health, "status") or "Unknown",
            health_message=text(health, "message") or _ill(status),
            conditions=tuple(
                (text(condition, "type"), text(condition, "message"))
                for condition in items(status, "conditions")
            ),
            reconciled=_is_reconciled(text(status, "reconciledAt"), operation),
            out_of_sync=tuple(
                _named(each) + (" (in Git no more, not pruned)" if each.get("requiresPruning") else "")
                for each in items(status, "resources")
                if each.get("status") == "OutOfSync"
            ),
        )


def _operation(state: JSONObject, spec: JSONObject) -> Operation | None:
    if not state:
        return None
    sync = part(part(state, "operation"), "sync")
    result = part(state, "syncResult")
    return Operation(
        phase=text(state, "phase"),
        message=text(state, "message"),
        # Before its first look at Git it has no result yet, only what it was asked for.
        revisions=_revisions(result) or _revisions(sync),
        started=text(state, "startedAt"),
        finished=text(state, "finishedAt"),
        dry_run=bool(sync.get("dryRun")),
        partial=bool(sync.get("resources")),
        # One that failed early does not say what it used.
        as_specified=not sources_of(result) or has_sources_of(spec, result),
        refused=tuple(
            f"{_named(resource)}: {resource.get('message') or 'no reason given'}"
            for resource in items(result, "resources")
            if resource.get("status") == "SyncFailed" or resource.get("hookPhase") in ("Failed", "Error")
        ),
    )


def _is_reconciled(reconciled: str, operation: Operation | None) -> bool:
    """Tell whether what the controller last compared is what the last sync left.

    Both times are the controller's own, to the second, so no clock of ours counts.
    """
    if not reconciled:
        return False
    if operation is None or not operation.finished:
        return True
    compared, finished = _time(reconciled), _time(operation.finished)
    return compared is not None and finished is not None and compared >= finished


def _time(said: str) -> datetime | None:
    """Return a time; ``None`` for what is none."""
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _ill(status: JSONObject) -> str:
    """Return what ails the objects, where the controller was set to write that here."""
    return "; ".join(
        f"{_named(resource)}: {text(health, 'message')}"
        for resource in items(status, "resources")
        if (health := part(resource, "health")).get("status") != "Healthy" and health.get("message")
    )


def _named(resource: JSONObject) -> str:
    return f"{resource.get('kind')}/{resource.get('name')}"


def _is_automated(policy: JSONObject) -> bool:
    automated = policy.get("automated")
    # The empty mapping says yes; "enabled" came later, to say no.
    return isinstance(automated, dict) and automated.get("enabled") is not False


def _target_revision(spec: JSONObject) -> str:
    sources = sources_of(spec) or [{}]
    return ", ".join(dict.fromkeys(text(source, "targetRevision") or "HEAD" for source in sources))


def _revisions(found: JSONObject) -> tuple[str, ...]:
    """Return the revisions of several sources, or that of the only one."""
    several = found.get("revisions")
    named = several if several and isinstance(several, list) else [found.get("revision")]
    return tuple(str(revision) for revision in named if revision)
