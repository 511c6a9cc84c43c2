# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real helm binaries. No cluster is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import lab_folder


@pytest.fixture(scope="session", params=["helm", "helm3"])
def helm_binary(request: pytest.FixtureRequest) -> Path:
    """Return the path of Helm 4, then of Helm 3."""
    path = lab_folder() / "bin" / str(request.param)
    assert path.exists(), f"{path} is missing: make lab builds it"
    return path
