# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of a target's files: what each is, and that nothing given leads out of the repository."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import (
    Layout,
    values_from_chart,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "folder"), [("", ""), ("eu", "eu/"), ("clusters/eu-1/", "clusters/eu-1/"), ("a//b", "a/b/")]
)
def test_files_are_below_the_folder(path: str, folder: str) -> None:
    layout = Layout.below(path)
    assert layout.application("m-staging") == f"{folder}applications/vllm-m-staging.yaml"
    assert layout.values("m-staging") == f"{folder}values/vllm-m-staging.yaml"
    assert (
        layout.chart("vllm-deployment", "0.1.0", DIGEST)
        == f"{folder}charts/vllm-deployment-0.1.0-0123456789ab"
    )


def test_values_are_found_from_the_folder_of_the_chart() -> None:
    assert values_from_chart("m-staging") == "../../values/vllm-m-staging.yaml"


@pytest.mark.parametrize(
    "path", ["/etc", "..", "a/../b", ".", ".git", "a/.git/hooks", "-a", "a b", "a\nb", "ä", "a\\b"]
)
def test_a_folder_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(PlatformError, match="is no folder in a repository"):
        Layout.below(path)


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [
        ("../x", "0.1.0", DIGEST),
        ("x", "../../0.1.0", DIGEST),
        ("x", "0.1.0/..", DIGEST),
        ("x", "", DIGEST),
        ("x", "0.1.0", "sha256:../../../../x"),
        ("x", "0.1.0", ""),
    ],
)
def test_a_chart_that_leads_elsewhere_is_refused(name: str, version: str, digest: str) -> None:
    with pytest.raises(PlatformError):
        Layout().chart(name, version, digest)
