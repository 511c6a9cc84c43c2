# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argo CD makes of the files in Git what Helm makes of the same request, object by object."""

from __future__ import annotations

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
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.commit import Note
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import Layout
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.writing import (
    Written,
    opened_place,
    restore,
    write_target,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.chart import chart_digest
from ansible_collections.llmops.platform.plugins.module_utils._core.release.recorded import Recorded
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import asked_strategy
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.argocd_rendering import read_application, rendered
from tests.support.chart import ENVIRONMENTS, EVERYTHING, HelmChart
from tests.support.git_files import OPTIONS, request

#: What readers of YAML take for something else, where the chart passes text on.
WORDS = ["1e3", "yes", "on", "y", "null", "~", "012", "0x1f", "0o17", "1_000", ".inf", "1:30", "", "a: b",
         "# a", "{{ .Values }}", "\n---\n", "tab\t", "\u2028", "😀 模型", "'\"\\"]  # fmt: skip
HOSTILE = {
    "podAnnotations": {f"example.com/{number}": word for number, word in enumerate(WORDS)},
    "model": {"extraEnv": [{"name": f"WORD_{number}", "value": word} for number, word in enumerate(WORDS)]},
    "gpu": {"resources": {"requests": {"cpu": "2"}}},
    "scheduling": {"nodeSelector": {"yes": "no", "1e3": "0x10"}},
}


def write(root: Path, wanted: ReleaseRequest) -> Written:
    with opened_place(root, Layout.below("eu"), Deadline(30), print) as place:
        return write_target(place, wanted, OPTIONS, Note("test"))


def by_helm(binary: Path, wanted: ReleaseRequest) -> list[dict[str, Any]]:
    """Return what vllm_release would have Helm store."""
    helm = Helm(str(binary), Authentication(kubeconfig=os.devnull))
    return parse_manifest(helm.template(wanted.spec(asked_strategy(wanted)), Deadline(60)))


def by_argo(binary: Path, root: Path, written: Written) -> list[dict[str, Any]]:
    return parse_manifest(rendered(binary, root, read_application(root, written.application_path)))


def names(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((item["kind"], item["metadata"]["name"]) for item in objects)


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING, HOSTILE, {"replicas": None}], ids=["none", "all", "hostile", "null"]
)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_ways_make_the_same_objects(
    each_helm: HelmChart, tmp_path: Path, environment: str, values: dict[str, Any]
) -> None:
    pinned = {"digest": "sha256:" + "0" * 64, **values.get("image", {})}
    wanted = request(environment, values={**values, "image": pinned})
    ours = by_helm(each_helm.binary, wanted)
    theirs = by_argo(each_helm.binary, tmp_path, write(tmp_path, wanted))
    assert names(theirs) == names(ours)
    assert digest_objects(theirs) == digest_objects(ours)


@pytest.mark.parametrize("strategy", ["surge", "unavailable-first", "recreate"])
def test_the_strategy_that_was_asked_for_is_in_git(chart: HelmChart, tmp_path: Path, strategy: str) -> None:
    wanted = request(strategy=strategy)
    theirs = by_argo(chart.binary, tmp_path, write(tmp_path, wanted))
    assert digest_objects(theirs) == digest_objects(by_helm(chart.binary, wanted))


def test_other_values_make_other_objects(chart: HelmChart, tmp_path: Path) -> None:
    theirs = by_argo(chart.binary, tmp_path, write(tmp_path, request(values={"replicas": 3})))
    assert digest_objects(theirs) != digest_objects(by_helm(chart.binary, request()))


def test_an_older_chart_comes_back_by_a_change_of_two_files(chart: HelmChart, tmp_path: Path) -> None:
    wanted = request(values=EVERYTHING)
    before = by_argo(chart.binary, tmp_path, write(tmp_path, wanted))
    recorded = Recorded(
        3,
        "sha256:m",
        before,
        dict(wanted.spec(None).values),
        False,
        wanted.chart_name,
        wanted.chart_version,
        chart_digest(wanted.chart),
    )
    newer = tmp_path / "newer"
    newer.mkdir()
    for path in wanted.chart.rglob("*"):
        copy = newer / path.relative_to(wanted.chart)
        copy.mkdir() if path.is_dir() else copy.write_bytes(path.read_bytes())
    template = newer / "templates/service.yaml.tpl"
    template.write_text(template.read_text().replace("kind: Service", "kind: Service\n# newer", 1))
    (newer / "values.yaml").write_text(
        (newer / "values.yaml").read_text().replace("revisionHistoryLimit: ", "revisionHistoryLimit: 1")
    )

    root = tmp_path
    changed = write(root, request(values={"replicas": 5}, chart=str(newer)))
    assert digest_objects(by_argo(chart.binary, root, changed)) != digest_objects(before)
    with opened_place(root, Layout.below("eu"), Deadline(30), print) as place:
        back = restore(place, wanted, recorded, OPTIONS, Note("test"))
    assert back.changes.paths == [back.application_path, back.values_path]
    assert digest_objects(by_argo(chart.binary, root, back)) == digest_objects(before)
