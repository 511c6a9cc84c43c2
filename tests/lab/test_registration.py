# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployed model is disabled, deployed again, enabled and deregistered, all with one inventory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from tests.support.lab import Lab
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.site import Site

MODEL = "registration/Tiny-1B"


@pytest.mark.full
def test_a_redeploy_does_not_enable_a_disabled_model(
    lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path
) -> None:
    site = Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))
    site.models = {"tiny": {"vllm_model": MODEL}}

    def play(verb: str, **variables: str) -> PlayResult:
        return site.runner.run(
            f"llmops.platform.{verb}",
            inventory=site.inventory(),
            arguments=["--limit", "tiny"],
            extra_vars=variables,
        ).check()

    def state() -> tuple[str, str, str | None]:
        row = site.rows()[MODEL]
        return row["deployment_status"], row["desired_state"], row["status_reason"]

    site.deploy().check()
    deployed = site.rows()[MODEL]
    assert state() == ("ready", "enabled", None)
    assert play("register").changed == []

    play("disable", reason="incident 4711")
    assert state() == ("disabled", "disabled", "incident 4711")
    site.models["tiny"]["vllm_values"] = {"revisionHistoryLimit": 2}
    redeployed = site.deploy().check()
    assert "stays disabled" in redeployed.output
    assert state()[:2] == ("disabled", "disabled")
    assert site.rows()[MODEL]["release_revision"] == 2
    assert site.deploy().check().changed == []

    # Verified through the cluster, at the Service of the release.
    enabled = play("enable")
    assert enabled.find(action="vllm_endpoint_info")[0].result["access"] in ("dns", "port_forward")
    assert state()[:2] == ("ready", "enabled")
    row = site.rows()[MODEL]
    assert row["deployment_endpoint"] == deployed["deployment_endpoint"]
    assert row["release_name"] == release_name(MODEL, "development")
    assert play("enable").changed == []

    play("deregister")
    assert site.rows() == {}
    # Its server goes on, so it can be registered again.
    play("register")
    assert state()[:2] == ("ready", "enabled")
