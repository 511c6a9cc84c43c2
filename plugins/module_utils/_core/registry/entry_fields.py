# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One row of the registry as a value: its fields, what may stand in them, and how two of them differ.

The rules are those of the table's constraints; checking them here gives an error that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..common.errors import invalid
from ..common.names import check_environment, check_model, check_namespace, check_release_name
from ..common.redaction import excerpt, redact_text

STATUSES = ("pending", "deploying", "ready", "degraded", "draining", "disabled", "failed")
#: What the operator wants. Deployments and health checks set the status, never this.
DESIRED_STATES = ("enabled", "disabled")

_MAX_ENDPOINT = 2048
_MAX_TEXT = 1024
_MAX_REASON = 4096
_MAX_REVISION = 2**31 - 1
# Names that DNS takes, or an IPv6 address.
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?!.{{254}}){_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """What the registry says about one target. ``version`` 0 means: not written yet."""

    model: str
    environment: str
    status: str = "pending"
    desired_state: str = "enabled"
    endpoint: str | None = None
    namespace: str | None = None
    release_name: str | None = None
    release_revision: int | None = None
    manifest_digest: str | None = None
    chart_version: str | None = None
    image: str | None = None
    model_source: str | None = None
    model_revision: str | None = None
    status_reason: str | None = None
    last_health_check_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None
    version: int = 0

    @property
    def route(self) -> str | None:
        """The endpoint that routers send requests to; None while they send none."""
        return self.endpoint if self.status == "ready" else None


#: Attribute → column of ``model_registry_entries``, in the order of the class.
COLUMNS: dict[str, str] = {
    "model": "model_name",
    "environment": "deployment_environment",
    "status": "deployment_status",
    "desired_state": "desired_state",
    "endpoint": "deployment_endpoint",
    "namespace": "deployment_namespace",
    "release_name": "release_name",
    "release_revision": "release_revision",
    "manifest_digest": "manifest_digest",
    "chart_version": "chart_version",
    "image": "image",
    "model_source": "model_source",
    "model_revision": "model_revision",
    "status_reason": "status_reason",
    "last_health_check_at": "last_health_check_at",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "updated_by": "updated_by",
    "version": "row_version",
}
#: What a caller may set; the rest is the key, or stamped by the database.
WRITABLE = (
    "status",
    "desired_state",
    "endpoint",
    "namespace",
    "release_name",
    "release_revision",
    "manifest_digest",
    "chart_version",
    "image",
    "model_source",
    "model_revision",
    "status_reason",
)
_OPERATORS_OWN = {"status", "desired_state", "status_reason"}
_PLAIN_TEXT = ("chart_version", "image", "model_source", "model_revision")


def check_target(model: str, environment: str) -> None:
    """Raise an ``invalid`` error unless both can name a target."""
    check_model(model)
    check_environment(environment)


def check_status(status: str) -> None:
    """Raise an ``invalid`` error for an unknown status."""
    if status not in STATUSES:
        raise invalid("status", status, "is unknown", f"Give one of {', '.join(STATUSES)}.")


def check_desired_state(desired_state: str) -> None:
    """Raise an ``invalid`` error for an unknown desired state."""
    if desired_state not in DESIRED_STATES:
        raise invalid(
            "desired_state", desired_state, "is unknown", f"Give one of {', '.join(DESIRED_STATES)}."
        )


def check_changes(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a caller sets, checked. None leaves a value alone, '' removes it."""
    changes: dict[str, Any] = {}
    for field in WRITABLE:
        value = params.get(field)
        if value is None:
            continue
        changes[field] = None if value == "" else _checked(field, value)
    for field, known in (("status", STATUSES), ("desired_state", DESIRED_STATES)):
        if field in changes and changes[field] is None:
            raise invalid(field, "", "is empty", f"Give one of {', '.join(known)}, or leave it out.")
    return changes


def _checked(field: str, value: Any) -> Any:
    if field == "status":
        check_status(value)
    elif field == "desired_state":
        check_desired_state(value)
    elif field == "endpoint":
        return check_endpoint(value)
    elif field == "namespace":
        check_namespace(value)
    elif field == "release_name":
        check_release_name(value, field)
    elif field == "release_revision":
        if not 0 < value <= _MAX_REVISION:
            raise invalid(field, value, "is no revision", "Helm counts revisions from 1.")
    elif field == "manifest_digest":
        if not _DIGEST.fullmatch(value):
            raise invalid(
                field, value, "is no SHA-256", "Give 64 hex digits in lower case, with or without sha256:."
            )
    elif field == "status_reason":
        return excerpt(value, _MAX_REASON - 100) or None
    elif field in _PLAIN_TEXT:
        return _check_text(field, value)
    return value


def _check_text(field: str, value: str) -> str:
    if len(value) > _MAX_TEXT or not value.isprintable():
        raise invalid(
            field,
            redact_text(value),
            f"is longer than {_MAX_TEXT} characters or holds unprintable ones",
            "Give it on one line.",
        )
    # A source may be a URL with a token in it; rows are read by many.
    return redact_text(value)


def check_endpoint(endpoint: str) -> str:
    """Return the base URL without a slash at its end, or raise an ``invalid`` error."""
    advice = "Give the base URL of the model server without /v1, such as http://name.namespace.svc.cluster.local:8000."
    shown = redact_text(endpoint)
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise invalid("endpoint", shown, f"is no URL: {error}", advice) from None
    # urlsplit drops line ends silently.
    if not endpoint.isprintable():
        raise invalid("endpoint", shown, "holds unprintable characters", advice)
    if not endpoint.startswith(("http://", "https://")):
        raise invalid("endpoint", shown, "does not begin with http:// or https://", advice)
    if "@" in parts.netloc:
        raise invalid(
            "endpoint", shown, "holds a user or a password", "Put credentials into a Secret. " + advice
        )
    host = parts.netloc.removesuffix(f":{port}") if port is not None else parts.netloc
    if not _HOST.fullmatch(host) or port == 0:
        raise invalid("endpoint", shown, "has no valid host and port", advice)
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path) or endpoint.endswith(("?", "#")):
        raise invalid(
            "endpoint", shown, "holds a query, a fragment, or characters that need encoding", advice
        )
    if len(endpoint) > _MAX_ENDPOINT:
        raise invalid("endpoint", shown, f"has more than {_MAX_ENDPOINT} characters", advice)
    return endpoint.rstrip("/")


def merged(seen: Entry, changes: Mapping[str, Any]) -> Entry:
    """Return the entry after the changes.

    - A reason belongs to its status and goes when that changes.
    - Whoever sets the status ``disabled`` wants it to last, unless they say otherwise.
    - While the operator wants it disabled, a request for ``ready`` or ``degraded`` is stored as ``disabled``:
      a deployment never enables what a person disabled.
    """
    after = replace(seen, **changes)
    if changes.get("status") == "disabled" and "desired_state" not in changes:
        after = replace(after, desired_state="disabled")
    if after.desired_state == "disabled" and after.status in ("ready", "degraded"):
        after = replace(after, status="disabled")
        if seen.status == "disabled":
            # The reason of whoever disabled it, not that of a deployment which did not enable it.
            after = replace(after, status_reason=seen.status_reason)
    if after.status != seen.status and "status_reason" not in changes:
        after = replace(after, status_reason=None)
    if after.status == "ready" and not after.endpoint:
        raise invalid(
            "status",
            after.status,
            "needs an endpoint, and the entry has none",
            "Set endpoint to the URL that was verified.",
        )
    return after


def is_overruled(changes: Mapping[str, Any], after: Entry) -> bool:
    """Tell whether a status was asked for that the desired state forbids."""
    return "status" in changes and changes["status"] != after.status


def changes_only_desired_state(before: Entry, after: Entry) -> bool:
    """Tell whether a change says only what a person wants, and at most stops the requests.

    Such a change needs no lock: a model that misbehaves is disabled at once, whoever deploys it right now.
    """
    fields = set(changed_fields(before, after))
    return (
        fields <= _OPERATORS_OWN
        and ("desired_state" in fields or "status" in fields)
        and after.status in (before.status, "disabled")
    )


def changed_fields(before: Entry, after: Entry) -> dict[str, Any]:
    """Return the writable fields that differ, with their new values."""
    return {
        field: getattr(after, field) for field in WRITABLE if getattr(before, field) != getattr(after, field)
    }


def as_json(entry: Entry) -> dict[str, Any]:
    """Return the entry as JSON types; timestamps are RFC 3339 in UTC."""
    return {
        field: rfc3339(value) if isinstance(value := getattr(entry, field), datetime) else value
        for field in COLUMNS
    }


def shown(entry: Entry | None) -> dict[str, Any]:
    """Return what a diff shows: the fields that people set, not the stamps."""
    if entry is None:
        return {}
    everything = as_json(entry)
    return {field: everything[field] for field in ("model", "environment", *WRITABLE)}


def rfc3339(moment: datetime) -> str:
    """Return a timestamp in UTC with microseconds. One without zone comes from an older table and is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
