# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A target's files as they are read back, and what is none of ours."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.changes import changes_for
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import Layout
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.target_files import read_target
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wanted import wanted_by
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.chart import (
    chart_digest,
    chart_files,
)
from tests.support.chart import CHART
from tests.support.git_files import OPTIONS, Files, request

LAYOUT = Layout.below("models")
NAME = request().name
APPLICATION, VALUES = f"models/applications/vllm-{NAME}.yaml", f"models/values/vllm-{NAME}.yaml"


def written() -> Files:
    files = Files()
    files.apply(changes_for(wanted_by(request(values={"replicas": 3})), OPTIONS, LAYOUT, files))
    return files


def test_what_was_written_is_read_back() -> None:
    found = read_target(written(), request(), LAYOUT)
    assert found is not None
    assert found.chart == chart_files(CHART)
    assert found.chart_digest == chart_digest(CHART)
    assert found.values == wanted_by(request(values={"replicas": 3})).values
    assert (found.tier_files, found.count.revision) == (("values-staging.yaml",), 1)
    # The tier's file lies below the target's own.
    assert found.all_values["replicas"] == 3
    assert set(found.all_values) > set(found.values)


def test_nothing_is_nothing() -> None:
    assert read_target(Files(), request(), LAYOUT) is None


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (APPLICATION, b"namespace: llm-staging", b"namespace: other", "is not what"),
        (APPLICATION, b"    helm:", b"    heml:", "is not the Application of a model"),
        (
            APPLICATION,
            f"values/vllm-{NAME}.yaml".encode(),
            b"values/vllm-other.yaml",
            "does not take its values",
        ),
        (APPLICATION, b"- values-staging.yaml", b"- values-other.yaml", "is not the chart"),
        (APPLICATION, b"path: models/charts/", b"path: models/chart/", "is not the chart"),
        (APPLICATION, b"kind:", b"kind: [", "is no YAML"),
        (VALUES, b"\n", b"\n---\na: 1\n---\n", "more than one document"),
    ],
)
def test_what_is_none_of_ours_is_refused(path: str, old: bytes, new: bytes, said: str) -> None:
    files = written()
    assert old in files.content[path]
    files.content[path] = files.content[path].replace(old, new)
    with pytest.raises(PlatformError, match=said):
        read_target(files, request(), LAYOUT)


def test_values_that_are_gone_are_told() -> None:
    files = written()
    del files.content[VALUES]
    with pytest.raises(PlatformError, match="does not take its values"):
        read_target(files, request(), LAYOUT)


def test_no_file_of_a_chart_leads_out_of_it() -> None:
    files = written()
    found = read_target(files, request(), LAYOUT)
    assert found is not None
    files.content[f"{found.chart_path}/../../../escape"] = b"x"
    files.content[f"{found.chart_path}/templates/../../escape"] = b"x"
    again = read_target(files, request(), LAYOUT)
    assert again is not None
    assert again.chart == found.chart
