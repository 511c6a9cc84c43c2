# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests as data."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    digest_objects,
    dump_manifest,
    find_object,
    object_path,
    parse_foreign_manifest,
    parse_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)


def _digest(manifest: str) -> str:
    return digest_objects(parse_manifest(manifest))


def test_parse_and_dump() -> None:
    text = "---\n# only a comment\n---\nkind: A\nb: 1\n---\n\n---\nkind: B\na: {z: 1, y: '---'}\n"
    objects = parse_manifest(text)
    assert objects == [{"kind": "A", "b": 1}, {"kind": "B", "a": {"z": 1, "y": "---"}}]
    assert parse_manifest(dump_manifest(objects)) == objects
    assert find_object(objects, "B") == objects[1]
    assert find_object(objects, "C") is None
    assert parse_manifest("") == []
    assert dump_manifest([]) == ""


@pytest.mark.parametrize("text", ["=", "<<", "2024-13-45", "2024-01-01", "2024-01-01T00:00:00Z"])
def test_a_word_that_only_python_takes_for_more_is_text(text: str) -> None:
    """Helm leaves it bare, for to Kubernetes it is text."""
    assert parse_manifest(f"a: {text}\nb: [{text}]") == [{"a": text, "b": [text]}]
    assert parse_foreign_manifest(f"a: {text}") == [{"a": text}]
    # Quotes and numbers are as ever.
    assert parse_manifest("a: '1'\nb: 1\nc: 1.5\nd: true\ne: null") == [
        {"a": "1", "b": 1, "c": 1.5, "d": True, "e": None}
    ]
    assert parse_manifest("a: &x {b: 1}\nc: {<<: *x}") == [{"a": {"b": 1}, "c": {"b": 1}}]


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
