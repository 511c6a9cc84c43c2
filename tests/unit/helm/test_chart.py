# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chart's digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.helm.chart import chart_digest


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """Return a folder with some files."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("name: x")
    (tmp_path / "templates" / "a.yaml").write_text("kind: A")
    return tmp_path


def test_digest_changes_with_names_and_contents_and_nothing_else(chart: Path) -> None:
    first = chart_digest(chart)
    assert first.startswith("sha256:")
    (chart / ".cache").write_text("anything")
    (chart / "Chart.yaml").touch()
    assert chart_digest(chart) == first
    (chart / "templates" / "a.yaml").rename(chart / "templates" / "b.yaml")
    renamed = chart_digest(chart)
    (chart / "Chart.yaml").write_text("name: y")
    assert len({first, renamed, chart_digest(chart)}) == 3
