# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chart of a recorded manifest renders, by real helms, to the very objects that were recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    digest_objects,
    parse_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.release.recorded import (
    Recorded,
    RecordedRenderer,
    request_of,
    write_chart,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import (
    manifest_digest,
    rendered_strategy,
    with_strategy,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import (
    ReleaseRequest,
    ReleaseTarget,
)
from tests.support.chart import EVERYTHING, MODEL, HelmChart

STRATEGIES = ("surge", "unavailable-first", "recreate")
#: What readers of YAML, of templates or of JSON take for something else.
HOSTILE = [
    "1e3", "yes", "no", "on", "null", "~", "012", "0x1f", "0o17", "1_000", ".inf", "-.nan", "1:30",
    "2026-11-30", "", " ", "=", "<<", "*a", "&a", "!!int 1", "%TAG", "@", "`", "- a", "a: b", "a #b", "# a",
    "'", '"', "\\", "\\u0041", "---", "\n---\n", "a\n---\napiVersion: v1\nkind: Secret", "...", "{{ }}",
    "{{ .Release.Name }}", "{{", "}}", "{{- fail \"x\" -}}", "$(id)", "${HOME}", "tab\tnew\nline\r\n",
    "\x01\x1b[31m\x7f\x85\x9f", "\u2028\u2029\ufeff", "\ufffe\uffff", "😀 模型 Ünï", "e\u0301", "\u202e",
    "x" * 70_000,
]  # fmt: skip


def recorded(objects: list[dict[str, Any]], values: dict[str, Any]) -> Recorded:
    return Recorded(
        3, manifest_digest(objects), objects, values, False, "vllm-deployment", "0.1.0", "sha256:c"
    )


def as_stored(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects as the registry gives them back."""
    read: list[dict[str, Any]] = json.loads(json.dumps(objects))
    return read


def rendered(chart: HelmChart, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the chart makes, without hooks: they are of Helm's own record, not of the manifest."""
    made = chart.render(values, environment="staging").objects
    return [item for item in made if "helm.sh/hook" not in item["metadata"].get("annotations", {})]


def request(content: Recorded, folder: Path, strategy: str = "auto") -> ReleaseRequest:
    target = ReleaseTarget.named(model=MODEL, environment="staging", namespace="llm")
    return request_of(content, target, write_chart(content, folder), strategy=strategy, force_conflicts=True)


def helm(binary: Path) -> Helm:
    return Helm(str(binary), Authentication(kubeconfig=os.devnull))


def check(binary: Path, content: Recorded, folder: Path) -> None:
    """Check that helm and what stands for it make the recorded objects, with each strategy."""
    wanted = request(content, folder)
    renderer = RecordedRenderer(content, wanted, lambda: Deadline(60))
    for strategy in (None, *STRATEGIES):
        expected = with_strategy(content.objects, strategy) if strategy else content.objects
        objects = parse_manifest(helm(binary).template(wanted.spec(strategy), Deadline(60)))
        assert digest_objects(objects) == digest_objects(expected)
        assert manifest_digest(objects) == content.digest
        rendered = renderer.render(strategy)
        assert digest_objects(rendered.objects) == digest_objects(expected)
        assert rendered.strategy == (strategy or rendered_strategy(rendered.deployment))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_recorded_manifest_of_the_chart_comes_back_word_for_word(
    each_helm: HelmChart, tmp_path: Path, strategy: str
) -> None:
    values = {**EVERYTHING, "strategy": strategy, "environment": "staging"}
    objects = rendered(each_helm, values)
    assert {"Deployment", "Service", "Ingress", "PrometheusRule"} <= {item["kind"] for item in objects}
    check(each_helm.binary, recorded(as_stored(objects), {"model": {"name": MODEL}}), tmp_path)


def test_no_text_or_number_of_a_manifest_means_something_else(each_helm: HelmChart, tmp_path: Path) -> None:
    objects = rendered(each_helm, {})
    texts = {f"k{number}": text for number, text in enumerate(HOSTILE)}
    made: dict[str, Any] = {
        "apiVersion": "example.org/v1",
        "kind": "Anything",
        "metadata": {"name": "anything", "annotations": texts},
        "spec": {
            "texts": [*HOSTILE],
            "numbers": [0, -1, 2**53, 0.1, 1.5e300, -2.5e-7, 1e3, True, False, None],
            "empty": [{}, [], ""],
            **{text[:60]: 1 for text in HOSTILE if text},
        },
    }
    check(each_helm.binary, recorded(as_stored([*objects, made]), {}), tmp_path)


@pytest.mark.parametrize(
    ("values", "tier"),
    [
        ({}, "staging"),
        ({"tier": "production", "environment": "staging"}, "production"),
        ({"strategy": "recreate", "tier": "staging"}, "staging"),
    ],
)
def test_values_of_then_say_nothing_about_how_pods_are_replaced_now(
    tmp_path: Path, values: dict[str, Any], tier: str
) -> None:
    asked = request(recorded([], values), tmp_path, "surge")
    assert (asked.strategy, asked.tier) == ("surge", tier)
    assert "strategy" not in asked.values
    assert asked.spec(None).values_files == ()


def test_the_chart_keeps_its_name_and_version_so_that_helm_takes_it_for_the_same(tmp_path: Path) -> None:
    asked = request(recorded([], {}), tmp_path)
    assert (asked.chart_name, asked.chart_version) == ("vllm-deployment", "0.1.0")
