# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helm's own record of a release, read straight from its Secrets.

``helm list`` and ``helm status`` hide pending releases in some versions and cost a process each; the record
tells the truth about both. The format is the same for Helm 3 and 4.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ..cluster.client import ClusterClient, JSONObject, segment
from ..cluster.manifests import parse_manifest
from ..common.errors import ErrorClass, PlatformError

#: Helm's own name as a manager of fields.
HELM = "helm"

_SHORT = 40
_METADATA_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


# Labels of a record that say of what, and by which operation, the revision was made.
_OPERATION = "llmops.platform/operation"
_FENCE = "llmops.platform/fence"
_REVISION = "llmops.platform/revision"
_SOURCE = "llmops.platform/source"
_LEFT = "llmops.platform/left"


@dataclass(frozen=True)
class ReleaseRecord:
    """The newest revision of a release, as Helm stored it."""

    revision: int
    status: (
        str  #: deployed, failed, superseded, uninstalling, pending-install, pending-upgrade, pending-rollback
    )
    modified_at: datetime
    manifest: str
    config: dict[str, Any]  #: the values that were given, without the chart's defaults
    chart_name: str
    chart_version: str
    description: str
    secret: JSONObject  #: the Secret as read, so that a change of it can name its resourceVersion
    server_side: bool = False  #: Helm lets the API server apply, which refuses fields that others manage

    @cached_property
    def objects(self) -> list[JSONObject]:
        """The objects of the manifest."""
        return parse_manifest(self.manifest)

    @property
    def pending(self) -> bool:
        """Tell whether a helm process was, or is, in the middle of it."""
        return self.status.startswith("pending-")

    @property
    def fence(self) -> int | None:
        """Return the fence of the operation that made this revision; None for one that was made by hand."""
        fence = self._label(_FENCE)
        return int(fence) if fence.isdecimal() else None

    @property
    def source(self) -> str:
        """Return the digest of the chart and the values that this revision was made of; empty if unknown."""
        return self._label(_SOURCE)

    @property
    def left(self) -> str:
        """Return what this revision went back from, as :func:`short_digest` has it; empty if from nothing."""
        return self._label(_LEFT)

    def _label(self, name: str) -> str:
        """Return a label of this revision.

        Helm copies labels from revision to revision, whoever makes it, so they count for one of them only.
        """
        labels = self.secret["metadata"].get("labels") or {}
        return str(labels.get(name, "")) if labels.get(_REVISION) == str(self.revision) else ""


def revision_labels(
    revision: int, source: str, operation_id: str | None, fence: int, left: str | None = None
) -> dict[str, str]:
    """Return the labels for the record of a revision.

    They say what it is made of, by which operation, and what it goes back from.
    """
    labels = {_REVISION: str(revision), _SOURCE: source}
    if operation_id is not None:
        labels |= {_OPERATION: operation_id, _FENCE: str(fence)}
    if left:
        labels[_LEFT] = left
    if revision > 1:
        # Helm would copy those of the revision before; "null" is its word for no label.
        labels |= {name: "null" for name in (_OPERATION, _FENCE, _LEFT) if name not in labels}
    return labels


def short_digest(digest: str) -> str:
    """Return what a label, which takes 63 characters and no colon, can hold of a digest."""
    return digest.removeprefix("sha256:")[:_SHORT]


def read_revision(client: ClusterClient, name: str, namespace: str, revision: int) -> ReleaseRecord | None:
    """Return one revision of a release, None where Helm does not have it any more."""
    secret = f"sh.helm.release.v1.{name}.v{revision}"
    found = client.find(f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(secret)}")
    return None if found is None else parse_record(found)


def read_release(client: ClusterClient, name: str, namespace: str) -> ReleaseRecord | None:
    """Return the newest record of a release, or ``None`` if Helm knows none.

    Only the newest Secret is read whole: each may be close to a megabyte.
    """
    path = f"/api/v1/namespaces/{segment(namespace)}/secrets"
    query = {"labelSelector": f"owner=helm,name={name}"}
    listed = json.loads(client.request("GET", path, query, headers=_METADATA_ONLY).data)
    newest = max(listed.get("items") or [], key=_revision, default=None)
    if newest is None:
        return None
    secret = client.find(f"{path}/{segment(newest['metadata']['name'])}")
    return None if secret is None else parse_record(secret)


def parse_record(secret: JSONObject) -> ReleaseRecord:
    """Decode a release Secret; raises ``infrastructure`` if it does not hold a release."""
    name = secret["metadata"]["name"]
    try:
        release = _unpack(secret["data"]["release"])
        info = release["info"]
        chart = release["chart"]["metadata"]
        return ReleaseRecord(
            revision=int(release["version"]),
            status=str(info["status"]),
            modified_at=_modified_at(secret),
            manifest=str(release.get("manifest", "")),
            config=dict(release.get("config") or {}),
            chart_name=str(chart["name"]),
            chart_version=str(chart["version"]),
            description=str(info.get("description", "")),
            secret=secret,
            server_side=release.get("apply_method") == "ssa",
        )
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        EOFError,
        binascii.Error,
        zlib.error,
        OSError,
    ) as error:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"The release record {name} cannot be decoded: {error}.",
            "Helm's own storage is damaged: look at the Secret, and remove it if an older revision is good.",
        ) from error


def mark_failed(client: ClusterClient, record: ReleaseRecord, reason: str) -> None:
    """Turn a pending record into a failed one, which Helm accepts as the base of an upgrade.

    The Secret's ``resourceVersion`` goes along: if any helm process wrote since we read, the API server
    refuses (409) and nothing changes.
    """
    metadata = record.secret["metadata"]
    client.replace(
        f"/api/v1/namespaces/{segment(metadata['namespace'])}/secrets/{segment(metadata['name'])}",
        failed_copy(record, reason, datetime.now(UTC)),
    )


def failed_copy(record: ReleaseRecord, reason: str, now: datetime) -> JSONObject:
    """Return the record's Secret with the status ``failed`` and the reason as description."""
    secret: JSONObject = json.loads(json.dumps(record.secret))
    release = _unpack(secret["data"]["release"])
    release["info"]["status"] = "failed"
    release["info"]["description"] = reason
    packed = gzip.compress(json.dumps(release).encode())
    secret["data"]["release"] = base64.b64encode(base64.b64encode(packed)).decode()
    secret["metadata"]["labels"]["status"] = "failed"
    secret["metadata"]["labels"]["modifiedAt"] = str(int(now.timestamp()))
    return secret


def _unpack(data: str) -> JSONObject:
    # Once encoded by Helm, once by Kubernetes.
    release: JSONObject = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    return release


def _revision(item: JSONObject) -> int:
    return int(item["metadata"].get("labels", {}).get("version", 0))


def _modified_at(secret: JSONObject) -> datetime:
    """Return when the record was last written.

    A new revision inherits its predecessor's ``modifiedAt``, so the latest of all stamps counts.
    """
    metadata = secret["metadata"]
    labels = metadata.get("labels", {})
    stamps = [str(labels.get(name, "")) for name in ("createdAt", "modifiedAt")]
    moments = [datetime.fromtimestamp(int(stamp), UTC) for stamp in stamps if stamp.isdigit()]
    return max([*moments, datetime.fromisoformat(metadata["creationTimestamp"])])
