# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A target's files as they are in Git, and what Helm is given of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..cluster.client import JSONObject
from ..cluster.manifests import parse_manifest
from ..common.errors import PlatformError, invalid
from ..helm.binary import ReleaseSpec
from ..helm.chart import digest_of_files
from ..release.request import ReleaseTarget
from .changes import counted_files
from .count import Count
from .layout import Layout, values_from_chart
from .tree import Tree

_ADVICE = "Restore it from the repository's history, or remove the target's files there and deploy it anew."


@dataclass(frozen=True)
class TargetFiles:
    """What the files of a target say."""

    application: JSONObject
    chart_path: str  #: the folder in the repository
    chart: Mapping[str, bytes]
    tier_files: tuple[str, ...]  #: files of values in the chart that come before the target's own
    values: Mapping[str, Any]

    @property
    def count(self) -> Count:
        """Which revision it is."""
        return Count.of(self.application["metadata"].get("annotations") or {})

    @property
    def chart_digest(self) -> str:
        """SHA-256 of the chart."""
        return digest_of_files(self.chart)

    @property
    def all_values(self) -> dict[str, Any]:
        """All values that are given to the chart, the later file winning."""
        found: dict[str, Any] = {}
        for name in self.tier_files:
            found = _merged(found, _mapping(self.chart[name], name))
        return _merged(found, self.values)

    @contextmanager
    def spec(self, target: ReleaseTarget, run_folder: Path | None) -> Iterator[ReleaseSpec]:
        """Return what Helm is given, with the chart in a folder that is there meanwhile."""
        with TemporaryDirectory(prefix="gitops-", dir=run_folder) as folder:
            chart = Path(folder)
            for name, content in self.chart.items():
                path = chart / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            files = tuple(chart / name for name in self.tier_files)
            yield ReleaseSpec(target.name, target.namespace, chart, files, self.values)


def read_target(tree: Tree, target: ReleaseTarget, layout: Layout) -> TargetFiles | None:
    """Return a target's files, None without an Application. Raises ``invalid`` for what is none of ours."""
    path, values_path = layout.application(target.name), layout.values(target.name)
    content = tree.read(path)
    if content is None:
        return None
    item = _mapping(content, path)
    try:
        source, destination = item["spec"]["source"], item["spec"]["destination"]
        chart_path, files = str(source["path"]), list(source["helm"]["valueFiles"])
        namespace, metadata = destination["namespace"], item["metadata"]
        name = metadata["name"]
    except (KeyError, TypeError) as error:
        raise invalid("path", path, "is not the Application of a model", _ADVICE) from error
    if (name, namespace) != (target.name, target.namespace):
        raise invalid(
            "namespace",
            target.namespace,
            f"is not what {path} says: {name} in {namespace}",
            "Give the namespace that it is delivered to, or remove it there first.",
        )
    *tier_files, own = files or [""]
    chart, values = counted_files(tree.files(chart_path)), tree.read(values_path)
    if own != values_from_chart(target.name) or values is None:
        raise invalid("path", path, f"does not take its values from {values_path}", _ADVICE)
    if not chart or any(name not in chart for name in tier_files):
        raise invalid("path", chart_path, "is not the chart that the Application names", _ADVICE)
    return TargetFiles(item, chart_path, chart, tuple(tier_files), _mapping(values, values_path))


def _mapping(content: bytes, path: str) -> dict[str, Any]:
    try:
        found = parse_manifest(content.decode())
    except (PlatformError, ValueError) as error:
        raise invalid("path", path, "is no YAML", _ADVICE) from error
    if len(found) > 1:
        raise invalid("path", path, "holds more than one document", _ADVICE)
    return dict(found[0]) if found else {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, as Helm merges files of values."""
    both = dict(below)
    for name, value in above.items():
        there = both.get(name)
        inner = isinstance(there, Mapping) and isinstance(value, Mapping)
        both[name] = _merged(there, value) if inner else value  # type: ignore[arg-type]
    return both
