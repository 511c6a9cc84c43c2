# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run knows of itself: Helm is asked once, whatever it has on record afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.drift import find_drift
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import ReleaseSpec
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import ReleaseRecord
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import (
    Step,
    next_step,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.release.comparison import Comparison
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import Rendered
from tests.support.kubernetes_objects import Cluster
from tests.unit.release.test_plan import request


def rendered(image: str) -> Rendered:
    container = {"name": "vllm", "image": image}
    spec = {"replicas": 1, "template": {"spec": {"containers": [container]}}}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m"}, "spec": spec}
    return Rendered(ReleaseSpec("m", "llm", Path("/chart"), (), {}), json.dumps(manifest), "")


def record(manifest: str) -> ReleaseRecord:
    return ReleaseRecord(
        revision=2,
        status="deployed",
        modified_at=datetime(2026, 11, 30, tzinfo=UTC),
        manifest=manifest,
        config={},
        chart_name="vllm-deployment",
        chart_version="0.1.0",
        description="",
        secret={"metadata": {}},
    )


def test_a_revision_is_made_once_though_the_record_says_something_else() -> None:
    # A chart that renders differently for helm upgrade, or another run that released meanwhile.
    run = Run(request(), Wanted(registers=False), tools=None)  # type: ignore[arg-type]
    run.record = record(rendered("vllm:theirs").manifest)
    run.comparison = Comparison(rendered("vllm:ours"), run.record)
    run.room = run.released = True
    assert next_step(run.state(), run.wanted) is Step.ROLLOUT
    assert next_step(replace(run.state(), rolled_out=True), run.wanted) is Step.VERIFY


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz", "Deployment/m: spec.env[HF_TOKEN].value differs"),
        ("VLLM_KEYS", "k1,k2", "Deployment/m: spec.env[VLLM_KEYS].value differs"),
    ],
)
def test_drift_hides_secrets(name: str, value: str, shown: str) -> None:
    def deployment(found: str) -> dict[str, Any]:
        env = [{"name": name, "value": found}]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "m"},
            "spec": {"env": env},
        }

    cluster = Cluster(others={"/apis/apps/v1/namespaces/llm/deployments": [deployment(value)]})
    (found,) = find_drift(cluster, [deployment("x")], "llm")
    assert str(found) == shown
    assert found.place == f"Deployment/m: spec.env[{name}].value differs"
