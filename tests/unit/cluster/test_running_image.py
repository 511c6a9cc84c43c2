# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image that the pods of a workload run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.workload import running_image

DIGEST = "sha256:" + "7d" * 32


def _pod(image: str, **metadata: Any) -> dict[str, Any]:
    # As kubelet has them: by name, whatever their order is in the pod.
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "istio-proxy"}, {"name": "vllm"}]},
        "status": {
            "containerStatuses": [
                {"name": "istio-proxy", "imageID": "istio@sha256:" + "99" * 32},
                {"name": "vllm", "imageID": image},
            ]
        },
    }


@pytest.mark.parametrize(
    ("pods", "image"),
    [
        ([], None),
        ([{"metadata": {}, "spec": {"containers": []}}], None),
        ([_pod(f"docker.io/vllm/vllm-openai@{DIGEST}")] * 2, DIGEST),
        ([_pod(DIGEST)], DIGEST),
        ([_pod("docker-pullable://model-server:0.1.0")], None),
        ([_pod(f"a@{DIGEST}"), _pod("a@sha256:" + "00" * 32)], None),
        ([_pod(f"a@{DIGEST}"), _pod("a@sha256:" + "00" * 32, deletionTimestamp="now")], DIGEST),
    ],
)
def test_image_is_the_one_that_all_pods_run(pods: list[dict[str, Any]], image: str | None) -> None:
    assert running_image(pods) == image
