# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX plays them: a survey, credentials by the environment, a cancelled job, what is on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name, slug
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import read_release
from tests.support.awx_credential import Credential, administrator
from tests.support.awx_run import Job, RunningJob, start_job
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.site import Site

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)

MODEL = "org/Survey-7B"
SURVEY: dict[str, Any] = {
    "model": MODEL,
    "gpus": "1",
    "pool": "lab",
    "replicas": "",
    "max_model_len": "",
    "reason": "OPS-7, asked for by the search team",
    "values": "model:\n  extraEnv:\n    - {name: MODEL_SERVER_LOAD_SECONDS, value: '2'}\n",
}


class Controller:
    """Starts jobs with the credentials of a ServiceAccount and an inventory that knows no model yet."""

    def __init__(self, site: Site, folder: Path, login: Credential) -> None:
        self.site, self.folder, self.files = site, folder, login.files
        self.environment = {**login.environment, "LLMOPS_REGISTRY_DSN": site.dsn}
        self.shared = {
            "vllm_helm_binary": str(site.lab.binary("helm")),
            "vllm_environment": "development",
            "vllm_namespace": site.namespace,
            # As on a laptop; a job's container has no such file, and its credential counts.
            "vllm_kubeconfig": "~/.kube/llmops-development.yaml",
            "vllm_context": "llm-development",
        }

    def start(self, playbook: str, job: Job, hosts: Any = None, **variables: Any) -> RunningJob:
        """Start a job."""
        folder = self.folder / str(job.number)
        folder.mkdir()
        groups = {
            "models": {"hosts": hosts or {}, "vars": self.shared},
            "pool_lab": {"hosts": {}, "vars": {"vllm_environment_values": QUICK_VALUES}},
        }
        return start_job(
            folder,
            playbook,
            inventory=groups,
            extra_vars=variables,
            environment=self.environment,
            files=self.files,
            job=job,
        )

    def play(self, playbook: str, job: Job, **options: Any) -> PlayResult:
        """Play a job to its end."""
        return self.start(playbook, job, **options).wait(120).check()


@pytest.fixture
def controller(
    lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path
) -> Iterator[Controller]:
    """Return a controller whose credential may do what a deployer may."""
    with administrator(lab, api, namespace) as login:
        yield Controller(Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path)), tmp_path, login)


def test_survey_cancelled_played_again_and_rolled_back(controller: Controller) -> None:
    """A user cancels a new model and plays it again; another one changes it and goes back."""
    site, jobs = controller.site, [Job(1), Job(2), Job(3, "bob"), Job(4, "bob")]

    cancelled = controller.start("deploy_model", jobs[0], **SURVEY)
    cancelled.wait_for("helm install")
    cancelled.cancel()
    assert cancelled.status == "canceled"

    controller.play("deploy_model", jobs[1], **SURVEY)
    assert site.rows()[MODEL]["deployment_status"] == "ready"
    controller.play("deploy_model", jobs[2], **{**SURVEY, "values": "", "reason": ""})
    hosts = {slug(MODEL): {"vllm_model": MODEL, "ansible_connection": "local"}}
    controller.play("rollback", jobs[3], hosts=hosts, rollback_all="yes", to="", reason="too quick")

    found = site.query("SELECT kind, actor, job, outcome FROM operations ORDER BY fence")
    # The second job had nothing to change but the row where the server came up meanwhile.
    assert [row for row in found if row[2] != jobs[1].url] == [
        ("deploy", "alice", jobs[0].url, "interrupted"),
        ("deploy", "bob", jobs[2].url, "succeeded"),
        ("rollback", "bob", jobs[3].url, "succeeded"),
    ]
    assert set(site.query("SELECT actor FROM audit_log")) == {("alice",), ("bob",)}
    told = site.query("SELECT detail->>'reason' FROM operation_steps WHERE name = 'note the reason'")
    assert {reason for (reason,) in told} == {SURVEY["reason"], "too quick"}
    record = read_release(site.api, release_name(MODEL, "development"), site.namespace)
    assert record is not None
    assert record.status == "deployed"
    assert f"went back by bob (AWX job {jobs[3].url}), operation " in record.description
    assert record.description.endswith(": too quick")
