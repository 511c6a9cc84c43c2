# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook ``controller`` from an AWX that knows nothing of it to what is wanted, and on from there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.awx_api import TOKEN, AwxApi, Item
from tests.support.awx_collection import awx_collections
from tests.support.playbooks import ROOT, PlayResult, PlayRunner

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)

ORGANIZATION = "LLM"
WANTED: dict[str, Any] = {
    "controller_organization": ORGANIZATION,
    "controller_project": {"name": "Site", "scm_type": "git", "scm_url": "https://git.example.com/site.git"},
    "controller_environments": [
        {
            "name": "staging",
            "promote_from": "development",
            "verbs": ["promote"],
            "operators": ["ML"],
            "approvers": ["Owners"],
        }
    ],
}
PROMOTE, FLOW = "Promote models (staging)", "Promote models through gates (staging)"


class Site:
    """Plays the playbook for one AWX, which only environment variables name."""

    def __init__(self, awx: AwxApi, folder: Path) -> None:
        self.awx = awx
        self._runner = PlayRunner(
            folder,
            {
                "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(
                    (str(ROOT / "build/collections"), str(awx_collections()))
                ),
                "CONTROLLER_HOST": awx.url,
                "CONTROLLER_OAUTH_TOKEN": TOKEN,
                # Nobody's ~/.tower_cli.cfg.
                "HOME": str(folder),
                # What AWX is to put into a credential's variables is no template of Ansible's.
                "_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore",
            },
        )

    def play(self, environment: Mapping[str, str] | None = None, **variables: Any) -> PlayResult:
        """Play it to its end."""
        given = {**WANTED, **variables}
        playbook = ROOT / "playbooks/controller.yml"
        return self._runner.run(playbook, extra_vars=given, environment=environment).check()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site that was played once."""
    with AwxApi() as awx:
        made = Site(awx, tmp_path_factory.mktemp("site"))
        made.play()
        yield made


@dataclass(frozen=True)
class Others:
    """What the playbook finds beside its own, and teams that have rights of which it knows nothing."""

    templates: set[str]
    workflows: set[str]
    by_hand: Item
    former: Item


@pytest.fixture(scope="module")
def others(site: Site) -> Others:
    """Fill AWX with what went out of use, and with what is somebody else's."""
    awx = site.awx
    own, project = awx.named("organizations", ORGANIZATION)["id"], awx.named("projects", "Site")["id"]
    labelled = {"labels": [awx.named("labels", "llmops.platform")["id"]]}
    foreign = awx.add("organizations", name="Others")["id"]
    elsewhere = awx.add("projects", name="Other site", organization=own)["id"]
    for name, organization, of_project in (
        ("Fly models (staging)", own, project),
        ("Of another site (staging)", own, elsewhere),
        ("Of another environment (qa)", own, project),
        ("Of another organization (staging)", foreign, project),
    ):
        awx.add("job_templates", labelled, name=name, organization=organization, project=of_project)
    by_hand = awx.add("job_templates", name="By hand (staging)", organization=own, project=project)
    for name, organization in (
        ("Fly models through gates (staging)", own),
        ("Of another environment (qa)", own),
        ("Of another organization (staging)", foreign),
    ):
        awx.add("workflow_job_templates", labelled, name=name, organization=organization)
    awx.add("workflow_job_templates", name="By hand (staging)", organization=own)

    promote, flow = awx.named("job_templates", PROMOTE), awx.named("workflow_job_templates", FLOW)
    operators, former = awx.named("teams", "ML"), awx.add("teams", name="Former", organization=own)
    namesake = awx.add("teams", name="ML", organization=foreign)
    for team, right, template in (
        (former, "execute_role", promote),
        (former, "admin_role", promote),
        (former, "execute_role", by_hand),
        (namesake, "execute_role", promote),
        (operators, "approval_role", flow),
    ):
        awx.let(team, right, template)
    return Others(awx.names("job_templates"), awx.names("workflow_job_templates"), by_hand, former)


def links(awx: AwxApi, identifier: str) -> set[str]:
    """Return where the workflow goes on to from a node that succeeded."""
    nodes = {node["id"]: node for node in awx.all("workflow_job_template_nodes")}
    (node,) = [item for item in nodes.values() if item["identifier"] == identifier]
    return {nodes[number]["identifier"] for number in node["_lists"]["success_nodes"]}


def test_everything_is_there(site: Site) -> None:
    awx = site.awx
    assert PROMOTE in awx.names("job_templates")
    # An empty name would have been any of those that there are.
    source = awx.named("inventory_sources", "Site (staging)")
    assert source.keys().isdisjoint({"credential", "execution_environment"})
    assert (links(awx, "gates"), links(awx, "agree")) == ({"agree"}, {"promote"})
    flow = awx.named("workflow_job_templates", FLOW)
    assert awx.named("teams", "ML") in awx.teams_with(flow, "execute_role")
    (injected,) = [item["injectors"]["env"] for item in awx.all("credential_types")]
    assert injected["LLMOPS_REGISTRY_DSN"] == "{{ dsn }}"


def test_a_second_run_changes_nothing_and_takes_nothing_away_unasked(site: Site, others: Others) -> None:
    site.awx.writes.clear()
    assert site.play(controller_remove_surplus=False).changed == []
    assert site.awx.writes == []


def test_what_is_named_no_more_goes_and_nothing_else(site: Site, others: Others) -> None:
    awx = site.awx
    # What is given counts, and not the environment.
    site.play(
        {"CONTROLLER_HOST": "https://awx.invalid", "CONTROLLER_OAUTH_TOKEN": "expired"},
        controller_host=awx.url,
        controller_oauth_token=TOKEN,
    )
    assert others.templates - awx.names("job_templates") == {"Fly models (staging)"}
    assert others.workflows - awx.names("workflow_job_templates") == {"Fly models through gates (staging)"}

    promote, flow = awx.named("job_templates", PROMOTE), awx.named("workflow_job_templates", FLOW)
    (operators,) = awx.teams_with(promote, "execute_role")
    assert (operators["name"], operators["organization"]) == ("ML", promote["organization"])
    assert [team["name"] for team in awx.teams_with(flow, "approval_role")] == ["Owners"]
    assert awx.teams_with(flow, "execute_role") == [operators]
    # The role gives none of these, and takes none.
    assert awx.teams_with(promote, "admin_role") == [others.former]
    assert awx.teams_with(others.by_hand, "execute_role") == [others.former]
