# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a difference between what was installed and the cluster."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.drift import (
    _fields,
    differences,
)

WANTED: dict[str, Any] = {
    "replicas": 2,
    "command": ["vllm"],
    "args": ["serve", "--port", "8000"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
    "ports": [{"name": "http", "containerPort": 8000}],
    "resources": {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1}},
    "volumeMounts": [
        {"name": "cache", "mountPath": "/a", "subPath": "weights"},
        {"name": "cache", "mountPath": "/b", "subPath": "kernels"},
    ],
    "probe": {"httpGet": {"port": "http", "path": "/health"}},
    "hostNetwork": False,
    "nothing": None,
}


def _lines(*compared: Any) -> list[str]:
    return [str(item) for item in differences(*compared)]


def live(**changes: Any) -> dict[str, Any]:
    """Return what an API server makes of it: defaults added, quantities rewritten, named lists reordered."""
    made = copy.deepcopy(WANTED)
    del made["hostNetwork"], made["nothing"]
    made["progressDeadlineSeconds"] = 600
    made["env"] = [{"name": "INJECTED", "value": "x"}, {"name": "B"}, {"name": "A", "value": "1"}]
    made["ports"][0]["protocol"] = "TCP"
    made["resources"]["limits"] = {"cpu": "2000m", "memory": "1024Mi", "nvidia.com/gpu": "1"}
    made["volumeMounts"].reverse()
    return {**made, **changes}


def test_what_the_api_server_makes_of_it_is_no_difference() -> None:
    assert _lines(WANTED, live()) == []


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"replicas": 5}, ["replicas is 5 instead of 2"]),
        ({"replicas": None}, ["replicas is None instead of 2"]),
        ({"command": ["sh"]}, ["command[0] is 'sh' instead of 'vllm'"]),
        ({"args": ["serve", "--port"]}, ["args[2] is None instead of '8000'"]),
        ({"args": ["serve", "--port", "8000", "-x"]}, ["args[3] is '-x' instead of nothing"]),
        ({"env": [{"name": "A", "value": "1"}]}, ["env[B].name is None instead of 'B'"]),
        (
            {"env": [{"name": "A", "value": "2"}, {"name": "B"}]},
            ["env[A].value is '2' instead of '1'"],
        ),
        ({"env": None}, None),
        ({"env": "text"}, None),
        ({"resources": {"limits": {"cpu": "3", "memory": "1Gi", "nvidia.com/gpu": "1"}}}, None),
        ({"resources": {}}, None),
        ({"hostNetwork": True}, ["hostNetwork is True instead of False"]),
        (
            {"probe": {"httpGet": {"port": 8000, "path": "/health"}}},
            ["probe.httpGet.port is 8000 instead of 'http'"],
        ),
        (
            {"volumeMounts": [{"name": "cache", "mountPath": "/a", "subPath": "weights"}]},
            ["volumeMounts[/b].name", "volumeMounts[/b].mountPath", "volumeMounts[/b].subPath"],
        ),
    ],
)
def test_what_somebody_changed_is_a_difference(changes: dict[str, Any], lines: list[str] | None) -> None:
    found = _lines(WANTED, live(**changes))
    if lines is None:
        assert found
    else:
        assert len(found) == len(lines)
        for line, start in zip(found, lines, strict=True):
            assert line.startswith(start)


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        ("500m", 0.5, True),
        ("1Gi", "1073741824", True),
        (8000, "8000", True),
        ("0.1", "100m", True),
        ("", None, True),
        (False, None, True),
        (0, None, True),
        (None, "anything", True),
        ("1Gi", "1G", False),
        (True, None, False),
        (True, "true", False),
        (1, True, False),
        ("a", "b", False),
        ("a", None, False),
        ("-1", "-1", True),
        ("-1", "-2", False),
        ("a", {}, False),
        ("http", 80, False),
    ],
)
def test_scalars(wanted: object, found: object, same: bool) -> None:
    assert (not _lines({"x": wanted}, {"x": found})) == same


def test_items_that_share_a_name_are_compared_by_place() -> None:
    wanted = [{"key": "gpu", "effect": "NoSchedule"}, {"key": "gpu", "effect": "NoExecute"}]
    assert _lines(wanted, copy.deepcopy(wanted), "tolerations") == []
    assert _lines(wanted, wanted[:1], "tolerations") == [
        "tolerations[1].key is None instead of 'gpu'",
        "tolerations[1].effect is None instead of 'NoExecute'",
    ]


_SCALARS = st.none() | st.booleans() | st.integers(0, 10**6) | st.text(max_size=6)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_nothing_differs_from_itself(data: Any) -> None:
    assert _lines(data, copy.deepcopy(data)) == []


@given(_JSON, _JSON)
def test_any_two_things_can_be_compared(wanted: Any, found: Any) -> None:
    assert all(line for line in _lines(wanted, found))


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("spec.replicas", "is 1 instead of 2"),
        ("spec.template.spec.containers[vllm].image", "is 1 instead of 2"),
        ("spec.template.spec.containers[vllm].args[3]", ""),
        ("spec.template.spec.containers[vllm].command[2]", ""),
        ("spec.template.spec.containers[vllm].env[ANYTHING].value", ""),
        ("metadata.annotations.note", ""),
        ("data.config", ""),
    ],
)
def test_what_may_be_anything_is_told_by_its_place(field: str, told: str) -> None:
    def made(value: int) -> Any:
        found: Any = value
        for part in reversed(re.findall(r"[^.\[\]]+|\[[^\]]+\]", field)):
            if part.startswith("["):
                name = part[1:-1]
                found = [0] * int(name) + [found] if name.isdecimal() else [{"name": name, **found}]
            else:
                found = {part: found}
        return found

    (drift,) = _fields("Deployment/m", made(2), made(1))
    assert str(drift) == f"Deployment/m: {field} {told or 'differs'}"
