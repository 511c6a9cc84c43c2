# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gates make an error of what nobody foresaw; in tests that would hide a mistake of ours."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import gate


@pytest.fixture(autouse=True)
def defects_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise what no reading should raise."""
    monkeypatch.setattr(gate, "unforeseen", _raised)


def _raised(error: Exception) -> None:
    raise error
