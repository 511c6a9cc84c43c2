# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions hold any name of a model, and times as Prometheus reads them."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics import promql


def test_labels_are_escaped() -> None:
    assert promql.selector(model='a"b\\c\nd\re/é', job="x") == r'{model="a\"b\\c\nd\re/é",job="x"}'


def test_labels_of_the_users_are_added_and_escaped() -> None:
    assert promql.selector({"cluster": 'eu"1'}, job="x") == r'{job="x",cluster="eu\"1"}'


@pytest.mark.parametrize(
    ("seconds", "said"), [(300, "300s"), (1.5, "1500ms"), (0.0001, "1ms"), (86400.0, "86400s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert promql.duration(seconds) == said
