# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is carried and what an environment owns: no value of the chart is on both sides, or on none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.carried import (
    ENVIRONMENT_KEYS,
    check_keys,
    contradictions,
    divide,
    merged,
)
from tests.support.chart import CHART, ENVIRONMENTS

Values = dict[str, Any]

DIVIDED: list[tuple[Values, Values, Values]] = [
    ({}, {}, {}),
    ({"replicas": 2, "command": ["vllm"]}, {"command": ["vllm"]}, {"replicas": 2}),
    (
        {"image": {"tag": "v1", "pullPolicy": "Always"}},
        {"image": {"tag": "v1"}},
        {"image": {"pullPolicy": "Always"}},
    ),
    # All that is below a key is its owner's.
    ({"scheduling": {"nodeSelector": {"a": "b"}}}, {}, {"scheduling": {"nodeSelector": {"a": "b"}}}),
    # Only requests are the environment's: what a container may use at most is carried.
    (
        {"gpu": {"count": 2, "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}},
        {"gpu": {"count": 2, "resources": {"limits": {"cpu": "2"}}}},
        {"gpu": {"resources": {"requests": {"cpu": "1"}}}},
    ),
    ({"gpu": {"resources": {"requests": {}}}}, {}, {"gpu": {"resources": {"requests": {}}}}),
    # Nothing was said, which is carried as well.
    ({"gpu": {"resources": {}}}, {"gpu": {"resources": {}}}, {}),
    ({"gpu": None, "secrets": None}, {"gpu": None}, {"secrets": None}),
    # A name that only begins like a key is another one.
    ({"replicasMax": 2, "tests": 1}, {"replicasMax": 2, "tests": 1}, {}),
]


@pytest.mark.parametrize(("values", "carried", "owned"), DIVIDED)
def test_values_are_divided(values: Values, carried: Values, owned: Values) -> None:
    given = deepcopy(values)
    found = divide(values)
    assert (found.carried, found.owned) == (carried, owned)
    assert merged(found.carried, found.owned) == values == given


def test_keys_of_an_inventory_are_owned_too() -> None:
    values = {"image": {"repository": "mirror/vllm", "tag": "v1"}}
    found = divide(values, check_keys(["image.repository"]))
    assert (found.carried, found.owned) == (
        {"image": {"tag": "v1"}},
        {"image": {"repository": "mirror/vllm"}},
    )


_NAMES = st.sampled_from("abc")
_VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda below: st.dictionaries(_NAMES, below, max_size=3),
    max_leaves=12,
)
_KEYS = st.lists(st.lists(_NAMES, min_size=1, max_size=3).map(".".join), max_size=4)


@given(st.dictionaries(_NAMES, _VALUES, max_size=3), _KEYS)
def test_what_was_divided_is_the_same_when_put_together(values: Values, keys: list[str]) -> None:
    found = divide(values, keys)
    assert merged(found.carried, found.owned) == values
    assert divide(found.carried, keys).owned == divide(found.owned, keys).carried == {}


@pytest.mark.parametrize(
    "key",
    ["model", "model.revision", "model.extraArgs", "image", "image.tag", "image.digest", "command",
     "command.x", "engineVersion", "", ".", "a.", ".a", "a..b"],
)  # fmt: skip
def test_what_was_proven_is_no_environments_own(key: str) -> None:
    with pytest.raises(PlatformError, match="environment_keys") as caught:
        check_keys(["image.repository", key])
    assert caught.value.error_class is ErrorClass.INVALID


@pytest.mark.parametrize("key", ["image.repository", "modelling", "gpu.count", "drain"])
def test_other_keys_may_be_owned(key: str) -> None:
    assert check_keys([key]) == (*ENVIRONMENT_KEYS, key)


def test_what_an_inventory_says_otherwise_is_told_and_what_it_leaves_out_is_not() -> None:
    carried = {"model": {"revision": "abc", "maxModelLen": 8192}, "drain": {"preStopSeconds": 15}}
    inventory = {"model": {"revision": "main"}, "replicas": 3, "command": ["sh"]}
    assert contradictions(carried, inventory) == [
        "values.command: ['sh'] -> nothing",
        "values.model.revision: main -> abc",
    ]
    assert contradictions(carried, {"model": {"maxModelLen": 8192}, "replicas": 3}) == []


#: Where a change of the chart's values changes what was proven. All else is the environment's own. A key that
#: is new to the chart has to be put on one of the sides by hand: on this one, unless somebody says otherwise.
CARRIED = (
    "model", "image.repository", "image.tag", "image.digest", "engineVersion", "command", "gpu.resource",
    "gpu.count", "gpu.resources.limits", "gpu.shmSize", "sizes", "probes", "drain", "cache", "service.port",
    "service.host", "rbac", "podSecurityContext", "securityContext", "gpu.extraResources", "initContainers",
    "sidecars", "extraVolumes", "extraVolumeMounts", "extraObjects",
)  # fmt: skip


@lru_cache
def _chart_values() -> Values:
    values: Values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    values["gpu"]["resources"] = {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}
    return values


def chart_values() -> Values:
    """Return a value for every key of the chart."""
    return deepcopy(_chart_values())


def paths(values: Values, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, (*at, name))
        else:
            yield (*at, name)


def other(value: Any) -> Any:
    """Return another value of the kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "other"]
    if isinstance(value, dict):
        return {**value, "other": "x"}
    return f"{value}x"


def is_carried(path: tuple[str, ...]) -> bool:
    key = ".".join(path)
    return any(key == one or key.startswith(f"{one}.") for one in CARRIED)


def changed_at(path: tuple[str, ...], *, gone: bool = False) -> Values:
    """Return the chart's values with another one in this place, or with none."""
    values = chart_values()
    below = values
    for name in path[:-1]:
        below = below[name]
    value = below.pop(path[-1])
    if not gone:
        below[path[-1]] = other(value)
    return values


def carried_request(inventory: Values) -> str:
    """Return what is asked for in the target, each byte of it."""
    values = merged(divide(chart_values()).carried, divide(inventory).owned)
    return json.dumps(values, sort_keys=True)


LEAVES = list(paths(chart_values()))


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_an_inventory_changes_what_its_environment_owns_and_no_byte_of_anything_else(
    path: tuple[str, ...],
) -> None:
    unchanged = carried_request(chart_values())
    assert (carried_request(changed_at(path)) == unchanged) is is_carried(path)
    assert (carried_request(changed_at(path, gone=True)) == unchanged) is is_carried(path)
    # And the other way round, of what the source says.
    assert (divide(changed_at(path)).carried == divide(chart_values()).carried) is not is_carried(path)


def test_every_key_that_is_owned_is_one_of_the_chart() -> None:
    known = {".".join(path[:length]) for path in LEAVES for length in range(1, len(path) + 1)}
    assert {*ENVIRONMENT_KEYS, *CARRIED} <= known


@pytest.mark.parametrize("tier", ENVIRONMENTS)
def test_a_tiers_file_of_the_chart_says_nothing_that_is_carried(tier: str) -> None:
    values = yaml.safe_load((CHART / f"values-{tier}.yaml").read_text("utf-8"))
    assert divide(values).carried == {}
    assert divide(values).owned == values
