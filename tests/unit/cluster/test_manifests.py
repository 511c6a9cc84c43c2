# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests as data, and what counts as a difference between them and the cluster."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    differences,
    digest_objects,
    dump_manifest,
    find_object,
    object_path,
    parse_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
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


def _digest(manifest: str) -> str:
    return digest_objects(parse_manifest(manifest))


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
    assert list(differences(WANTED, live())) == []


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
    found = list(differences(WANTED, live(**changes)))
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
    assert (not list(differences({"x": wanted}, {"x": found}))) == same


def test_items_that_share_a_name_are_compared_by_place() -> None:
    wanted = [{"key": "gpu", "effect": "NoSchedule"}, {"key": "gpu", "effect": "NoExecute"}]
    assert list(differences(wanted, copy.deepcopy(wanted), "tolerations")) == []
    assert list(differences(wanted, wanted[:1], "tolerations")) == [
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
    assert list(differences(data, copy.deepcopy(data))) == []


@given(_JSON, _JSON)
def test_any_two_things_can_be_compared(wanted: Any, found: Any) -> None:
    assert all(isinstance(line, str) for line in differences(wanted, found))


def test_parse_and_dump() -> None:
    text = "---\n# only a comment\n---\nkind: A\nb: 1\n---\n\n---\nkind: B\na: {z: 1, y: '---'}\n"
    objects = parse_manifest(text)
    assert objects == [{"kind": "A", "b": 1}, {"kind": "B", "a": {"z": 1, "y": "---"}}]
    assert parse_manifest(dump_manifest(objects)) == objects
    assert find_object(objects, "B") == objects[1]
    assert find_object(objects, "C") is None
    assert parse_manifest("") == []
    assert dump_manifest([]) == ""


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "\x00", "!!python/object/apply:os.system [id]"])
def test_what_is_no_manifest_is_an_invalid_error(text: str) -> None:
    with pytest.raises(PlatformError) as caught:
        parse_manifest(text)
    assert caught.value.error_class is ErrorClass.INVALID


@pytest.mark.parametrize(
    ("kind", "version", "path"),
    [
        ("Deployment", "apps/v1", "/apis/apps/v1/namespaces/llm/deployments/a%2Fb"),
        ("Service", "v1", "/api/v1/namespaces/llm/services/a%2Fb"),
        (
            "NetworkPolicy",
            "networking.k8s.io/v1",
            "/apis/networking.k8s.io/v1/namespaces/llm/networkpolicies/a%2Fb",
        ),
        ("Unheard", "example.com/v1", None),
    ],
)
def test_paths_of_objects(kind: str, version: str, path: str | None) -> None:
    item = {"kind": kind, "apiVersion": version, "metadata": {"name": "a/b"}}
    assert object_path(item, "llm") == path


A = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1', y: '2'}\n"
B = "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n"


def test_digest_is_of_the_objects_not_of_their_layout() -> None:
    rearranged = "# Source: x\nkind: ConfigMap\ndata: {y: '2', x: '1'}\nmetadata: {name: a}\napiVersion: v1\n"
    assert _digest(f"{A}---\n{B}") == _digest(f"---\n{B}---\n{rearranged}\n")
    assert _digest(A) != _digest(B)
    assert _digest(A) != _digest(A.replace("'1'", "'3'"))
    assert _digest(A) != _digest(A.replace("'1'", "1"))


def test_digest_stays_the_same_for_ever() -> None:
    """It is compared with what the registry recorded earlier."""
    assert _digest("") == "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_digest_takes_what_yaml_reads_as_a_date() -> None:
    assert _digest(A + "since: 2026-11-21\n").startswith("sha256:")
