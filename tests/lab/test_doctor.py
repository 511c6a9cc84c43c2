# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor's playbook on the lab: as the environment's own deployer, and for who has nothing yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES, model_inventory
from tests.support.playbooks import PlayRunner

DOCTOR = "playbooks/doctor.yml"


def test_from_an_environment_that_was_just_made_to_its_faults(
    lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, play: PlayRunner, tmp_path: Path
) -> None:
    deployer = str(tmp_path / "deployer.yaml")
    models: dict[str, dict[str, Any]] = {
        "small": {"vllm_model": "doctor/Small-1B"},
        "elsewhere": {"vllm_values": {"scheduling": {"nodeSelector": {"pool": "none"}}}},
        "untold": {"vllm_values": "no mapping"},
        "apart": {"vllm_context": "another"},
    }
    inventory = model_inventory(
        lab,
        namespace,
        registry_dsn,
        models,
        vllm_environment="doctor",
        vllm_tier="development",
        vllm_kubeconfig=deployer,
        environment_kubeconfig=str(lab.kubeconfig),
        environment_deployer_kubeconfig=deployer,
        vllm_environment_values={**QUICK_VALUES, "secrets": {"hfToken": {"existingSecret": "hf"}}},
    )
    play.run("playbooks/environment.yml", inventory=inventory).check()
    try:
        finished = play.run(DOCTOR, inventory=inventory)
    finally:
        # Its rights over the whole cluster do not go with the namespace.
        play.run(
            "playbooks/environment.yml", inventory=inventory, extra_vars={"environment_state": "absent"}
        ).check()
    assert finished.rc != 0
    report, shown, failed = finished.tasks
    assert not report.changed
    found = {f"{item['check']} {item['subject']}".rstrip(): item for item in report.result["findings"]}
    told = {name: item["verdict"] for name, item in found.items()}
    for name in ("tools helm", "cluster access", "rights", "namespace", "policies fence"):
        assert told[name] == "pass", found[name]
    # The lab's DNS is a process of the node, and no pod that a policy could name.
    assert told["policies dns"] == "unknown", found["policies dns"]
    # An account with the rights of the template, and no other, has all of them.
    assert f"system:serviceaccount:{namespace}:llmops-deployer" in found["cluster access"]["seen"]
    assert told["placement small"] == "pass"
    assert told["images model-server:0.1.0"] == "pass"
    assert told["secrets small"] == "fail"
    assert told["placement elsewhere"] == "fail"
    assert told["values untold"] == "fail"
    assert told["values apart"] == "unknown"
    assert "context another" in found["values apart"]["seen"]
    # Nobody has made a schema in the test's database yet.
    assert told["database access"] == "pass"
    assert told["database schema"] == "fail"
    assert "FAIL    placement elsewhere" in shown.result["msg"]
    assert failed.result["msg"].splitlines()[1].startswith("FAIL")
    assert registry_dsn not in finished.output


def test_somebody_who_has_nothing_yet(play: PlayRunner, tmp_path: Path) -> None:
    finished = play.run(
        DOCTOR,
        inventory={"all": {}},
        extra_vars={"doctor_fail": False, "vllm_kubeconfig": str(tmp_path / "none")},
    ).check()
    lines = finished.tasks[1].result["msg"]
    assert "FAIL    cluster access" in lines
    assert "llmops.platform.environment" in lines
    assert "FAIL    database access" in lines
    assert "ok      tools Python" in lines
