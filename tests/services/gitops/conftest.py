# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real repositories, and the module called in process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import gitops_files
from tests.support.chart import CHART, MODEL
from tests.support.git_server import Bare
from tests.support.module_arguments import with_defaults

Write = Callable[..., Outcome]
SOURCE = "https://git.example.com/models.git"


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """Return an empty repository."""
    return Bare.empty(tmp_path / "models.git")


@pytest.fixture
def write(bare: Bare) -> Write:
    """Return a function that runs the module on the repository."""

    def run(*, check_mode: bool = False, progress: Callable[[str], None] = print, **given: Any) -> Outcome:
        arguments = {
            "model": MODEL,
            "environment": "staging",
            "namespace": "llm-staging",
            "chart_path": str(CHART),
            "repository": bare.url,
            "source_repository": SOURCE,
            "timeout": 30.0,
            **given,
        }
        context = Context(check_mode=check_mode, diff=True, progress=progress)
        return gitops_files.run(with_defaults(gitops_files.ARGUMENT_SPEC, **arguments), context)

    return run
