# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files as a tree of a store has them, and targets to write, for tests of what is written to Git."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.application import (
    ApplicationOptions,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.chart import CHART, MODEL

SOURCE = "https://git.example.com/models.git"
OPTIONS = ApplicationOptions(source_repository=SOURCE)


@dataclass
class Files:
    """Files in memory, to which changes can be made."""

    content: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file."""
        return self.content.get(path)

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder."""
        inside = f"{folder}/"
        return {
            path.removeprefix(inside): data for path, data in self.content.items() if path.startswith(inside)
        }

    def apply(self, changes: Changes) -> None:
        """Make changes."""
        self.content |= changes.all_writes
        for path in changes.removals:
            del self.content[path]


def request(environment: str = "staging", model: str = MODEL, **options: Any) -> ReleaseRequest:
    """Return a request for the real chart."""
    given = {"namespace": f"llm-{environment}", "chart": str(CHART), **options}
    return ReleaseRequest.build(model=model, environment=environment, **given)
