# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helm binaries that the chart is rendered with. No cluster is needed."""

from __future__ import annotations

import pytest

from tests.support.chart import HelmChart
from tests.support.lab import lab_folder


def _chart(binary: str) -> HelmChart:
    path = lab_folder() / "bin" / binary
    assert path.exists(), f"{path} is missing: make lab builds it"
    return HelmChart(path)


@pytest.fixture(scope="session", params=["helm", "helm3"])
def each_helm(request: pytest.FixtureRequest) -> HelmChart:
    """Return the chart as rendered by Helm 4, then by Helm 3."""
    return _chart(request.param)


@pytest.fixture(scope="session")
def chart() -> HelmChart:
    """Return the chart as rendered by Helm 4."""
    return _chart("helm")
