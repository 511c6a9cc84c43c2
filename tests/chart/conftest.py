# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helm binaries that the chart is rendered with. No cluster is needed."""

from __future__ import annotations

import pytest

from tests.support.chart import HelmChart, helm_path


@pytest.fixture(scope="session", params=["helm", "helm3"])
def each_helm(request: pytest.FixtureRequest) -> HelmChart:
    """Return the chart as rendered by Helm 4, then by Helm 3."""
    return HelmChart(helm_path(request.param))


@pytest.fixture(scope="session")
def chart() -> HelmChart:
    """Return the chart as rendered by Helm 4."""
    return HelmChart(helm_path("helm"))
