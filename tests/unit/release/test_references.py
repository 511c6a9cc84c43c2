# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pods need that a release does not bring: each place that can name it, and what of that is missing."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import APIError
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass
from ansible_collections.llmops.platform.plugins.module_utils._core.release.references import (
    Reference,
    missing,
    references,
)
from tests.support.kubernetes_objects import Cluster

Object = dict[str, Any]
CORE = "/api/v1/namespaces/llm"


def env(**source: Object) -> Object:
    return {"containers": [{"name": "c", "env": [{"name": "X", "valueFrom": source}]}]}


def env_from(**source: Object) -> Object:
    return {"containers": [{"name": "c", "envFrom": [source]}]}


def volume(**source: Object) -> Object:
    return {"containers": [{"name": "c"}], "volumes": [{"name": "v", **source}]}


def projected(*sources: Object) -> Object:
    return volume(projected={"sources": list(sources)})


#: A pod's specification, and what it cannot do without: kind, name, key.
PODS: list[tuple[Object, list[tuple[str, str, str | None]]]] = [
    (volume(), []),
    ({"containers": [{"name": "c", "env": None, "envFrom": None}], "volumes": None}, []),
    ({"containers": [], "initContainers": None}, []),
    ({"containers": [{"name": "c", "env": [{"name": "X", "value": "1"}]}]}, []),
    ({"containers": [], "serviceAccountName": "a"}, [("ServiceAccount", "a", None)]),
    ({"containers": [], "serviceAccountName": ""}, []),
    (env(secretKeyRef={"name": "s", "key": "k"}), [("Secret", "s", "k")]),
    (env(secretKeyRef={"name": "s", "key": "k", "optional": False}), [("Secret", "s", "k")]),
    (env(secretKeyRef={"name": "s", "key": "k", "optional": True}), []),
    (env(configMapKeyRef={"name": "m", "key": "k"}), [("ConfigMap", "m", "k")]),
    (env(configMapKeyRef={"name": "m", "key": "k", "optional": True}), []),
    (env(fieldRef={"fieldPath": "metadata.name"}), []),
    (env_from(secretRef={"name": "s"}), [("Secret", "s", None)]),
    (env_from(secretRef={"name": "s", "optional": True}), []),
    (env_from(configMapRef={"name": "m"}, prefix={}), [("ConfigMap", "m", None)]),
    (volume(secret={"secretName": "s"}), [("Secret", "s", None)]),
    (volume(secret={"secretName": "s", "optional": True}), []),
    (
        volume(secret={"secretName": "s", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "y"}]}),
        [("Secret", "s", "a"), ("Secret", "s", "b")],
    ),
    (volume(configMap={"name": "m"}), [("ConfigMap", "m", None)]),
    (volume(configMap={"name": "m", "items": [{"key": "a", "path": "x"}]}), [("ConfigMap", "m", "a")]),
    (volume(configMap={"name": "m", "optional": True}), []),
    (volume(persistentVolumeClaim={"claimName": "p"}), [("PersistentVolumeClaim", "p", None)]),
    (volume(emptyDir={}), []),
    (volume(ephemeral={"volumeClaimTemplate": {"spec": {}}}), []),
    (projected({"secret": {"name": "s"}}), [("Secret", "s", None)]),
    (projected({"secret": {"name": "s", "items": [{"key": "a", "path": "x"}]}}), [("Secret", "s", "a")]),
    (projected({"secret": {"name": "s", "optional": True}}), []),
    (projected({"configMap": {"name": "m"}}), [("ConfigMap", "m", None)]),
    (projected({"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": []}}), []),
    (
        {
            "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "early"}}]}],
            "containers": [{"name": "a"}, {"name": "b", "envFrom": [{"secretRef": {"name": "late"}}]}],
        },
        [("Secret", "early", None), ("Secret", "late", None)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "found"), PODS)
def test_what_a_pod_cannot_do_without(spec: Object, found: list[tuple[str, str, str | None]]) -> None:
    assert list(references({"spec": spec})) == [Reference(*one) for one in found]


def deployment(spec: Object) -> Object:
    return {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": spec}}}


def secret(name: str = "s", **parts: Object | None) -> Object:
    return {"metadata": {"name": name}, **parts}


def cluster(*secrets: Object, **others: list[Object]) -> Cluster:
    lists = {f"{CORE}/secrets": list(secrets)}
    return Cluster(others=lists | {f"{CORE}/{plural}": items for plural, items in others.items()})


#: What is there, the pod, what is said to be missing.
MISSING: list[tuple[Cluster, Object, list[str]]] = [
    (cluster(), env(secretKeyRef={"name": "s", "key": "k"}), ["Secret s is missing"]),
    (cluster(secret()), env(secretKeyRef={"name": "s", "key": "k"}), ["Secret s has no key k"]),
    (cluster(secret(data=None)), env(secretKeyRef={"name": "s", "key": "k"}), ["Secret s has no key k"]),
    (cluster(secret(data={"k": ""})), env(secretKeyRef={"name": "s", "key": "k"}), []),
    (cluster(secret()), env_from(secretRef={"name": "s"}), []),
    (
        cluster(),
        projected({"secret": {"name": "s"}}, {"configMap": {"name": "m"}}),
        ["ConfigMap m is missing", "Secret s is missing"],
    ),
    (
        cluster(configmaps=[secret("m", binaryData={"k": ""})]),
        env(configMapKeyRef={"name": "m", "key": "k"}),
        [],
    ),
    (cluster(), volume(persistentVolumeClaim={"claimName": "p"}), ["PersistentVolumeClaim p is missing"]),
    (cluster(), {"containers": [], "serviceAccountName": "a"}, ["ServiceAccount a is missing"]),
    (cluster(serviceaccounts=[secret("a")]), {"containers": [], "serviceAccountName": "a"}, []),
]


@pytest.mark.parametrize(("there", "spec", "said"), MISSING)
def test_what_is_not_there_is_said_for_people(there: Cluster, spec: Object, said: list[str]) -> None:
    assert missing(there, [deployment(spec)], "llm") == said


def test_what_the_release_brings_is_not_looked_for() -> None:
    there = cluster()
    brought = {"kind": "ConfigMap", "metadata": {"name": "m"}}
    objects = [deployment(env(configMapKeyRef={"name": "m", "key": "k"})), brought]
    assert missing(there, objects, "llm") == []
    assert there.reads == []


def test_an_object_is_read_once_and_pods_of_other_kinds_are_their_own_affair() -> None:
    there = cluster(secret())
    pod = {
        "containers": [
            {"name": name, "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": name}}}]}
            for name in ("a", "b")
        ]
    }
    job = {**deployment(env_from(secretRef={"name": "of-a-job"})), "kind": "Job"}
    assert missing(there, [deployment(pod), job], "llm") == ["Secret s has no key a", "Secret s has no key b"]
    assert there.reads == [f"{CORE}/secrets/s"]


def test_what_may_not_be_read_is_not_known_to_be_missing() -> None:
    there = Cluster(forbidden=(f"{CORE}/secrets/s",))
    assert missing(there, [deployment(env_from(secretRef={"name": "s"}))], "llm") == []


def test_an_api_server_that_is_away_is_no_missing_secret() -> None:
    class Away(Cluster):
        def find(self, path: str, query: Any = None) -> Object | None:
            raise APIError(ErrorClass.INFRASTRUCTURE, "away", "", 503, "")

    with pytest.raises(APIError):
        missing(Away(), [deployment(env_from(secretRef={"name": "s"}))], "llm")
