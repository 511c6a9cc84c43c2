# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a target's files are in the repository: one Application, one file of values, and charts that stay."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..common.errors import invalid

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHOWN = 12


@dataclass(frozen=True)
class Layout:
    """Paths below a folder of the repository, which is empty or ends with a slash."""

    folder: str = ""

    @classmethod
    def below(cls, path: str, field: str = "path") -> Layout:
        """Check the folder; raises ``invalid`` for one that could leave the repository."""
        parts = [part for part in path.split("/") if part]
        if path.startswith("/") or not all(_PART.fullmatch(part) for part in parts):
            raise invalid(
                field,
                path,
                "is no folder in a repository",
                "Use letters, digits, '.', '_' and '-', and no leading slash, such as eu/models.",
            )
        return cls("".join(f"{part}/" for part in parts))

    def application(self, release: str) -> str:
        """Return the path of a release's Application."""
        return f"{self.folder}applications/vllm-{release}.yaml"

    @property
    def keeper(self) -> str:
        """The file that keeps the folder of the Applications when the last one has gone."""
        return f"{self.folder}applications/.gitkeep"

    def values(self, release: str) -> str:
        """Return the path of a release's values."""
        return f"{self.folder}values/vllm-{release}.yaml"

    def chart(self, name: str, version: str, digest: str) -> str:
        """Return the folder of a chart, which no other content can have."""
        for what, value in (("name", name), ("version", version)):
            if not _CHART.fullmatch(value):
                raise invalid(
                    "chart_path", value, f"is no {what} that a folder can have", "Correct Chart.yaml."
                )
        if not _DIGEST.fullmatch(digest):
            raise invalid("chart_digest", digest, "is no SHA-256", "Deploy from a chart instead.")
        return f"{self.folder}charts/{name}-{version}-{digest.removeprefix('sha256:')[:_SHOWN]}"


def values_from_chart(release: str) -> str:
    """Return the path of a release's values as seen from the folder of a chart."""
    return f"../../{Layout().values(release)}"
