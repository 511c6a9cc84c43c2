# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chart's folder: what it says of itself, and a digest of its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..cluster.manifests import parse_manifest
from ..common.errors import PlatformError, invalid


def chart_metadata(chart: Path) -> tuple[str, str]:
    """Return the name and the version that Chart.yaml gives. Raises ``invalid``."""
    try:
        metadata = parse_manifest((chart / "Chart.yaml").read_text("utf-8"))[0]
        return str(metadata["name"]), str(metadata["version"])
    except (OSError, KeyError, IndexError, TypeError, ValueError, PlatformError) as error:
        if isinstance(error, OSError):
            why = f"Chart.yaml in it cannot be read ({error.strerror})"
        else:
            why = "its Chart.yaml does not give a name and a version"
        raise invalid(
            "chart_path",
            str(chart),
            f"is not a Helm chart: {why}",
            "Give the folder of the chart vllm-deployment; role vllm brings it in files/chart.",
        ) from error


def chart_digest(chart: Path) -> str:
    """Return the SHA-256 over names and contents of a chart's files, those behind links too."""
    return digest_of_files(chart_files(chart))


def chart_files(chart: Path) -> dict[str, bytes]:
    """Return the contents of a chart's files, by their paths in the chart."""
    return {name: path.read_bytes() for name, path in _files(chart)}


def digest_of_files(files: Mapping[str, bytes]) -> str:
    """Return the digest of a chart with these files."""
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        line = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        # A name need not be UTF-8.
        total.update(line.encode(errors="surrogateescape"))
    return f"sha256:{total.hexdigest()}"


def _files(chart: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file with its path in the chart. Helm follows links to folders, so a change there counts."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(chart, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            # A link back to where it came from.
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(folder) / file
            # What editors and systems leave behind is no part of the chart.
            if path.is_file() and (not file.startswith(".") or file == ".helmignore"):
                yield path.relative_to(chart).as_posix(), path
