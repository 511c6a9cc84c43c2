# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A survey's answers become a host of the inventory, or an error that names the answer."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.surveyed_model import (
    SurveyedModel,
    surveyed_model,
)

GROUPS = ("all", "models", "pool_l40s", "pool_h100")
HOSTS = {"qwen2-5-7b": "Qwen/Qwen2.5-7B-Instruct", "gpt-oss": "org/gpt"}
OTHERS = ("bastion",)


def asked(**answers: Any) -> SurveyedModel:
    """Return the host of these answers."""
    return surveyed_model({"model": "org/new-7b", **answers}, GROUPS, HOSTS, OTHERS)


def test_all_answers_as_text() -> None:
    found = asked(
        model="mistral-7b",
        replicas="2",
        gpus=" 4 ",
        image_tag="v0.33.0",
        revision="abc",
        size_billions="7.5",
        max_model_len="8192",
        pool="h100",
        values="model:\n  dtype: auto\n  maxModelLen: 1\nreplicas: 9\n",
    )
    assert (found.host, found.model, found.groups) == ("mistral-7b", "mistral-7b", ["models", "pool_h100"])
    assert found.chart_values == {
        "replicas": 2,
        "gpu": {"count": 4},
        "image": {"tag": "v0.33.0"},
        "model": {"dtype": "auto", "revision": "abc", "sizeBillions": 7.5, "maxModelLen": 8192},
    }


def test_empty_answers_are_none() -> None:
    empty = dict.fromkeys(
        ("replicas", "gpus", "image_tag", "revision", "size_billions", "max_model_len", "pool", "values"), ""
    )
    found = asked(**empty)
    assert (found.groups, found.chart_values) == (["models"], {})


def test_zero_replicas_are_an_answer() -> None:
    assert asked(replicas="0", size_billions="7").chart_values == {
        "replicas": 0,
        "model": {"sizeBillions": 7},
    }


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"model": ""}, "model: '' is empty"),
        ({"model": "{{ lookup('pipe', 'id') }}"}, "model: "),
        ({"model": "a\nb"}, "model: "),
        ({"model": "['a']"}, "looks like a list"),
        ({"model": "Qwen/Qwen2.5-7B-Instruct"}, "is host qwen2-5-7b of the inventory"),
        ({"model": "gpt-oss"}, "would be called gpt-oss"),
        ({"model": "models"}, "would be called models"),
        ({"model": "bastion"}, "would be called bastion, as a host of the inventory that is no model"),
        ({"model": "localhost"}, "would be called localhost, as the machine that plays it"),
        ({"pool": "l41s"}, "no pool of the inventory. Give one of h100, l40s."),
        ({"pool": "pool_../x"}, "no pool of the inventory"),
        ({"replicas": "two"}, "replicas: 'two' is no number"),
        ({"replicas": "1.5"}, "is no whole number"),
        ({"gpus": "-1"}, "gpus: '-1' is no number"),
        ({"gpus": True}, "gpus: True is no number"),
        ({"size_billions": "inf"}, "size_billions: 'inf' is no number"),
        ({"values": "- a"}, "values: 'the text' is no mapping but of type list"),
        ({"values": "a: [\n"}, "values: 'the text' is no YAML in line 2"),
        ({"values": "a: !!python/object/apply:os.system [id]"}, "is no YAML"),
        ({"values": 7}, "values: 'int' is no mapping"),
        ({"values": "gpu: 3", "gpus": "2"}, "values.gpu: "),
    ],
)
def test_wrong_answers_are_named(answers: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError) as caught:
        asked(**answers)
    assert message in str(caught.value)
    assert caught.value.error_class is ErrorClass.INVALID
