# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels that tell clusters apart are names and texts, and never narrow what the gates look at."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.matchers import (
    OURS,
    checked_matchers,
)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, {}),
        ({}, {}),
        ({"cluster": "eu-1", "_zone2": 'a"\\\n{}é'}, {"cluster": "eu-1", "_zone2": 'a"\\\n{}é'}),
        ({"shard": 1}, {"shard": "1"}),
    ],
)
def test_labels_are_taken(given: dict[str, Any] | None, found: dict[str, str]) -> None:
    assert checked_matchers(given) == found


@pytest.mark.parametrize(
    "given",
    [
        *({name: "x"} for name in ("", "1a", "a-b", "a b", 'a"}', "é", "__name__", *OURS)),
        *({"cluster": value} for value in ("", None, True, 1.5, ["eu"], "\ud800")),
        {1: "x"},
    ],
)
def test_what_is_no_label_is_refused(given: dict[Any, Any]) -> None:
    with pytest.raises(PlatformError, match=r"prometheus\.labels") as caught:
        checked_matchers(given)
    assert caught.value.error_class is ErrorClass.INVALID
