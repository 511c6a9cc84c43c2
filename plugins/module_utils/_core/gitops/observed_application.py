# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Argo CD Application as the API server has it: what its controller wrote, without a judgement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..cluster.client import JSONObject

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
    project: str
    automated: bool
    going_away: bool
    #: Whether a refresh was asked for that the controller has not done yet.
    refreshing: bool
    #: Whether a sync runs or is about to.
    in_flight: bool
    operation: Operation | None
    compared: tuple[str, ...]
    sync: str
    health: str
    health_message: str
    conditions: tuple[tuple[str, str], ...]
    #: Whether the controller has compared since the last sync ended.
    reconciled: bool
    #: What is not as in Git, as ``Kind/name``.
    out_of_sync: tuple[str, ...]
    #: Whether what was compared is what the Application says: its source may have been changed since.
    of_this_source: bool = True
    #: Whether the last sync was.
    synced_this_source: bool = True

    @classmethod
    def of(cls, item: JSONObject) -> ObservedApplication:
        """Read an object. Each part of its status may be missing."""
        metadata, spec, status = _part(item, "metadata"), _part(item, "spec"), _part(item, "status")
        sync, health = _part(status, "sync"), _part(status, "health")
        operation = _operation(_part(status, "operationState"))
        return cls(
            target_revision=_target_revision(spec),
            project=_text(spec, "project") or "default",
            automated=_is_automated(_part(spec, "syncPolicy")),
            going_away=bool(metadata.get("deletionTimestamp")),
            refreshing=REFRESH in _part(metadata, "annotations"),
            in_flight=bool(item.get("operation"))
            or (operation is not None and operation.phase in ("Running", "Terminating")),
            operation=operation,
            compared=_revisions(sync),
            sync=_text(sync, "status") or "Unknown",
            health=_text(health, "status") or "Unknown",
            health_message=_text(health, "message"),
            conditions=tuple(
                (_text(condition, "type"), _text(condition, "message"))
                for condition in status.get("conditions") or []
            ),
            reconciled=_is_reconciled(_text(status, "reconciledAt"), operation),
            out_of_sync=tuple(
                f"{resource.get('kind')}/{resource.get('name')}"
                for resource in status.get("resources") or []
                if resource.get("status") == "OutOfSync"
            ),
            of_this_source=_is_source(spec, _part(_part(sync, "comparedTo"), "source")),
            synced_this_source=_is_source(
                spec, _part(_part(_part(status, "operationState"), "syncResult"), "source")
            ),
        )


def _is_source(spec: JSONObject, of: JSONObject) -> bool:
    """Tell whether a status is about the source that a specification has; one that does not say is."""
    source = _part(spec, "source")
    if not source or not of:
        return True
    same = all(_text(source, name) == _text(of, name) for name in ("repoURL", "path", "targetRevision"))
    files, others = (_part(one, "helm").get("valueFiles") or [] for one in (source, of))
    return same and files == others


def _operation(state: JSONObject) -> Operation | None:
    if not state:
        return None
    sync = _part(_part(state, "operation"), "sync")
    result = _part(state, "syncResult")
    return Operation(
        phase=_text(state, "phase"),
        message=_text(state, "message"),
        # Before its first look at Git it has no result yet, only what it was asked for.
        revisions=_revisions(result) or _revisions(sync),
        started=_text(state, "startedAt"),
        finished=_text(state, "finishedAt"),
        dry_run=bool(sync.get("dryRun")),
        partial=bool(sync.get("resources")),
        refused=tuple(
            f"{resource.get('kind')}/{resource.get('name')}: {resource.get('message') or 'no reason given'}"
            for resource in result.get("resources") or []
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
    return _time(reconciled) >= _time(operation.finished)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_automated(policy: JSONObject) -> bool:
    automated = policy.get("automated")
    # The empty mapping says yes; "enabled" came later, to say no.
    return isinstance(automated, dict) and automated.get("enabled") is not False


def _target_revision(spec: JSONObject) -> str:
    sources = spec.get("sources") or [_part(spec, "source")]
    return ", ".join(dict.fromkeys(_text(source, "targetRevision") or "HEAD" for source in sources))


def _revisions(part: JSONObject) -> tuple[str, ...]:
    """Return the revisions of several sources, or that of the only one."""
    found = part.get("revisions") or [part.get("revision")]
    return tuple(str(revision) for revision in found if revision)


def _part(item: JSONObject, name: str) -> dict[str, Any]:
    found = item.get(name)
    return found if isinstance(found, dict) else {}


def _text(item: JSONObject, name: str) -> str:
    return str(item.get(name) or "")
