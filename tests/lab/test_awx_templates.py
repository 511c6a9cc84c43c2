# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every job template, launched by somebody who fills in of its survey only what has to be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from ansible_collections.llmops.platform.plugins.filter.controller_objects import controller_objects
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.verbs import VERBS
from tests.support.awx_credential import Credential, administrator
from tests.support.awx_run import Job, RunningJob, start_job
from tests.support.awx_survey import untouched_answers
from tests.support.gateway_api import gateway_api
from tests.support.lab import Lab
from tests.support.playbooks import PlayRunner
from tests.support.promotion_site import Place, Production, two_places, version

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)

MODEL = "proven"
#: What a survey asks for and cannot guess.
ANSWERS = {"model": "org/Surveyed-7B"}
REASON = "OPS-7"
#: Verbs that take the lock of a model and are on record as operations.
OPERATIONS = ("deploy", "deploy_model", "promote", "rollback", "remove")


class Controller:
    """Launches the job templates of a staging and a production, as the role ``controller`` makes them."""

    def __init__(self, site: Production, folder: Path, login: Credential) -> None:
        self.folder, self.login = folder, login
        self.staging, self.production = site.staging, site
        environments = [
            {"name": site.staging.environment, "tier": "staging"},
            {"name": "production", "promote_from": site.staging.environment},
        ]
        made = controller_objects(environments, organization="LLM", project="Site")["job_templates"]
        self.templates = {template["name"]: template for template in made}
        self.launched: list[tuple[str, Job]] = []

    def launch(self, verb: str, place: Place | None = None, user: str = "alice") -> RunningJob:
        """Launch the job template of a verb, for the one model where it asks for a limit."""
        place = place or self.staging
        template = self.templates[f"{VERBS[verb].title} ({place.environment})"]
        asked = template["survey_spec"]
        answers = untouched_answers(asked)
        for item in asked.get("spec", ()):
            if item["required"] and answers[item["variable"]] == "":
                answers[item["variable"]] = ANSWERS.get(item["variable"], REASON)
        job = Job(len(self.launched) + 1, user, template["name"])
        self.launched.append((verb, job))
        arguments = ["--forks", str(template["forks"])]
        arguments += ["--limit", MODEL] if template["ask_limit_on_launch"] else []
        arguments += ["--tags", template["job_tags"]] if template["job_tags"] else []
        folder = self.folder / str(job.number)
        folder.mkdir()
        return start_job(
            folder,
            template["playbook"].removesuffix(".yml"),
            inventory=place.inventory(),
            extra_vars={**template["extra_vars"], **answers},
            environment=self.login.environment,
            files=self.login.files,
            arguments=arguments,
            job=job,
        )

    def play(self, *verbs: str, **options: Any) -> None:
        """Launch verbs side by side, and see that all succeed."""
        running = [self.launch(verb, **options) for verb in verbs]
        for job in running:
            job.wait(120).check()
            assert job.status == "successful"


@pytest.fixture(scope="module")
def controller(
    lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """Return a controller of two environments with one model."""
    folder, git = (tmp_path_factory.mktemp(name) for name in ("awx", "git"))
    with (
        gateway_api(api),
        two_places(lab, api, PlayRunner(folder), "awx") as site,
        administrator(lab, api, site.staging.namespace) as login,
    ):
        # Some objects of an environment are the cluster's, where the demo may have a staging of its own.
        site.staging.environment = site.staging.namespace
        site.staging.variables |= {"vllm_environment": site.staging.environment, "vllm_tier": "staging"}
        database = parse_dsn(site.dsn)["dbname"]
        logins = {
            name: make_dsn((lab.folder / f"{name}.dsn").read_text("utf-8").strip(), dbname=database)
            for name in ("router", "health")
        }
        for place in (site, site.staging):
            place.models = {MODEL: version("1")}
            # The credential's, not a file's.
            place.variables |= {
                "vllm_kubeconfig": "",
                "registry_dsn": site.dsn,
                "environment_pod_security": "baseline",
                "gitops_directory": str(git),
                "gitops_source_repository": "https://git.example.com/models.git",
                "router_image": "llmops.local/router:0.1.0",
                "router_image_pull_policy": "Never",
                "router_dsn": logins["router"],
                "router_redis_url": (lab.folder / "redis.url").read_text().strip(),
                "router_registry_ports": [15432, 16379],
                "health_check_image": "llmops.local/health-checker:0.1.0",
                "health_check_image_pull_policy": "Never",
                "health_check_dsn": logins["health"],
                "health_check_registry_ports": [15432],
            }
        site.variables["promotion_gates"]["approval"] = True
        yield Controller(site, folder, login)
        site.runner.run(
            "playbooks/environment.yml",
            inventory=site.staging.inventory(),
            extra_vars={"environment_state": "absent", "vllm_kubeconfig": str(lab.kubeconfig)},
        ).check()


def test_every_job_template_does_what_its_name_says(controller: Controller) -> None:
    staging, production = controller.staging, controller.production

    controller.play("registry", "environment")
    controller.play("check", "doctor", "router", "health_check")
    assert staging.status(MODEL) == "absent"
    controller.play("deploy", "deploy_model")
    assert {staging.status(name) for name in (MODEL, ANSWERS["model"])} == {"ready"}

    asked = controller.launch("promote", production).wait(120)
    assert asked.rc != 0
    assert "approval" in asked.output
    controller.play("approve", place=production, user="bob")
    controller.play("promote", place=production)
    assert production.status(MODEL) == "ready"

    staging.variables |= {
        "router_backend": "gateway_api",
        "router_gateway_parents": [{"name": "inference", "namespace": "gateways"}],
    }
    controller.play("export", "gitops")
    routes = staging.objects("apis/gateway.networking.k8s.io/v1/httproutes")
    assert len(routes) == 2

    controller.play("disable")
    assert staging.status(MODEL) == "disabled"
    controller.play("enable")
    assert staging.status(MODEL) == "ready"
    controller.play("deregister")
    assert staging.status(MODEL) == "absent"
    controller.play("register")
    assert staging.status(MODEL) == "ready"

    staging.models = {MODEL: version("2")}
    controller.play("deploy")
    controller.play("rollback")
    assert staging.version(MODEL) == "1"
    controller.play("remove")
    assert staging.status(MODEL) == "absent"

    assert {verb for verb, _ in controller.launched} == set(VERBS)
    # The promotion that found its approval missing began no operation.
    began = [(verb, job) for verb, job in controller.launched if verb in OPERATIONS]
    began.remove(next(one for one in began if one[0] == "promote"))
    assert dict(staging.query("SELECT job, actor FROM operations")) == {job.url: "alice" for _, job in began}
    approvals = staging.query("SELECT kind, actor FROM promotion_approvals ORDER BY id")
    assert approvals == [("requested", "alice"), ("approved", "bob")]
