# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' text format is read as Prometheus reads it, and nothing else is taken for it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.exposition import (
    ExpositionError,
    Sample,
    parse_exposition,
)
from llmops_router.metrics import Metrics


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("up 1", "up", {}, 1),
        ("  up\t1.5e3   1700000000000 ", "up", {}, 1500),
        ("up{} -.5", "up", {}, -0.5),
        ("up{}1", "up", {}, 1),
        ('vllm:num{a="b",} +Inf', "vllm:num", {"a": "b"}, math.inf),
        ('up { a = "b" , c="d" } -Inf', "up", {"a": "b", "c": "d"}, -math.inf),
        (r'up{m="a\"b\\c\nd,}{= e"} 0', "up", {"m": 'a"b\\c\nd,}{= e'}, 0),
        ('up{m="\u2028\x85é"} 2', "up", {"m": "\u2028\x85é"}, 2),
        (r'up{m="\\n"} 2', "up", {"m": "\\n"}, 2),
    ],
)
def test_samples(line: str, name: str, labels: dict[str, str], value: float) -> None:
    text = f"# HELP up What it is\n\n# TYPE up gauge\n{line}\n"
    assert parse_exposition(text) == [Sample(name, labels, value)]


def test_not_a_number() -> None:
    (sample,) = parse_exposition("up NaN")
    assert math.isnan(sample.value)


@pytest.mark.parametrize(
    "line",
    [
        "up", "up one", "up 1_000", "up 0x10", "up 1 2 3", "up{a=b} 1", 'up{a="b"', 'up{a="b" c="d"} 1',
        "1up 1", 'up{a="b",a="c"} 1', r'up{a="\t"} 1', "up-1", "up+Inf", "up infinity", 'up{a="b"}', "<html>",
        '{"a": 1}', 'up{1="b"} 1', 'up{a="b"}} 1',
    ],
)  # fmt: skip
def test_what_is_no_sample_is_refused(line: str) -> None:
    with pytest.raises(ExpositionError, match="line 2"):
        parse_exposition(f"up 1\n{line}\n")


@pytest.mark.parametrize("again", ["up 1", "up 2", "up{} 1", 'd{b="2",a="1"} 3'])
def test_a_series_that_comes_twice_is_refused(again: str) -> None:
    with pytest.raises(ExpositionError, match="line 4 repeats a series"):
        parse_exposition(f'up 1\nd{{a="1",b="2"}} 3\nd{{a="1"}} 3\n{again}\n')


@settings(max_examples=30)
@given(st.text(min_size=1))
def test_any_name_of_a_model_comes_back(model: str) -> None:
    """The router's own library wrote it."""
    try:
        model.encode()
    except UnicodeEncodeError:
        return
    metrics = Metrics()
    metrics.answered(model, 200, 0.2)
    found = {sample.name: sample for sample in parse_exposition(metrics.render().decode())}
    assert found["llmops_router_requests_total"].labels == {"model": model, "status": "200"}
    assert found["llmops_router_requests_total"].value == 1
