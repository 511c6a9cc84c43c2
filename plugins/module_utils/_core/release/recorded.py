# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manifest as it was recorded, in the place of a chart: what a release is brought back to.

Nothing is rendered again, so neither a newer chart nor another Helm nor what the cluster can do today changes
it. Helm takes charts only, so it is given one that holds the manifest, once for each strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cluster.client import ClusterClient, JSONObject
from ..cluster.manifests import dump_json
from ..common.deadline import Deadline
from ..common.errors import invalid
from ..common.redaction import HIDDEN
from ..helm.binary import ReleaseSpec
from ..helm.storage import read_revision
from .rendering import STRATEGIES, Renderer, manifest_digest, with_strategy
from .request import ReleaseRequest, ReleaseTarget

_TEMPLATE = '{{ .Files.Get (printf "manifest%s.yaml" (default "" .Values.strategy)) }}\n'


@dataclass(frozen=True)
class Recorded:
    """The manifest of a revision, complete, and what it was made of. Its digest was compared."""

    revision: int
    digest: str
    objects: list[JSONObject]
    values: Mapping[str, Any]
    values_redacted: bool  #: secrets are missing in the values; the objects have them
    chart_name: str
    chart_version: str
    chart_digest: str
    image_digest: str | None = None


def complete(
    client: ClusterClient,
    target: ReleaseTarget,
    *,
    revision: int,
    digest: str,
    objects: list[JSONObject] | None,
    values: Mapping[str, Any],
    values_redacted: bool,
    chart_name: str,
    chart_version: str | None,
    chart_digest: str | None,
    image_digest: str | None,
) -> Recorded:
    """Return a manifest from its record, or from Helm's own where the record leaves secrets out.

    Raises ``invalid`` where neither has the manifest that was recorded.
    """
    if objects is None or values_redacted:
        record = read_revision(client, target.name, target.namespace, revision)
        if record is not None and manifest_digest(record.objects) == digest:
            objects, values = record.objects, record.config
            values_redacted = HIDDEN in str(record.config)
    if objects is None:
        raise invalid(
            "to",
            f"revision {revision}",
            "holds secrets, so its manifest is not on record, and Helm has that revision no more",
            "Deploy it from its values, with secrets as references to Secrets; or name another revision.",
        )
    others = {item["metadata"].get("namespace") for item in objects} - {None, target.namespace}
    if others:
        raise invalid(
            "to",
            f"revision {revision}",
            f"is of another namespace, {', '.join(sorted(map(str, others)))}",
            f"Name a revision of {target.namespace}, or deploy from values.",
        )
    if manifest_digest(objects) != digest:
        raise invalid(
            "to",
            f"revision {revision}",
            f"has the digest {digest}, but what is on record has another one",
            "Somebody changed the database: name another revision, or deploy from values.",
        )
    return Recorded(
        revision,
        digest,
        objects,
        values,
        values_redacted,
        chart_name,
        chart_version or "0.0.0",
        chart_digest or "",
        image_digest,
    )


def write_chart(recorded: Recorded, folder: Path) -> Path:
    """Write a chart that renders to the manifest, with the strategy that its values name; return it."""
    metadata = {"apiVersion": "v2", "name": recorded.chart_name, "version": recorded.chart_version}
    (folder / "templates").mkdir(mode=0o700)
    (folder / "Chart.yaml").write_text(dump_json(metadata), "utf-8")
    (folder / "templates" / "manifest.yaml").write_text(_TEMPLATE, "utf-8")
    # Without a word it is the recorded one.
    for strategy in ("", *STRATEGIES):
        objects = with_strategy(recorded.objects, strategy) if strategy else recorded.objects
        (folder / f"manifest{strategy}.yaml").write_text(_as_text(objects), "utf-8")
    return folder


def request_of(
    recorded: Recorded, target: ReleaseTarget, folder: Path, *, strategy: str, force_conflicts: bool
) -> ReleaseRequest:
    """Return the request for a recorded manifest, whose chart is in a folder."""
    # How pods were replaced then says nothing about the room that there is now.
    values = {name: value for name, value in recorded.values.items() if name != "strategy"}
    return ReleaseRequest.build(
        model=target.model,
        environment=target.environment,
        namespace=target.namespace,
        name=target.name,
        chart=str(folder),
        values=values,
        tier=values.get("tier"),
        strategy=strategy,
        force_conflicts=force_conflicts,
    )


class RecordedRenderer(Renderer):
    """Says what the chart of a manifest renders to, without asking Helm."""

    def __init__(self, recorded: Recorded, request: ReleaseRequest, deadline: Callable[[], Deadline]) -> None:
        super().__init__(self._write, request, deadline)
        self._recorded = recorded

    @property
    def chart_digest(self) -> str:
        """SHA-256 of the chart that the manifest was rendered from."""
        return self._recorded.chart_digest

    def require_same_chart(self) -> None:
        """Nobody else has the folder."""

    def _write(self, spec: ReleaseSpec, deadline: Deadline) -> str:
        del deadline
        strategy = spec.values.get("strategy")
        return _as_text(
            with_strategy(self._recorded.objects, strategy) if strategy else self._recorded.objects
        )


def _as_text(objects: list[JSONObject]) -> str:
    """Return a multi-document manifest that every reader of YAML understands alike: each document is JSON."""
    return "".join(f"---\n{dump_json(item)}\n" for item in objects)
