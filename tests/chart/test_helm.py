# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the real helm binaries do with values of any text, and what they say when they fail."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm, ReleaseSpec
from tests.support.chart import CHART, helm_path


@pytest.fixture(params=["helm", "helm3"])
def each_helm(request: pytest.FixtureRequest) -> Path:
    """Return the path of Helm 4, then of Helm 3."""
    return helm_path(str(request.param))


def helm(binary: Path, host: str | None = None) -> Helm:
    return Helm(str(binary), Authentication(kubeconfig=os.devnull, host=host))


def spec(chart: Path, values: Mapping[str, object], *values_files: Path) -> ReleaseSpec:
    return ReleaseSpec("llama-staging", "llm", chart, values_files, values)


@pytest.mark.parametrize(
    "name", ["plain", "with space", "com,ma", 'quo"te', "-dash", "$(id)", "{{x}}", "ünï"]
)
def test_reads_values_from_any_path(tmp_path: Path, each_helm: Path, name: str) -> None:
    chart = tmp_path / name / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n", "utf-8")
    (chart / "templates/a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
        "data: {file: {{ .Values.file | quote }}, stdin: {{ .Values.stdin | quote }}}\n",
        "utf-8",
    )
    values = tmp_path / name / "values.yaml"
    values.write_text("file: from file\nstdin: lower\n", "utf-8")
    text = helm(each_helm).template(spec(chart, {"stdin": "{{ wins }}"}, values), Deadline(60))
    assert '{file: "from file", stdin: "{{ wins }}"}' in text


@pytest.mark.parametrize(
    "text", ["😀 模型", "\u2028\x85\x7f\ufeff", "tab\tnew\nline", "\\u0041 'q' \"q\"", "true", "1e3"]
)
def test_reads_any_text_as_it_was_written(tmp_path: Path, each_helm: Path, text: str) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n", "utf-8")
    (chart / "templates/a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {text: {{ .Values.text | b64enc }}}\n",
        "utf-8",
    )
    rendered = helm(each_helm).template(spec(chart, {"text": text, text: "as a key"}), Deadline(60))
    encoded = rendered.split("{text: ")[1].split("}")[0]
    assert base64.b64decode(encoded).decode() == text


def test_says_what_the_table_knows(tmp_path: Path, each_helm: Path) -> None:
    runner = helm(each_helm, host="https://127.0.0.1:1")
    with pytest.raises(PlatformError, match="refused") as caught:
        runner.upgrade(spec(CHART, {"model": {"name": "a/b"}}), Deadline(60), "test")
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE
    with pytest.raises(PlatformError, match="replicas") as caught:
        runner.template(spec(CHART, {"replicas": "two"}), Deadline(60))
    assert caught.value.error_class is ErrorClass.INVALID
    with pytest.raises(PlatformError, match="not found") as caught:
        runner.template(spec(tmp_path / "none", {}), Deadline(60))
    assert caught.value.error_class is ErrorClass.INVALID
