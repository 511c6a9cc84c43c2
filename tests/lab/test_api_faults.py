# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server that throttles, fails, hangs up and hesitates: never the model's fault, and it converges."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.api_proxy import ApiProxy
from tests.support.lab import Lab
from tests.support.playbooks import PlayRunner
from tests.support.site import Site


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.full), 2])
def test_deploy_converges_through_a_bad_api_server(
    lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path, seed: int
) -> None:
    site = Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))
    site.models = {"one": {}, "two": {"vllm_values": {"replicas": 2}}}
    with ApiProxy(lab, faults=24, probability=0.3, seed=seed).running() as proxy:
        site.variables = {
            "vllm_kubeconfig": str(proxy.kubeconfig(tmp_path / "proxied")),
            "vllm_takeover_after": 3,
        }
        result = site.deploy("--forks", "2").check()
        assert sum(proxy.given.values()) >= 16, proxy.given
        # The bad day is nearly over.
        assert site.deploy("--forks", "2").check().changed == []
    assert {row["deployment_status"] for row in site.rows().values()} == {"ready"}
    assert site.revisions("one")[-1] == site.revisions("two")[-1] == "deployed"
    assert not [task for task in result.tasks if task.status == "failed"]
