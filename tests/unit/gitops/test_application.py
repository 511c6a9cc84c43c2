# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Application says, by tier and by option. Argo CD's own definition judges it in tests/api."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.application import application
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wanted import wanted_by
from tests.support.chart import MODEL
from tests.support.git_files import OPTIONS, SOURCE, request

FINALIZERS = ["resources-finalizer.argocd.argoproj.io/foreground"]
AUTOMATED = {"prune": True, "selfHeal": True}


def made(
    environment: str = "staging", values: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    wanted = wanted_by(request(environment, tier=options.pop("tier", None), values=values or {}))
    return application(wanted, replace(OPTIONS, **options), "charts/x", "values-staging.yaml")


@pytest.mark.parametrize(
    ("environment", "tier", "options", "automated", "finalizers"),
    [
        ("development", None, {}, AUTOMATED, FINALIZERS),
        ("staging", None, {}, AUTOMATED, FINALIZERS),
        ("production", None, {}, None, None),
        ("prod-eu", "production", {}, None, None),
        ("production", None, {"automated": True, "cascade": True}, AUTOMATED, FINALIZERS),
        ("staging", None, {"automated": False, "cascade": False}, None, None),
        (
            "staging",
            None,
            {"prune": False, "self_heal": False},
            {"prune": False, "selfHeal": False},
            FINALIZERS,
        ),
    ],
)
def test_production_is_left_to_people(
    environment: str,
    tier: str | None,
    options: dict[str, Any],
    automated: dict[str, bool] | None,
    finalizers: list[str] | None,
) -> None:
    item = made(environment, tier=tier, **options)
    assert item["spec"]["syncPolicy"].get("automated") == automated
    assert item["metadata"].get("finalizers") == finalizers


def test_every_name_is_the_release_s() -> None:
    item, name = made(), request().name
    assert item["metadata"]["name"] == item["spec"]["source"]["helm"]["releaseName"] == name
    assert item["spec"]["source"] == {
        "repoURL": SOURCE,
        "targetRevision": "main",
        "path": "charts/x",
        "helm": {
            "releaseName": name,
            "valueFiles": ["values-staging.yaml", f"../../values/vllm-{name}.yaml"],
            "skipTests": True,
        },
    }
    assert item["metadata"]["annotations"]["llmops.platform/model-name"] == MODEL


def test_replicas_are_ignored_only_where_an_autoscaler_has_them() -> None:
    assert "ignoreDifferences" not in made(values={"replicas": 3})["spec"]
    assert "RespectIgnoreDifferences=true" not in made()["spec"]["syncPolicy"]["syncOptions"]
    autoscaled = made(values={"replicas": None})["spec"]
    assert [item["jsonPointers"] for item in autoscaled["ignoreDifferences"]] == [["/spec/replicas"]]
    assert "RespectIgnoreDifferences=true" in autoscaled["syncPolicy"]["syncOptions"]


def test_a_cluster_has_one_address() -> None:
    assert made()["spec"]["destination"] == {
        "server": "https://kubernetes.default.svc",
        "namespace": "llm-staging",
    }
    named = made(destination_name="eu")["spec"]["destination"]
    assert named == {"name": "eu", "namespace": "llm-staging"}


def test_labels_and_annotations_of_others_do_not_replace_ours() -> None:
    item = made(
        labels={"team": "search", "llmops.platform/environment": "x"},
        annotations={"a": "b", "llmops.platform/writer": "x"},
    )["metadata"]
    assert item["labels"]["team"] == "search"
    assert item["labels"]["llmops.platform/environment"] == "staging"
    assert item["annotations"]["a"] == "b"
    assert item["annotations"]["llmops.platform/writer"] == "llmops.platform"


@pytest.mark.parametrize(
    ("strategy", "values", "wanted"),
    [
        ("auto", {}, None),
        ("auto", {"strategy": "surge"}, "surge"),
        ("recreate", {"strategy": "surge"}, "recreate"),
    ],
)
def test_the_strategy_is_in_git(strategy: str, values: dict[str, Any], wanted: str | None) -> None:
    assert wanted_by(request(strategy=strategy, values=values)).values.get("strategy") == wanted
