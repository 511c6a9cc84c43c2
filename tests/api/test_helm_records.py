# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Helm keeps of a release, where the API server does not let it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import read_release
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_release
from tests.support.api_proxy import ApiProxy
from tests.support.chart import CHART
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES


def test_a_helm_that_ends_well_without_a_record_of_it_is_called_again(
    lab: Lab, api: ClusterClient, namespace: str, tmp_path: Path
) -> None:
    """Helm only logs that it could not record its end: the release would stay pending for ever."""
    told: list[str] = []
    arguments: dict[str, Any] = {
        **{name: option.get("default") for name, option in vllm_release.ARGUMENT_SPEC.items()},
        "model": "model",
        "environment": "development",
        "namespace": namespace,
        "chart_path": str(CHART),
        "chart_values": QUICK_VALUES,
        "helm_binary": str(lab.binary("helm")),
        "takeover_after": 1.0,
    }
    with ApiProxy(lab, faults=1, kinds=["502"], only=rb"PUT /api/v1/\S+/secrets/sh\.helm").running() as proxy:
        arguments["kubeconfig"] = str(proxy.kubeconfig(tmp_path / "proxied"))
        outcome = vllm_release.run(arguments, Context(progress=told.append))
        assert sum(proxy.given.values()) == 1
    record = read_release(api, str(outcome.result["name"]), namespace)
    assert record is not None
    assert record.status == "deployed"
    assert outcome.result["revision"] == record.revision
    assert any("helm again" in line for line in told), told
