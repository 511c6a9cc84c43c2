# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is recorded of a revision: the chart's files, the image that runs, values without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.release.contents import (
    chart_digest,
    running_image,
    shown_values,
)

DIGEST = "sha256:" + "7d" * 32


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """Return a folder with some files."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("name: x")
    (tmp_path / "templates" / "a.yaml").write_text("kind: A")
    return tmp_path


def test_digest_changes_with_names_and_contents_and_nothing_else(chart: Path) -> None:
    first = chart_digest(chart)
    assert first.startswith("sha256:")
    (chart / ".cache").write_text("anything")
    (chart / "Chart.yaml").touch()
    assert chart_digest(chart) == first
    (chart / "templates" / "a.yaml").rename(chart / "templates" / "b.yaml")
    renamed = chart_digest(chart)
    (chart / "Chart.yaml").write_text("name: y")
    assert len({first, renamed, chart_digest(chart)}) == 3


def _pod(image: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": metadata,
        "status": {"containerStatuses": [{"imageID": image}, {"imageID": "sidecar"}]},
    }


@pytest.mark.parametrize(
    ("pods", "image"),
    [
        ([], None),
        ([{"metadata": {}}], None),
        ([_pod(f"docker.io/vllm/vllm-openai@{DIGEST}")] * 2, DIGEST),
        ([_pod(DIGEST)], DIGEST),
        ([_pod("docker-pullable://model-server:0.1.0")], None),
        ([_pod(f"a@{DIGEST}"), _pod("a@sha256:" + "00" * 32)], None),
        ([_pod(f"a@{DIGEST}"), _pod("a@sha256:" + "00" * 32, deletionTimestamp="now")], DIGEST),
    ],
)
def test_image_is_the_one_that_all_pods_run(pods: list[dict[str, Any]], image: str | None) -> None:
    assert running_image(pods) == image


def test_secrets_are_hidden_and_still_part_of_the_digest() -> None:
    plain = shown_values({"gpu": {"count": 2}})
    assert plain["values"] == {"gpu": {"count": 2}}
    assert plain["values_redacted"] is False
    one, other = (shown_values({"apiKey": key}) for key in ("canary-1", "canary-2"))
    assert "canary" not in str(one)
    assert one["values"] == other["values"]
    assert one["values_digest"] != other["values_digest"]
    assert one["values_redacted"] is True
