# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of all tests, and the order: what breaks the lab on purpose comes last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, PlayRunner


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run quick tests first and disruptive ones last."""

    def rank(item: pytest.Item) -> tuple[bool, bool]:
        in_unit = item.path.is_relative_to(ROOT / "tests" / "unit")
        return (item.get_closest_marker("disruptive") is not None, not in_unit)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture
def play(tmp_path: Path) -> PlayRunner:
    """Return a runner of real playbooks, with files of its own."""
    return PlayRunner(tmp_path)
